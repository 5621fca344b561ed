package stage

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"
)

// commitEvery is the least time between two commits. What was settled in between is committed together, for all
// partitions at once.
const commitEvery = 20 * time.Millisecond

// committer commits the settled offsets of one generation. Only it commits; it never goes back, and after a failed commit
// it commits nothing more: the group may have moved on.
type committer struct {
	gen   Generation
	stage *Stage
	lose  context.CancelCauseFunc

	mu      sync.Mutex
	pending map[int]int64
	wake    chan struct{}
	stopped bool

	commitMu  sync.Mutex
	committed map[int]int64
	// confirmed is when the group last counted this member in, by a commit; zero before the first one. That the assignment has
	// come says nothing: it may have come to a process that was frozen since.
	confirmed time.Time
	failed    error
}

func newCommitter(gen Generation, s *Stage, lose context.CancelCauseFunc) *committer {
	return &committer{
		gen: gen, stage: s, lose: lose,
		pending: map[int]int64{}, wake: make(chan struct{}, 1),
		committed: map[int]int64{},
	}
}

// settled notes that everything before next is settled in a partition. It does not wait.
func (c *committer) settled(partition int, next int64) {
	c.mu.Lock()
	c.pending[partition] = max(next, c.pending[partition])
	c.mu.Unlock()
	c.signal()
}

func (c *committer) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run commits until stop, also after ctx has ended.
func (c *committer) run(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	rest := time.NewTimer(0)
	defer rest.Stop()
	for range c.wake {
		c.mu.Lock()
		stopped := c.stopped
		c.mu.Unlock()
		_ = c.commit(ctx) // a failure is logged and ends the generation where it is noticed
		if stopped {
			return
		}
		rest.Reset(commitEvery)
		<-rest.C
	}
}

// stop makes run commit what is left and return.
func (c *committer) stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.signal()
}

func (c *committer) commit(ctx context.Context) error {
	c.commitMu.Lock()
	defer c.commitMu.Unlock()
	c.mu.Lock()
	offsets := maps.Clone(c.pending)
	clear(c.pending)
	c.mu.Unlock()
	for p, next := range offsets {
		if next <= c.committed[p] {
			delete(offsets, p)
		}
	}
	return c.commitLocked(ctx, offsets)
}

func (c *committer) commitLocked(ctx context.Context, offsets map[int]int64) error {
	if c.failed != nil || len(offsets) == 0 {
		return c.failed
	}
	ctx, cancel := context.WithTimeout(ctx, c.stage.cfg.SessionTimeout)
	defer cancel()
	ctx, span := c.stage.tel.startCommit(ctx)
	start := time.Now()
	// Promise 1: only offsets that settled reported, and a partition settles in order.
	err := c.gen.Commit(ctx, offsets)
	c.stage.tel.endCommit(span, err)
	if err != nil {
		c.failed = err
		if !errors.Is(err, ErrFenced) {
			c.stage.deps.Logger.Warn("commit failed; joining the group again, some records will come twice", "error", err)
		}
		c.lose(&lostError{err})
		return err
	}
	c.confirmed = start
	for p, next := range offsets {
		c.committed[p] = next
		c.stage.noteCommitted(p, next)
	}
	return nil
}

// lostError is why the work on a generation ends at once, without a drain: nothing could be committed any more.
type lostError struct{ err error }

func (e *lostError) Error() string { return "the assignment is lost: " + e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// fence makes sure that the group still counts this member as the owner of a partition that is settled up to next. A worker
// calls it before it writes state: a process that was frozen past its session must not overwrite what the new owner
// saved. A recent commit is proof enough; otherwise the settled offset is committed (again), which the broker refuses
// when the generation is over. The write must be done by the time that fence returns: until then the session cannot have
// run out, even if the process is frozen in between.
func (c *committer) fence(ctx context.Context, partition int, next int64) (sure time.Time, err error) {
	c.commitMu.Lock()
	defer c.commitMu.Unlock()
	if c.failed != nil {
		return time.Time{}, c.failed
	}
	session := c.stage.cfg.SessionTimeout
	if next < 0 { // nothing is settled, so there is nothing to commit that would prove anything
		return time.Now().Add(session), nil
	}
	if time.Since(c.confirmed) >= session/3 {
		err = c.commitLocked(ctx, map[int]int64{partition: max(next, c.committed[partition])})
	}
	return c.confirmed.Add(session), err
}
