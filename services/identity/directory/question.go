package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/throughline-dev/throughline/libs/stage"
)

// question is a round that is being asked, in a goroutine of its own.
type question struct {
	round *round
	// done is closed when the round is over; nobody else may look into it before.
	done chan struct{}
	// giveUp ends the question if it has not reached the org yet.
	giveUp context.CancelFunc
}

// begin asks one org what the round does not know.
func (s *Salesforce) begin(ctx context.Context, r *round) *question {
	waiting, giveUp := context.WithCancel(ctx)
	q := &question{round: r, done: make(chan struct{}), giveUp: giveUp}
	go func() {
		defer close(q.done)
		defer giveUp()
		r.err = s.contact(ctx, waiting, r)
	}()
	return q
}

// wait reports whether the round is over. A round whose members are not all patient is left to itself when time is over, which
// is noted in over for the next one.
func (q *question) wait(over *<-chan time.Time) bool {
	if q.round.patient {
		<-q.done
		return true
	}
	select {
	case <-q.done:
		return true
	case <-*over:
		gone := make(chan time.Time)
		close(gone)
		*over = gone
	}
	select {
	case <-q.done:
		return true
	default:
		q.giveUp() // else those who wait for a slow org would become ever more
		return false
	}
}

// contact asks the org, when it has a place there and there is one among all orgs. Promise 7.
func (s *Salesforce) contact(ctx, waiting context.Context, r *round) error {
	b := s.breaker(r.key)
	for _, places := range []chan struct{}{b.places, s.slots} {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		case <-waiting.Done():
			if err := ctx.Err(); err != nil {
				return err
			}
			return ErrSlow
		}
	}
	if !b.allow(s.clock.Now()) {
		return ErrResting
	}
	asking, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	err := guarded(func() error {
		org, err := s.orgs.Org(r.workspace, r.connection)
		if err != nil {
			return err
		}
		return r.ask(asking, org)
	})
	switch {
	case err == nil:
		b.succeeded()
	case ctx.Err() == nil: // A stop says nothing about the org.
		s.undescribe(r.key, err)
		b.failed(s.clock.Now())
		s.stats.Failures.Add(1)
	}
	return err
}

// guarded is f. A panic in it is the trouble of the org that was asked, and not the process's, which other orgs' people go
// through (promise 6). Where it was is told, and not what it said: that may quote a person (promise 8).
func guarded(f func() error) error {
	err := stage.Guarded(f)
	if defect, ok := errors.AsType[*stage.PanicError](err); ok {
		return fmt.Errorf("the question %w", defect)
	}
	return err
}
