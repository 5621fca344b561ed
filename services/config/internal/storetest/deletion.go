package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

func deletion(t *testing.T, open Open) {
	t.Run("TakesWhatBelongsToTheConnectionAndNothingElse", func(t *testing.T) {
		t.Attr("requirement", "WALK-5")
		t.Parallel()
		s, ctx := open(t), t.Context()
		for _, workspace := range []string{"acme", "globex"} {
			setupConnection(t, s, workspace)
			_, _, err := s.ChangeState(ctx, workspace, "main", false, become(connstate.Authorised, epoch))
			require.NoError(t, err)
		}
		require.NoError(t, s.Put(ctx, save("acme", store.KindConnection, "other", 0, "two")))
		doc, err := s.Get(ctx, store.Key{Workspace: "acme", Kind: store.KindConnection, ID: "main"})
		require.NoError(t, err)
		before, err := s.Revision(ctx)
		require.NoError(t, err)

		by := store.Act{Actor: "aoi", Action: "DeleteConnection", At: epoch}
		require.ErrorIs(t, s.DeleteConnection(ctx, "acme", "main", doc.Version+1, by), store.ErrStale)
		require.ErrorIs(t, s.DeleteConnection(ctx, "acme", "none", 1, by), store.ErrNotFound)
		require.NoError(t, s.DeleteConnection(ctx, "acme", "main", doc.Version, by))
		after, err := s.Revision(ctx)
		require.NoError(t, err)
		require.Equal(t, before+1, after, "watchers hear of it")

		_, err = s.Get(ctx, doc.Key)
		require.ErrorIs(t, err, store.ErrNotFound)
		states, err := s.ConnectionStates(ctx, "acme")
		require.NoError(t, err)
		require.Empty(t, states)
		changes, err := s.StateHistory(ctx, "acme", "main", 10)
		require.NoError(t, err)
		require.Empty(t, changes)
		entries, err := s.AuditEntries(ctx, store.AuditQuery{Workspace: "acme", Action: "DeleteConnection", Limit: 10})
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.Equal(t, "main", entries[0].Target)
		_, err = s.Get(ctx, store.Key{Workspace: "acme", Kind: store.KindConnection, ID: "other"})
		require.NoError(t, err)
		states, err = s.ConnectionStates(ctx, "globex")
		require.NoError(t, err)
		require.Len(t, states, 1, "another workspace's connection of that id")

		require.ErrorIs(t, s.Put(ctx, save("acme", store.KindConnection, "main", 0, "again")), store.ErrDeleted)
		for range 3 {
			_, err = s.PurgeHistory(ctx, store.Purge{Before: epoch.Add(1000 * time.Hour), Limit: 100})
			require.NoError(t, err)
		}
		require.ErrorIs(t, s.Put(ctx, save("acme", store.KindConnection, "main", 0, "again")), store.ErrDeleted, "however long ago")
	})

	t.Run("WhoMadeASettingStaysKnown", func(t *testing.T) {
		t.Attr("requirement", "WALK-5")
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.Put(ctx, save("acme", store.KindConnection, "main", 0, "one")))
		next := save("acme", store.KindConnection, "main", 1, "two")
		next.Author, next.At = "ren", epoch.Add(time.Hour)
		require.NoError(t, s.Put(ctx, next))
		_, err := s.PurgeHistory(ctx, store.Purge{Before: epoch.Add(1000 * time.Hour), Limit: 100})
		require.NoError(t, err)
		made, err := s.Creations(ctx, "acme", store.KindConnection)
		require.NoError(t, err)
		require.Equal(t, map[string]store.Creation{"main": {At: epoch, By: "tester"}}, made)
		made, err = s.Creations(ctx, "globex", store.KindConnection)
		require.NoError(t, err)
		require.Empty(t, made)
	})
}
