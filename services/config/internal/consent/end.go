package consent

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// ended is an attempt that is over: it holds no secret any more.
func ended(f store.Flow, status configv1.FlowStatus, result *configv1.FlowResult, now time.Time) (store.Flow, error) {
	next := f
	next.Status, next.StateHash, next.CookieHash, next.Sealed, next.ExpiresAt, next.By = status, nil, nil, nil, now, nil
	body, err := proto.Marshal(result)
	next.Result = body
	return next, err
}

// Cancel ends a pending attempt; what it holds is revoked.
func (s *Service) Cancel(ctx context.Context, workspace, id string, by store.Act) (store.Flow, error) {
	f, err := s.deps.Find.Flow(ctx, workspace, id)
	if err != nil {
		return f, err
	}
	if !f.Pending() {
		return f, failure(CodeCancelled, "it has ended already")
	}
	f.By = &by
	return s.end(ctx, f, configv1.FlowStatus_FLOW_STATUS_CANCELLED, failure(CodeCancelled, "withdrawn by "+by.Actor))
}

func (s *Service) expire(ctx context.Context, f store.Flow) error {
	_, err := s.end(ctx, f, configv1.FlowStatus_FLOW_STATUS_EXPIRED, failure(CodeNotInTime, "nobody came in time"))
	if errors.Is(err, store.ErrStale) {
		return nil // somebody came after all, or another replica was faster
	}
	return err
}

// end ends a pending attempt from outside; f.By says whose call that is.
func (s *Service) end(ctx context.Context, f store.Flow, status configv1.FlowStatus, why *Failure) (store.Flow, error) {
	result := why.result()
	var revoke *store.Revocation
	if a, err := s.open(f); err == nil && a.RefreshToken != "" {
		result.Org = a.Org.message()
		if revoke, err = s.revocation(f, a, secret.New(a.RefreshToken)); err != nil {
			return f, err
		}
	}
	next, err := ended(f, status, result, s.deps.Clock.Now())
	if err != nil {
		return f, err
	}
	next.By = f.By
	if err := s.deps.Flows.MoveFlow(ctx, f, next, revoke); err != nil {
		return f, err
	}
	s.revoke(ctx, revoke)
	s.unfinished(ctx, f, why, f.Actor)
	return next, nil
}

// unfinished takes a connection that was waiting back to where nobody has authorised anything, or to what in the org kept it
// from being authorised (LOOM-11, IMM-3). One that works is left as it is.
func (s *Service) unfinished(ctx context.Context, f store.Flow, why *Failure, actor string) {
	ctx = context.WithoutCancel(ctx)
	status, err := s.deps.Keeper.Status(ctx, keyOf(f))
	if err == nil && status.State != connstate.Awaiting {
		return
	}
	c := connstate.Change{To: connstate.NotConnected, Cause: lifecycle.CauseNotFinished, Actor: actor}
	if why.Reason != 0 {
		c = connstate.Change{To: connstate.Degraded, Reason: why.Reason, Cause: lifecycle.CauseOf(why.Code, why.Reason), Actor: lifecycle.ActorSalesforce}
	}
	s.note(ctx, f, c)
}

// sweepBatch bounds how many attempts one sweep ends.
const sweepBatch = 100

// Sweep ends attempts whose time is over, of all workspaces, and forgets old ones.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.deps.Clock.Now()
	flows, err := s.deps.Flows.ExpiredFlows(ctx, now, now.Add(-s.cfg.KeepEnded), sweepBatch)
	for _, f := range flows {
		err = errors.Join(err, s.expire(ctx, f))
	}
	return err
}
