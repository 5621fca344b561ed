package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/throughline-dev/throughline/libs/stage/internal/fault"
)

// part is one assigned partition: what pipelines and sinks have in common.
type part struct {
	stage  *Stage
	cfg    *Config
	deps   *Deps
	id     int
	commit *committer
	hook   fault.Hook
	logger *slog.Logger
	table  *Table
	counters

	// ending is closed when the assignment ends and what is in hand should be finished.
	ending <-chan struct{}
	// next is the first offset not settled yet, -1 before anything is known. Only the worker writes it.
	next int64

	mu      sync.Mutex
	phase   phase
	trouble error // why it is paused
}

type phase int

const (
	restoring phase = iota
	working
	paused
	draining
)

func newPart(s *Stage, a Assignment, c *committer) *part {
	p := &part{
		stage: s, cfg: &s.cfg, deps: &s.deps, id: a.Partition, commit: c,
		logger: s.deps.Logger.With("partition", a.Partition), next: a.Offset,
	}
	p.end.Store(-1)
	p.committed.Store(max(-1, a.Offset))
	p.progress.Store(time.Now().UnixNano())
	return p
}

// run restores the state, then works until ctx ends.
func (p *part) run(ctx context.Context) {
	p.ending = ctx.Done()
	w := p.stage.newWork(p)
	err := p.retry(ctx, "restoring the state", func() error {
		if err := p.restore(ctx); err != nil {
			return err
		}
		// A start that fails is repeated from the state on. However it fails: there is no record to blame.
		return lasting(guard(w.start))
	})
	if err != nil {
		return
	}
	p.setPhase(working, nil)
	f := &fetcher{part: p, out: make(chan chunk), offset: p.next}
	var fetching sync.WaitGroup
	fetching.Go(func() { f.run(ctx) })
	w.run(ctx, f)
	fetching.Wait()
}

// restore reads the partition's state to its end.
func (p *part) restore(ctx context.Context) error {
	if p.cfg.StateTopic == "" {
		return nil
	}
	table, moved := NewTable(), time.Now()
	for next, end := int64(-1), int64(-1); end < 0 || next < end; {
		f, err := p.deps.Broker.Fetch(ctx, FetchRequest{
			Topic: p.cfg.StateTopic, Partition: p.id, Offset: next,
			MaxBytes: p.cfg.BatchBytes, MinBytes: 1, MaxWait: p.cfg.BatchWait + time.Millisecond,
		})
		if err != nil {
			return fmt.Errorf("reading %s/%d: %w", p.cfg.StateTopic, p.id, err)
		}
		for i := range f.Records {
			r := &f.Records[i]
			e := Entry{Key: string(r.Key)}
			if r.Value != nil {
				e.Value = append([]byte{}, r.Value...) // not the whole fetch, which r.Value is part of
			}
			table.Apply(e)
		}
		if f.Next > next {
			moved = time.Now()
		}
		if time.Since(moved) > p.cfg.StallAfter {
			return fmt.Errorf("reading %s/%d: nothing comes at offset %d, before the end at %d", p.cfg.StateTopic, p.id, next, end)
		}
		next = f.Next
		if end < 0 {
			end = f.End
		}
	}
	p.table = table
	return nil
}

// retry calls f until it succeeds, fails for good, or ctx ends. Once it has failed for longer than the budget, the
// partition is paused: not ready, and still trying. Promise 3: nothing is skipped because it fails.
func (p *part) retry(ctx context.Context, doing string, f func() error) error {
	err := f()
	if err == nil || isFinal(err) {
		return err
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval, wait.Multiplier = p.cfg.RetryMin, p.cfg.RetryMax, 2
	start, before := time.Now(), p.currentPhase()
	if ctx.Err() == nil {
		p.logger.WarnContext(ctx, "failed, trying again", "doing", doing, "error", err)
	}
	for {
		if time.Since(start) >= p.cfg.RetryBudget && p.currentPhase() != paused {
			p.logger.ErrorContext(ctx, "paused: the retry budget is used up, trying on", "doing", doing, "error", err)
			p.setPhase(paused, fmt.Errorf("%s: %w", doing, err))
		}
		if !pause(ctx, wait.NextBackOff()) {
			return fmt.Errorf("%s: %w", doing, errors.Join(err, context.Cause(ctx)))
		}
		if err = f(); err == nil || isFinal(err) {
			p.setPhase(before, nil)
			return err
		}
	}
}

func (p *part) setPhase(ph phase, trouble error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase, p.trouble = ph, trouble
}

func (p *part) currentPhase() phase {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.phase
}

// settle notes that everything before next is done with.
func (p *part) settle(next int64) {
	if next <= p.next {
		return
	}
	p.next = next
	p.progress.Store(time.Now().UnixNano())
	p.commit.settled(p.id, next)
}

// drainContext returns a context for work in flight: it outlives ctx by the drain timeout, but not a commit that failed,
// because another member may work on the partition then.
func (p *part) drainContext(ctx context.Context) (context.Context, context.CancelFunc) {
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		var lost *lostError
		if errors.As(context.Cause(ctx), &lost) {
			cancel(lost)
			return
		}
		t := time.AfterFunc(p.cfg.DrainTimeout, func() { cancel(errDrainTimeout) })
		context.AfterFunc(work, func() { t.Stop() })
	})
	return work, func() { stop(); cancel(nil) }
}

var errDrainTimeout = errors.New("the drain timeout is over")

// endingError is a failure of a handler whose partition is about to go. It is not retried: a drain finishes work, and the
// records come back.
type endingError struct{ err error }

func (e *endingError) Error() string { return e.err.Error() }
func (e *endingError) Unwrap() error { return e.err }

// unlessEnding makes err final if the assignment has ended.
func (p *part) unlessEnding(err error) error {
	select {
	case <-p.ending:
		if !isPermanent(err) {
			return &endingError{err}
		}
	default:
	}
	return err
}

func isFinal(err error) bool {
	var ending *endingError
	return isPermanent(err) || errors.As(err, &ending)
}

func isPermanent(err error) bool {
	_, ok := PermanentReason(err)
	return ok
}

// lasting makes a permanent error one to try again after, for what must not be given up.
func lasting(err error) error {
	if isPermanent(err) {
		return errors.New(err.Error())
	}
	return err
}

// pause waits and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Reasons of dead letters that the runtime makes itself.
const (
	// ReasonPanic is given to a record that made its handler panic.
	ReasonPanic = "PANIC"
	// ReasonTooLarge is given to a record whose outputs are larger than their topic accepts.
	ReasonTooLarge = "TOO_LARGE"
)
