package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

func flow(workspace, id string) store.Flow {
	return store.Flow{
		ID: id, Workspace: workspace, Connection: "main", Actor: "aoi", SetupLink: true, Status: configv1.FlowStatus_FLOW_STATUS_WAITING,
		TicketHash: []byte("ticket " + id), Sealed: []byte("sealed"), CreatedAt: epoch, ExpiresAt: epoch.Add(time.Hour),
	}
}

// ended is the flow after it went wrong.
func ended(f store.Flow) store.Flow {
	f.Status, f.Sealed, f.StateHash, f.Result = configv1.FlowStatus_FLOW_STATUS_FAILED, nil, nil, []byte("why")
	return f
}

func flows(t *testing.T, open Open) {
	t.Run("ComeBackAsCreatedAndStayWithinTheWorkspace", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.CreateFlow(ctx, flow("acme", "a")))
		for name, read := range map[string]func() (store.Flow, error){
			"id":         func() (store.Flow, error) { return s.Flow(ctx, "acme", "a") },
			"ticket":     func() (store.Flow, error) { return s.FlowByTicket(ctx, []byte("ticket a")) },
			"connection": func() (store.Flow, error) { return s.PendingFlow(ctx, "acme", "main") },
		} {
			f, err := read()
			require.NoError(t, err, name)
			require.Equal(t, flow("acme", "a"), f, name)
		}
		_, err := s.Flow(ctx, "globex", "a")
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = s.FlowByState(ctx, []byte("state"))
		require.ErrorIs(t, err, store.ErrNotFound)
	})

	t.Run("OneIsPendingPerConnection", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.CreateFlow(ctx, flow("acme", "a")))
		require.ErrorIs(t, s.CreateFlow(ctx, flow("acme", "b")), store.ErrPending)
		require.NoError(t, s.CreateFlow(ctx, flow("globex", "c")))
		require.NoError(t, s.MoveFlow(ctx, flow("acme", "a"), ended(flow("acme", "a")), nil))
		require.NoError(t, s.CreateFlow(ctx, flow("acme", "b")))
		got, err := s.Flow(ctx, "acme", "a")
		require.NoError(t, err)
		require.Nil(t, got.Sealed)
		require.False(t, got.Pending())
		require.Equal(t, "why", string(got.Result))
	})
}

func flowSteps(t *testing.T, open Open) {
	t.Run("EveryStepIsMadeOnce", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		was := flow("acme", "a")
		was.Status, was.StateHash = configv1.FlowStatus_FLOW_STATUS_AT_SALESFORCE, []byte("state")
		require.NoError(t, s.CreateFlow(ctx, was))
		found, err := s.FlowByState(ctx, []byte("state"))
		require.NoError(t, err)
		next := found
		next.Status = configv1.FlowStatus_FLOW_STATUS_EXCHANGING
		var moved, late atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				switch err := s.MoveFlow(ctx, found, next, nil); {
				case err == nil:
					moved.Add(1)
				case errors.Is(err, store.ErrStale):
					late.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, [2]int32{1, 7}, [2]int32{moved.Load(), late.Load()})
		other := next
		other.StateHash = []byte("of an earlier try")
		require.ErrorIs(t, s.MoveFlow(ctx, other, ended(next), nil), store.ErrStale)
	})

	t.Run("ExpiredOnesAreFoundAndEndedOnesForgotten", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.CreateFlow(ctx, flow("acme", "a")))
		found, err := s.ExpiredFlows(ctx, epoch.Add(time.Hour-1000), epoch, 10)
		require.NoError(t, err)
		require.Empty(t, found)
		found, err = s.ExpiredFlows(ctx, epoch.Add(time.Hour), epoch, 10)
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.NoError(t, s.MoveFlow(ctx, found[0], ended(found[0]), nil))
		_, err = s.ExpiredFlows(ctx, epoch, epoch.Add(2*time.Hour), 10)
		require.NoError(t, err)
		_, err = s.Flow(ctx, "acme", "a")
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

func revocations(t *testing.T, open Open) {
	t.Run("ComeWithWhatForgetsTheToken", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		revoke := &store.Revocation{ID: "r1", Workspace: "acme", Connection: "main", Sealed: []byte("token"), NextAt: epoch, CreatedAt: epoch}
		edit := save("acme", store.KindConnection, "main", 1, "conn")
		edit.Sealed, edit.Revoke = []byte("nothing"), revoke
		require.ErrorIs(t, s.Put(ctx, edit), store.ErrNotFound)
		due, err := s.ClaimRevocations(ctx, epoch, epoch, 10)
		require.NoError(t, err)
		require.Empty(t, due, "both or neither")
		setupConnection(t, s, "acme")
		require.NoError(t, s.Put(ctx, edit))
		require.NoError(t, s.CreateFlow(ctx, flow("acme", "a")))
		second := *revoke
		second.ID = "r2"
		require.NoError(t, s.MoveFlow(ctx, flow("acme", "a"), ended(flow("acme", "a")), &second))

		later := epoch.Add(time.Minute)
		due, err = s.ClaimRevocations(ctx, epoch, later, 10)
		require.NoError(t, err)
		require.Len(t, due, 2)
		require.Equal(t, 1, due[0].Attempts)
		require.Equal(t, "token", string(due[0].Sealed))
		none, err := s.ClaimRevocations(ctx, epoch, later, 10)
		require.NoError(t, err)
		require.Empty(t, none, "claimed by one")
		require.NoError(t, s.DropRevocation(ctx, "r1"))
		require.NoError(t, s.PostponeRevocation(ctx, "r2", later.Add(time.Hour)))
		none, err = s.ClaimRevocations(ctx, later, later, 10)
		require.NoError(t, err)
		require.Empty(t, none)
		due, err = s.ClaimRevocations(ctx, later.Add(time.Hour), later, 10)
		require.NoError(t, err)
		require.Len(t, due, 1)
		require.Equal(t, 2, due[0].Attempts)
		require.Equal(t, epoch, due[0].CreatedAt)
	})
}
