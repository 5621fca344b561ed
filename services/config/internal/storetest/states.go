package storetest

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// become decides for a state, by the rules.
func become(state connstate.State, at time.Time) store.Decide {
	return func(now connstate.Status) (connstate.Status, connstate.Verdict, error) {
		return connstate.DefaultRules().Next(now, connstate.Change{
			To: state, Reason: streamv1.Reason_REASON_SF_APP_BLOCKED, Cause: "TEST", Actor: "aoi", At: at,
		})
	}
}

func states(t *testing.T, open Open) {
	t.Run("AreKeptWithTheirHistory", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		setupConnection(t, s, "acme")
		unknown, err := s.ConnectionStatus(ctx, "acme", "main")
		require.NoError(t, err)
		require.Equal(t, connstate.Status{}, unknown)

		revision, err := s.Revision(ctx)
		require.NoError(t, err)
		_, _, err = s.ChangeState(ctx, "acme", "main", false, become(connstate.Authorised, epoch))
		require.NoError(t, err)
		status, verdict, err := s.ChangeState(ctx, "acme", "main", true, become(connstate.Degraded, epoch.Add(time.Second)))
		require.NoError(t, err)
		require.Equal(t, connstate.Changed, verdict)
		_, verdict, err = s.ChangeState(ctx, "acme", "main", false, become(connstate.Degraded, epoch.Add(time.Minute)))
		require.NoError(t, err)
		require.Equal(t, connstate.Same, verdict)

		kept, err := s.ConnectionStatus(ctx, "acme", "main")
		require.NoError(t, err)
		require.Equal(t, status, kept)
		require.Equal(t, epoch.Add(time.Second), kept.Since)
		after, err := s.Revision(ctx)
		require.NoError(t, err)
		require.Equal(t, revision+2, after, "watchers hear of changes, and of nothing else")

		history, err := s.StateHistory(ctx, "acme", "main", 10)
		require.NoError(t, err)
		require.Len(t, history, 2)
		require.Equal(t, connstate.Authorised, history[0].From)
		require.Equal(t, connstate.Degraded, history[0].To.State)
		require.Equal(t, streamv1.Reason_REASON_SF_APP_BLOCKED, history[0].To.Reason)
		require.Equal(t, "aoi", history[0].To.Actor)
		require.True(t, history[0].Manual)
		require.False(t, history[1].Manual)

		snap, err := s.Snapshot(ctx, 0)
		require.NoError(t, err)
		require.Equal(t, []store.ConnectionState{{Workspace: "acme", Connection: "main", Status: status}}, snap.States)
		list, err := s.ConnectionStates(ctx, "globex")
		require.NoError(t, err)
		require.Empty(t, list)
	})
}

func stateSafety(t *testing.T, open Open) {
	t.Run("RefuseWhatIsIllegal", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		_, _, err := s.ChangeState(ctx, "acme", "main", false, become(connstate.NotConnected, epoch))
		require.NoError(t, err)
		before, err := s.Revision(ctx)
		require.NoError(t, err)
		_, _, err = s.ChangeState(ctx, "acme", "main", false, become(connstate.Ready, epoch))
		require.ErrorIs(t, err, connstate.ErrIllegal)
		status, err := s.ConnectionStatus(ctx, "acme", "main")
		require.NoError(t, err)
		require.Equal(t, connstate.NotConnected, status.State)
		after, err := s.Revision(ctx)
		require.NoError(t, err)
		require.Equal(t, before, after)
	})

	t.Run("AreDecidedByOneAtATime", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, _, err := s.ChangeState(ctx, "acme", "main", false, func(now connstate.Status) (connstate.Status, connstate.Verdict, error) {
					now.Recoveries++
					now.Cause, now.Actor, now.State = "n"+strconv.Itoa(now.Recoveries), "x", connstate.Authorised
					return now, connstate.Changed, nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		history, err := s.StateHistory(ctx, "acme", "main", 100)
		require.NoError(t, err)
		require.Len(t, history, 8)
		require.Equal(t, "n8", history[0].To.Cause)
	})
}

func checks(t *testing.T, open Open) {
	t.Run("AreClaimedOnce", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		setupConnection(t, s, "acme")
		setupConnection(t, s, "globex")
		later := epoch.Add(time.Hour)
		var mu sync.Mutex
		var claimed []store.DueCheck
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				due, err := s.ClaimChecks(ctx, epoch, later, 10)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				claimed = append(claimed, due...)
			})
		}
		wg.Wait()
		require.Len(t, claimed, 2, "connections without a state are found too")
		due, err := s.ClaimChecks(ctx, later, later.Add(time.Hour), 1)
		require.NoError(t, err)
		require.Len(t, due, 1)
		require.NoError(t, s.ScheduleCheck(ctx, "acme", "main", epoch))
		require.NoError(t, s.ScheduleCheck(ctx, "globex", "main", epoch.Add(24*time.Hour)))
		due, err = s.ClaimChecks(ctx, later, later, 10)
		require.NoError(t, err)
		require.Len(t, due, 1)
		require.Equal(t, "acme", due[0].Workspace)
	})

	t.Run("NewestDiagnosisIsKept", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		_, err := s.Diagnosis(ctx, "acme", "main")
		require.ErrorIs(t, err, store.ErrNotFound)
		require.NoError(t, s.SaveDiagnosis(ctx, "acme", "main", epoch.Add(time.Minute), []byte("new")))
		require.NoError(t, s.SaveDiagnosis(ctx, "acme", "main", epoch, []byte("late")))
		body, err := s.Diagnosis(ctx, "acme", "main")
		require.NoError(t, err)
		require.Equal(t, "new", string(body))
		_, err = s.Diagnosis(ctx, "globex", "main")
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}
