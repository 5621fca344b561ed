package lag

import (
	"sync"
	"time"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// Classes names the classes as metrics do, the urgent first.
var Classes = [...]string{"interactive", "real_time", "bulk"}

const classCount = len(Classes)

func classOf(p streamv1.Priority) int {
	switch p {
	case streamv1.Priority_PRIORITY_INTERACTIVE:
		return 0
	case streamv1.Priority_PRIORITY_BULK:
		return 2
	default:
		return 1
	}
}

// Pending is what of one class is not settled.
type Pending struct {
	Writes int
	// Since is when the oldest of them was put on the topic; zero when there is none.
	Since time.Time
}

// Lag sums up the partitions that this process has. Safe for concurrent use.
type Lag struct {
	mu         sync.Mutex
	partitions map[int]*Partition
}

// New returns a Lag without partitions.
func New() *Lag { return &Lag{partitions: map[int]*Partition{}} }

// Partition adds a partition, until it is closed.
func (l *Lag) Partition(id int) *Partition {
	p := &Partition{lag: l, id: id, next: -1, unsettled: map[int64]entry{}}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partitions[id] = p
	return p
}

// Unread returns how many of a partition's records nobody has read, when its last record lies before end and so many of its
// records are not committed.
func (l *Lag) Unread(id int, end, uncommitted int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.partitions[id]
	if p == nil || end < 0 {
		return uncommitted
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next < 0 {
		return uncommitted
	}
	return max(0, min(uncommitted, end-p.next))
}

// Pending returns what is not settled, by class, in the order of Classes.
func (l *Lag) Pending() (sum [classCount]Pending) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.partitions {
		for class, one := range p.pending() {
			sum[class].Writes += one.Writes
			if !one.Since.IsZero() && (sum[class].Since.IsZero() || one.Since.Before(sum[class].Since)) {
				sum[class].Since = one.Since
			}
		}
	}
	return sum
}

// Partition counts what is not settled of one partition, in memory of the order of that. Safe for concurrent use.
type Partition struct {
	lag *Lag
	id  int

	mu        sync.Mutex
	next      int64 // behind the last one taken in, -1 before the first
	unsettled map[int64]entry
	// order holds the offsets of each class in the order they came, settled ones among them until they are in the way.
	order [classCount][]int64
	count [classCount]int
}

type entry struct {
	class int
	since time.Time
}

// Accepted tells that a write was taken in that lies on the topic since then.
func (p *Partition) Accepted(offset int64, class streamv1.Priority, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = max(p.next, offset+1)
	if _, again := p.unsettled[offset]; again { // taken in once more because it could not be handed over
		return
	}
	e := entry{class: classOf(class), since: since}
	p.unsettled[offset] = e
	p.order[e.class] = append(p.order[e.class], offset)
	p.count[e.class]++
}

// Settled tells that writes are done with: ended, or parked.
func (p *Partition) Settled(offsets ...int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, offset := range offsets {
		if e, ok := p.unsettled[offset]; ok {
			delete(p.unsettled, offset)
			p.count[e.class]--
		}
	}
	for class := range p.order {
		p.trim(class)
	}
}

// slack is how many settled offsets may be kept beside those that are not.
const slack = 1000

// trim forgets the settled offsets at the head, and all of them when they outnumber the others (promise 7).
func (p *Partition) trim(class int) {
	order := p.order[class]
	for len(order) > 0 && !p.waits(order[0]) {
		order = order[1:]
	}
	if len(order) > 2*p.count[class]+slack {
		kept := make([]int64, 0, p.count[class])
		for _, offset := range order {
			if p.waits(offset) {
				kept = append(kept, offset)
			}
		}
		order = kept
	}
	p.order[class] = order
}

func (p *Partition) waits(offset int64) bool {
	_, ok := p.unsettled[offset]
	return ok
}

func (p *Partition) pending() (by [classCount]Pending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for class, n := range p.count {
		by[class].Writes = n
		if n > 0 {
			by[class].Since = p.unsettled[p.order[class][0]].since
		}
	}
	return by
}

// Close forgets the partition: another process has it.
func (p *Partition) Close() {
	p.lag.mu.Lock()
	defer p.lag.mu.Unlock()
	if p.lag.partitions[p.id] == p {
		delete(p.lag.partitions, p.id)
	}
}
