package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// forgetting is an outcome in which an org says to forget a person.
func forgetting(workspace, id, key string, at time.Duration) store.Outcome {
	return store.Outcome{
		Workspace: workspace, ID: id, DecidedAt: epoch.Add(at), Stage: "mapping", Status: 2, Body: []byte(id),
		Forget: &store.Forget{PersonKey: key, Connection: "main", Object: "Lead", RecordID: "00Q" + key},
	}
}

func proposals(t *testing.T, open Open) {
	const day = 24 * time.Hour
	act := func(at time.Duration) store.Act {
		return store.Act{Actor: "aoi", Role: "privacy_officer", Action: "DismissErasureProposal", At: epoch.Add(at)}
	}
	people := func(t *testing.T, s *store.Store, workspace string) (keys []string) {
		t.Helper()
		all, err := s.Proposals(t.Context(), workspace, plenty)
		require.NoError(t, err)
		for _, p := range all {
			keys = append(keys, p.PersonKey)
		}
		return keys
	}
	t.Run("AreMadeOncePerPerson", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		for range 2 {
			require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{
				forgetting("acme", "o1", "a", 0), forgetting("acme", "o2", "b", time.Second), forgetting("acme", "o3", "a", time.Minute),
				forgetting("globex", "o4", "a", 0),
				{Workspace: "acme", ID: "o5", DecidedAt: epoch, Stage: "mapping", Status: 2, Body: []byte("x")},
			}))
		}
		require.Equal(t, []string{"a", "b"}, people(t, s, "acme"))
		all, err := s.Proposals(ctx, "acme", 1)
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.Equal(t, epoch, all[0].ProposedAt)
		got, err := s.Proposal(ctx, "acme", all[0].ID)
		require.NoError(t, err)
		require.Equal(t, all[0], got)
		_, err = s.Proposal(ctx, "globex", all[0].ID)
		require.ErrorIs(t, err, store.ErrNotFound, "promise 9")
	})
	t.Run("EndWithAnErasureAndAreNotMadeAboutWhoIsErased", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{forgetting("acme", "o1", "a", 0), forgetting("acme", "o2", "b", 0), forgetting("globex", "o3", "a", 0)}))
		_, err := s.StartErasure(ctx, erasure("acme", "e1", 1, "a"), plenty)
		require.NoError(t, err)
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{forgetting("acme", "o4", "a", time.Hour)}))
		require.Equal(t, []string{"b"}, people(t, s, "acme"))
		require.Equal(t, []string{"a"}, people(t, s, "globex"))
		_, err = s.Lift(ctx, "acme", []string{"a"}, act(2*time.Hour))
		require.NoError(t, err)
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{forgetting("acme", "o5", "a", 3*time.Hour)}))
		require.Equal(t, []string{"b", "a"}, people(t, s, "acme"), "who registered again may ask again")
	})
	t.Run("StayAwayForAWhileOnceDismissed", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{forgetting("acme", "o1", "a", 0)}))
		all, err := s.Proposals(ctx, "acme", plenty)
		require.NoError(t, err)
		require.ErrorIs(t, s.DismissProposal(ctx, "globex", all[0].ID, act(0)), store.ErrNotFound)
		require.NoError(t, s.DismissProposal(ctx, "acme", all[0].ID, act(0)))
		require.ErrorIs(t, s.DismissProposal(ctx, "acme", all[0].ID, act(0)), store.ErrNotFound)
		_, err = s.Proposal(ctx, "acme", all[0].ID)
		require.ErrorIs(t, err, store.ErrNotFound)
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{forgetting("acme", "o2", "a", 29*day)}))
		require.Empty(t, people(t, s, "acme"))
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{forgetting("acme", "o3", "a", 30*day)}))
		require.Equal(t, []string{"a"}, people(t, s, "acme"))
	})
}
