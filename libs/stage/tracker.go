package stage

import (
	"sort"
	"sync"
)

// tracker knows which of the records taken from one partition are settled, and how far the partition is settled without a
// gap: Kafka stores one offset per partition, and committing it says that everything before it is done with.
//
// Offsets are taken in ascending order, with holes where compaction or transactions removed records, and settled in any
// order. Safe for concurrent use.
type tracker struct {
	mu sync.Mutex
	// taken holds the offsets from the oldest unsettled one on; done says which of them are settled.
	taken []int64
	done  []bool
	head  int
	open  int
	next  int64
	// beyond is the offset before which everything was taken, holes included.
	beyond int64
}

// newTracker returns a tracker of a partition that is settled up to next.
func newTracker(next int64) *tracker { return &tracker{next: next} }

// take notes that a record is being worked on. Offsets must ascend.
func (t *tracker) take(offset int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.head == len(t.taken) {
		t.taken, t.done, t.head = t.taken[:0], t.done[:0], 0
		// Everything before is settled, holes included.
		t.next = max(t.next, offset)
	}
	t.taken = append(t.taken, offset)
	t.done = append(t.done, false)
	t.open++
}

// settle marks offsets as done and returns the first offset that is not settled, and how many of the given offsets were
// unknown or settled before.
func (t *tracker) settle(offsets ...int64) (next int64, unknown int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range offsets {
		live := t.taken[t.head:]
		i := sort.Search(len(live), func(i int) bool { return live[i] >= o })
		if i == len(live) || live[i] != o || t.done[t.head+i] {
			unknown++
			continue
		}
		t.done[t.head+i] = true
		t.open--
	}
	t.advance()
	return t.next, unknown
}

// advance moves past the settled prefix. Promise 1: it stops at the first gap.
func (t *tracker) advance() {
	for t.head < len(t.taken) && t.done[t.head] {
		t.next = t.taken[t.head] + 1
		t.head++
	}
	if t.head < len(t.taken) {
		t.next = t.taken[t.head]
	} else {
		t.next = max(t.next, t.beyond)
	}
	if t.head > 1024 && t.head > len(t.taken)/2 {
		t.taken = append(t.taken[:0], t.taken[t.head:]...)
		t.done = append(t.done[:0], t.done[t.head:]...)
		t.head = 0
	}
}

// skip notes that nothing is left to take before next.
func (t *tracker) skip(next int64) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.beyond = max(t.beyond, next)
	t.advance()
	return t.next
}

// unsettled returns how many records are being worked on.
func (t *tracker) unsettled() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open
}
