package delivery

import (
	"context"
	"sync"
	"time"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/gate"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/members"
	"github.com/throughline-dev/throughline/services/writer/internal/pacing"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
)

// lane is one connection's way into its org: a queue, a pace and the requests in flight.
type lane struct {
	h    *Handler
	key  laneKey
	gate *gate.Gate
	wake chan struct{}
	room chan struct{}

	mu        sync.Mutex
	queue     *queue.Queue
	pace      *pacing.Pace
	inFlight  int // requests that are made, or on their way to it
	recording int // requests that were answered, and whose endings are being saved
	overtaken []*queue.Item
	leftOut   leftOut
	statuses  *members.Cache
	campaigns map[string]campaign
	jobs      jobs
	noted     noted
	draining  bool
	lastIn    time.Time
	lastOut   time.Time
	lastError string
}

func newLane(h *Handler, key laneKey) *lane {
	now := h.deps.Clock.Now()
	l := &lane{
		h: h, key: key, gate: h.deps.Gates.Gate(key.workspace, key.connection),
		wake: make(chan struct{}, 1), room: make(chan struct{}, 1),
		queue: queue.New(func(w *streamv1.Write) (ledger.Verdict, error) { return ledger.Decide(h.table, w) }),
		pace: pacing.New(pacing.Limits{
			Parallelism: h.cfg.Parallelism, BatchRecords: h.cfg.BatchRecords, MinBatch: h.cfg.MinBatchRecords,
			Linger: h.cfg.Linger, MaxLinger: h.cfg.MaxLinger, BulkLinger: h.cfg.BulkLinger,
		}),
		leftOut: leftOut{}, statuses: members.NewCache(statusesFor, statusesOf), campaigns: map[string]campaign{}, lastIn: now, lastOut: now,
	}
	l.findStrays(now)
	return l
}

// offer takes a write into the queue, or reports that the lane is full. Promise 7.
func (l *lane) offer(it *queue.Item) bool {
	capacity := l.h.capacity()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queue.Len() >= capacity {
		return false
	}
	l.lastIn = it.Accepted
	before := l.queue.Len()
	if old := l.queue.Push(it); old != nil {
		l.overtaken = append(l.overtaken, old)
	}
	l.h.deps.Tally.Depth(l.queue.Len() - before)
	// The loop sleeps until the oldest write has waited long enough: wake it for the first one, and for full requests.
	if n := l.queue.Len(); n == 1 || n >= l.pace.Records() || len(l.overtaken) >= l.h.cfg.BatchRecords {
		signal(l.wake)
	}
	return true
}

// state tells whether writes of a class may go out: whether the org takes any, and whether the class has calls left.
func (l *lane) state(class streamv1.Priority, now time.Time) gate.State {
	if state := l.gate.State(now); !state.Open {
		return state
	}
	if state := l.barred(); !state.Open {
		return state
	}
	return l.gate.Admits(class, now)
}

// broke takes out what the org would take but whose class has no calls left. The caller holds the lock.
func (l *lane) broke(now time.Time) (broke []*queue.Item, state gate.State) {
	for _, class := range l.queue.Classes() {
		if s := l.gate.Admits(class, now); !s.Open {
			broke, state = append(broke, l.queue.TakeClass(class)...), s
		}
	}
	return broke, state
}

// awaitRoom waits until the lane may have room, at most a moment.
func (l *lane) awaitRoom(ctx context.Context) error {
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-l.room:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// moving reports whether requests come back: within twice the longest linger, or there are none out.
func (l *lane) moving(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inFlight+l.recording == 0 || now.Sub(l.lastOut) < stillAfter
}

// stillAfter is how long a full lane may go without an answer before it counts as stuck. Salesforce answers 200
// records in under a second when well, and within 20 s with heavy automation; a partition cannot wait for the latter.
const stillAfter = 2 * time.Second

func (l *lane) busySince(t time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lastIn.After(t)
}

func (l *lane) drain() {
	l.mu.Lock()
	l.draining = true
	l.mu.Unlock()
	signal(l.wake)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// loop sends what is due until the handler is drained and nothing is left that could be sent.
func (l *lane) loop() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait, done := l.turn()
		if done {
			return
		}
		timer.Reset(wait)
		select {
		case <-l.wake:
		case <-timer.C:
		case <-l.h.life.Done():
			return
		}
	}
}

// idleWait is how long a lane with nothing to do sleeps; everything that could change that wakes it.
const idleWait = time.Minute

// turn starts the requests that are due and ends what needs none. It returns how long nothing will change by itself.
func (l *lane) turn() (wait time.Duration, done bool) {
	now := l.h.deps.Clock.Now()
	state := l.gate.State(now)
	gateOpen := state.Open
	if gateOpen {
		state = l.barred()
	}
	share := l.gate.Share(now)
	parallelism, capacity := l.parallelism(), l.h.capacity()
	l.mu.Lock()
	l.pace.SetParallelism(parallelism)
	l.pace.SetUsed(share)
	rules := l.rules(now, capacity)
	depth := l.queue.Len()
	var stranded []*queue.Item
	if !state.Open {
		stranded = l.queue.TakeAll()
	} else if broke, why := l.broke(now); len(broke) > 0 {
		stranded, state = broke, why
	}
	waiting := l.seek(now, gateOpen)
	batches, skipped := l.due(now, rules, waiting)
	overtaken := l.overtaken
	l.overtaken = nil
	wait = idleWait
	if at, ok := l.queue.Wake(now, rules); ok && at.Sub(now) < wait {
		wait = at.Sub(now)
	}
	if l.jobs.running > 0 && l.jobs.heldUntil.After(now) {
		wait = min(wait, l.jobs.heldUntil.Sub(now))
	}
	for _, s := range l.jobs.strays {
		if s.at.After(now) {
			wait = min(wait, s.at.Sub(now))
		}
	}
	done = l.draining && l.inFlight+l.recording == 0 && l.jobs.running == 0
	l.h.deps.Tally.Depth(l.queue.Len() - depth)
	l.mu.Unlock()

	for _, b := range batches {
		l.h.work.Go(func() { l.request(b) })
	}
	if len(overtaken)+len(skipped)+len(stranded) > 0 {
		l.h.work.Go(func() { l.settleUnsent(overtaken, skipped, stranded, state) })
	}
	if len(overtaken)+len(skipped)+len(stranded)+len(batches) > 0 {
		signal(l.room)
	}
	return wait, done
}

// due takes what is to be sent now out of the queue: bulk jobs where the backlog is worth any, and collections for what is
// not in them. A job is no request in flight: it is worked on in Salesforce. The caller holds the lock.
func (l *lane) due(now time.Time, rules queue.Rules, waiting bool) (batches []*queue.Batch, skipped []queue.Skipped) {
	if waiting {
		return nil, nil
	}
	if rules.Job != nil {
		if l.awaiting(now, *rules.Job) {
			rules.Hold = rules.Job.From
		}
		batches, skipped = l.dueJobs(now, *rules.Job)
	}
	for n := l.pace.Requests(); l.inFlight < n && l.inFlight+l.recording < 2*n; {
		b, skips := l.queue.Next(now, rules)
		skipped = append(skipped, skips...)
		if b == nil {
			break
		}
		l.inFlight++
		if l.inFlight+l.recording == 1 {
			l.lastOut = now
		}
		batches = append(batches, b)
	}
	return batches, skipped
}

func (l *lane) rules(now time.Time, capacity int) queue.Rules {
	hold := 0
	if l.jobs.running > 0 && now.Before(l.jobs.heldUntil) {
		hold = l.h.cfg.BulkFrom
	}
	return queue.Rules{
		Hold:    hold,
		Records: l.pace.Records(), Bytes: l.h.cfg.BatchBytes, Hurry: l.draining, LookAfter: l.h.cfg.LookAfter,
		Job:    l.jobRules(now, capacity),
		Linger: func(g queue.Group) time.Duration { return l.pace.Linger(g.Bulk()) },
	}
}

func (l *lane) parallelism() int {
	if view := l.h.deps.Settings.View(); view != nil {
		if ws, ok := view.Workspace(l.key.workspace); ok {
			if c, ok := ws.Connection(l.key.connection); ok && c.GetParallelism() > 0 {
				return int(c.GetParallelism())
			}
		}
	}
	return l.h.cfg.Parallelism
}

// noteLedger logs, once per kind, that an entry of the ledger cannot be read.
func (l *lane) noteLedger(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if text := err.Error(); text != l.lastError {
		l.lastError = text
		l.h.deps.Logger.Error("an entry of the ledger cannot be read; its writes are parked until it can",
			"workspace", l.key.workspace, "connection", l.key.connection, "error", err)
	}
}

// finishRequest puts back what must be sent again and lets the next request go.
func (l *lane) finishRequest(b *queue.Batch, again []*queue.Item) {
	now := l.h.deps.Clock.Now()
	l.mu.Lock()
	l.queue.Done(b)
	before := l.queue.Len()
	for _, it := range again {
		if old := l.queue.Return(it); old != nil {
			l.overtaken = append(l.overtaken, old)
		}
	}
	l.h.deps.Tally.Depth(l.queue.Len() - before)
	if b.Job {
		l.jobDone(b)
	} else {
		l.recording--
		l.lastOut = now
	}
	l.mu.Unlock()
	signal(l.wake)
	signal(l.room)
}

// answered lets the next request go while this one's endings are saved: that makes no call, so the org's places need not
// stand empty for it. At most as many are saved at a time as may be in flight (promise 7), and their records stay in flight.
func (l *lane) answered(b *queue.Batch) {
	if b.Job {
		return
	}
	now := l.h.deps.Clock.Now()
	l.adjust(func() {
		l.inFlight--
		l.recording++
		l.lastOut = now
	})
	signal(l.wake)
}
