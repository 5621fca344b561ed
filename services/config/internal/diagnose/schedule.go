package diagnose

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Claims gives every due connection to one replica.
type Claims interface {
	ClaimChecks(ctx context.Context, now, then time.Time, limit int) ([]store.DueCheck, error)
}

// parallel is how many orgs a replica asks at once.
const parallel = 4

// wait is how long until the next diagnosis of a connection that was in the state at a time.
func (s *Service) wait(status connstate.Status, verdict connstate.Verdict, at time.Time) time.Duration {
	if verdict == connstate.Damped {
		return s.deps.Keeper.Rules.Hold // well for so long, and it counts as well
	}
	jitter := time.Duration((2*s.deps.Random() - 1) * s.cfg.Jitter * float64(s.cfg.Every))
	switch status.State {
	case connstate.NoPackage, connstate.Degraded, connstate.Revoked, connstate.Authorised:
		// Trouble that has lasted long will last longer.
		return max(s.cfg.RecheckMin, min(at.Sub(status.Since), s.cfg.Every+jitter))
	}
	return s.cfg.Every + jitter
}

// Run diagnoses connections whose time has come, and those in trouble, until ctx ends. It begins after a tick: what was due while
// nobody ran can wait for that, too.
func (s *Service) Run(ctx context.Context) {
	var following sync.WaitGroup
	following.Go(func() { s.follow(ctx) })
	defer following.Wait()
	ticker := time.NewTicker(s.cfg.Tick)
	defer ticker.Stop()
	for looks := 0; ; looks++ {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if looks == 0 {
			following.Go(func() { s.startUp(ctx) })
		}
		if err := s.Due(ctx); err != nil && ctx.Err() == nil {
			s.deps.Logger.ErrorContext(ctx, "connections that are due for diagnosis could not be looked for; they will be", "error", err)
		}
	}
}

func (s *Service) startUp(ctx context.Context) {
	if err := s.CheckVersions(ctx); err != nil && ctx.Err() == nil {
		s.deps.Logger.ErrorContext(ctx, "API versions could not be compared with what the orgs list; the daily look will", "error", err)
	}
}

// Due diagnoses the connections whose time has come, once. Those that nobody has authorised are put off: there is nothing to
// ask with.
func (s *Service) Due(ctx context.Context) error {
	now := s.deps.Clock.Now()
	due, err := s.deps.Claims.ClaimChecks(ctx, now, now.Add(s.cfg.RecheckMin), s.cfg.Batch)
	if err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(parallel)
	for _, d := range due {
		group.Go(func() error {
			s.one(ctx, d, now)
			return nil
		})
	}
	return group.Wait()
}

// one diagnoses a connection that was due at a time.
func (s *Service) one(ctx context.Context, d store.DueCheck, now time.Time) {
	var err error
	switch d.Status.State {
	case connstate.NotConnected, connstate.Awaiting, connstate.Disconnected:
		err = s.deps.Diagnoses.ScheduleCheck(ctx, d.Workspace, d.Connection, now.Add(s.wait(d.Status, connstate.Same, now)))
	default:
		_, _, err = s.look(ctx, d.Workspace, d.Connection)
	}
	if err != nil && ctx.Err() == nil {
		s.deps.Logger.WarnContext(ctx, "a connection could not be diagnosed; it will be tried again",
			"workspace", d.Workspace, "connection", d.Connection, "error", err)
	}
}
