// Package quota counts an org's API calls over the last 24 hours and the calls that have been running for long.
package quota

import (
	"sync"
	"time"
)

const (
	window  = 24 * time.Hour
	buckets = 96
	span    = window / buckets
)

// Quota is one org's budget. It is safe for concurrent use.
type Quota struct {
	limit     int
	longLimit int
	longAfter time.Duration

	mu      sync.Mutex
	counts  [buckets]int
	newest  int64 // index of the newest bucket since the epoch
	total   int
	running map[*time.Time]struct{}
}

// New returns a budget of limit calls in 24 hours and longLimit calls that run longer than longAfter at once.
func New(limit, longLimit int, longAfter time.Duration) *Quota {
	return &Quota{limit: limit, longLimit: longLimit, longAfter: longAfter, running: map[*time.Time]struct{}{}}
}

// Add counts n calls at now. It reports false, and counts nothing, when the budget is used up.
func (q *Quota) Add(now time.Time, n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.roll(now)
	if q.total+n > q.limit {
		return false
	}
	q.counts[q.newest%buckets] += n
	q.total += n
	return true
}

// Use counts n calls at now whatever the budget says.
func (q *Quota) Use(now time.Time, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.roll(now)
	q.counts[q.newest%buckets] += n
	q.total += n
}

// Usage returns the calls of the last 24 hours and the limit.
func (q *Quota) Usage(now time.Time) (used, limit int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.roll(now)
	return q.total, q.limit
}

// SetLimit changes the budget.
func (q *Quota) SetLimit(limit int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.limit = limit
}

// roll forgets what is older than the window. A clock that goes back adds to the newest bucket.
func (q *Quota) roll(now time.Time) {
	bucket := now.UnixNano() / int64(span)
	if bucket <= q.newest {
		return
	}
	if bucket-q.newest >= buckets {
		q.counts, q.total = [buckets]int{}, 0
		q.newest = bucket
		return
	}
	for q.newest < bucket {
		q.newest++
		q.total -= q.counts[q.newest%buckets]
		q.counts[q.newest%buckets] = 0
	}
}

// Begin notes a call that begins at real time now. It reports false when too many calls are running long already. The
// caller must call end when the call is over.
func (q *Quota) Begin(now time.Time) (end func(), ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	long := 0
	for began := range q.running {
		if now.Sub(*began) >= q.longAfter {
			long++
		}
	}
	if long >= q.longLimit {
		return nil, false
	}
	q.running[&now] = struct{}{}
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.running, &now)
	}, true
}

// State is a quota's memory.
type State struct {
	Counts [buckets]int
	Newest int64
}

// Save returns the quota's memory.
func (q *Quota) Save() State {
	q.mu.Lock()
	defer q.mu.Unlock()
	return State{Counts: q.counts, Newest: q.newest}
}

// Restore takes a memory back.
func (q *Quota) Restore(s State) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.counts, q.newest, q.total = s.Counts, s.Newest, 0
	for _, n := range s.Counts {
		q.total += n
	}
}
