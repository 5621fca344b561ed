package diagnose

import (
	"context"
	"time"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
)

// troubles are the reasons of outcomes that a diagnosis explains: a right was taken away (IMM-2), the package was uninstalled
// (LOOM-7), a field was encrypted (ZOOM-4).
var troubles = map[streamv1.Reason]bool{
	streamv1.Reason_REASON_SF_NO_PERMISSION:              true,
	streamv1.Reason_REASON_SF_FIELD_GONE:                 true,
	streamv1.Reason_REASON_FIELD_ENCRYPTED_PROBABILISTIC: true,
}

// noteQueue is how many outcomes wait for their turn; what finds it full is told again by the next one (promise 7).
const noteQueue = 1000

// note is trouble with a connection.
type note struct {
	key lifecycle.Key
	at  time.Time
}

// Observe takes note of an outcome: one that tells of trouble that a diagnosis would find has the connection looked at soon. It
// never waits. Safe for concurrent use.
func (s *Service) Observe(o *streamv1.Outcome) {
	if !troubles[o.GetReason()] || o.GetConnection() == "" || o.GetStatus() == streamv1.Status_STATUS_SKIPPED {
		return
	}
	select {
	case s.notes <- note{lifecycle.Key{Workspace: o.GetWorkspace(), Connection: o.GetConnection()}, o.GetDecidedAt().AsTime()}:
	default:
	}
}

// follow has connections in trouble looked at, until ctx ends.
func (s *Service) follow(ctx context.Context) {
	asked := map[lifecycle.Key]time.Time{}
	for {
		select {
		case n := <-s.notes:
			s.bringForward(ctx, asked, n)
		case <-ctx.Done():
			return
		}
	}
}

// bringForward has a connection looked at now, unless it was since, or not long ago for the same reason: outcomes come in
// numbers, and again when their topic is read again.
func (s *Service) bringForward(ctx context.Context, asked map[lifecycle.Key]time.Time, n note) {
	now := s.deps.Clock.Now()
	if last, ok := asked[n.key]; ok && now.Sub(last) < s.cfg.RecheckMin {
		return
	}
	if d, err := s.Last(ctx, n.key.Workspace, n.key.Connection); err == nil && d.GetAt().AsTime().After(n.at) {
		return
	}
	if len(asked) >= noteQueue { // promise 7: what is forgotten costs a look too many
		clear(asked)
	}
	asked[n.key] = now
	if err := s.deps.Diagnoses.ScheduleCheck(ctx, n.key.Workspace, n.key.Connection, now); err != nil && ctx.Err() == nil {
		s.deps.Logger.WarnContext(ctx, "a connection in trouble could not be brought forward; the daily look will come",
			"workspace", n.key.Workspace, "connection", n.key.Connection, "error", err)
	}
}
