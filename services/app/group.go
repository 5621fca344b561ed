package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Service is one service of a process.
type Service interface {
	// Run blocks until ctx ends and the service has drained, or until it fails for a reason that is not input.
	Run(ctx context.Context) error
	// Ready reports nil, or why the service cannot do its work now.
	Ready() error
}

// member is a named service of a group.
type member struct {
	name    string
	service Service
}

// group runs members that feed each other. They start from the end of the flow, so that each finds the next one alive,
// and stop from its beginning, so that each can drain into a neighbour that is still there.
type group struct {
	// members in order of start: the end of the flow first.
	members []member
	// stopTimeout bounds how long one member may take to drain. Promise 7.
	stopTimeout time.Duration
	logger      *slog.Logger
}

// running is a started member.
type running struct {
	member
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

// run starts all members and blocks until ctx ends or one of them fails; then it stops all. It returns the errors of those
// that failed.
func (g *group) run(ctx context.Context) error {
	failed := make(chan struct{})
	var once sync.Once
	started := make([]*running, 0, len(g.members))
	for _, m := range g.members {
		// A member's context ends when it is its turn to stop, not when the process is told to.
		mctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		r := &running{member: m, cancel: cancel, done: make(chan struct{})}
		started = append(started, r)
		go func() {
			defer close(r.done)
			if r.err = guarded(func() error { return r.service.Run(mctx) }); r.err != nil || mctx.Err() == nil {
				once.Do(func() { close(failed) })
			}
		}()
		g.logger.Info("started", "service", m.name)
	}
	select {
	case <-ctx.Done():
	case <-failed:
	}
	return g.stop(started)
}

func (g *group) stop(started []*running) error {
	var errs []error
	for i := len(started) - 1; i >= 0; i-- {
		r := started[i]
		r.cancel()
		timer := time.NewTimer(g.stopTimeout)
		select {
		case <-r.done:
			timer.Stop()
			if r.err != nil && !errors.Is(r.err, context.Canceled) {
				errs = append(errs, fmt.Errorf("%s: %w", r.name, r.err))
			}
			g.logger.Info("stopped", "service", r.name)
		case <-timer.C:
			// What it had in flight is unsettled in Kafka and comes back: promise 3.
			errs = append(errs, fmt.Errorf("%s did not drain within %s", r.name, g.stopTimeout))
		}
	}
	return errors.Join(errs...)
}

// ready reports the first member that is not ready, or nil.
func (g *group) ready() error {
	var errs []error
	for _, m := range g.members {
		if err := m.service.Ready(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.name, err))
		}
	}
	return errors.Join(errs...)
}
