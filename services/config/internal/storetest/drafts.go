package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// later is when the drafts of these tests end.
var later = epoch.Add(30 * 24 * time.Hour)

func draft(id string, version int64, content string) store.Draft {
	return store.Draft{
		Workspace: "acme", Kind: "event-setup", ID: id, Version: version, Content: content,
		SavedAt: epoch, SavedBy: "aoi", ExpiresAt: later,
	}
}

// drafts are what somebody has entered and not finished.
func drafts(t *testing.T, open Open) {
	const most = 3
	t.Run("AreRefusedWhenAnotherTabSaved", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		_, err := s.PutDraft(ctx, draft("one", 0, "nowhere"), most)
		require.ErrorIs(t, err, store.ErrNotFound, "no workspace")
		require.NoError(t, s.Put(ctx, save("acme", store.KindWorkspace, "acme", 0, "ws")))
		_, err = s.PutDraft(ctx, draft("one", 4, "none"), most)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = s.PutDraft(ctx, draft("one", 0, "first"), most)
		require.NoError(t, err)
		for _, version := range []int64{0, 2} {
			there, err := s.PutDraft(ctx, draft("one", version, "late"), most)
			require.ErrorIs(t, err, store.ErrStale)
			require.Equal(t, int64(1), there.Version)
		}
		_, err = s.PutDraft(ctx, draft("one", 1, "second"), most)
		require.NoError(t, err)
		got, err := s.Draft(ctx, "acme", "event-setup", "one", epoch)
		require.NoError(t, err)
		want := draft("one", 2, "second")
		require.Equal(t, want, got)
		_, err = s.Draft(ctx, "globex", "event-setup", "one", epoch)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = s.Draft(ctx, "acme", "report", "one", epoch)
		require.ErrorIs(t, err, store.ErrNotFound)
	})

	t.Run("EndAfterTheirTime", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.Put(ctx, save("acme", store.KindWorkspace, "acme", 0, "ws")))
		for n := range most {
			_, err := s.PutDraft(ctx, draft(fmt.Sprint("d", n), 0, "x"), most)
			require.NoError(t, err)
		}
		_, err := s.PutDraft(ctx, draft("more", 0, "x"), most)
		require.ErrorIs(t, err, store.ErrFull)
		all, err := s.Drafts(ctx, "acme", "", epoch)
		require.NoError(t, err)
		require.Len(t, all, most)
		require.Empty(t, all[0].Content)
		none, err := s.Drafts(ctx, "acme", "report", epoch)
		require.NoError(t, err)
		require.Empty(t, none)

		_, err = s.Draft(ctx, "acme", "event-setup", "d0", later)
		require.ErrorIs(t, err, store.ErrNotFound, "its time is over")
		again := draft("d0", 0, "anew")
		again.SavedAt, again.ExpiresAt = later, later.Add(time.Hour)
		_, err = s.PutDraft(ctx, again, most)
		require.NoError(t, err, "what has expired is not in the way")
		for range 2 {
			n, err := s.PurgeDrafts(ctx, later, 1)
			require.NoError(t, err)
			require.Equal(t, int64(1), n)
		}
		n, err := s.PurgeDrafts(ctx, later, 1)
		require.NoError(t, err)
		require.Zero(t, n)
		require.NoError(t, s.DeleteDraft(ctx, "acme", "event-setup", "d0"))
		require.ErrorIs(t, s.DeleteDraft(ctx, "acme", "event-setup", "d0"), store.ErrNotFound)
	})
}

// together are several settings in one save.
func together(t *testing.T, open Open) {
	t.Run("AreSavedAllOrNone", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.PutAll(ctx, nil))
		require.NoError(t, s.PutAll(ctx, []store.Save{save("acme", store.KindContent, "a", 0, "1"), save("acme", store.KindContent, "b", 0, "1")}))
		before, err := s.Revision(ctx)
		require.NoError(t, err)
		err = s.PutAll(ctx, []store.Save{save("acme", store.KindContent, "a", 1, "2"), save("acme", store.KindContent, "b", 7, "2")})
		require.ErrorIs(t, err, store.ErrStale)
		require.ErrorContains(t, s.PutAll(ctx, []store.Save{save("acme", store.KindContent, "c", 0, "1"), save("globex", store.KindContent, "c", 0, "1")}),
			"two workspaces")
		after, err := s.Revision(ctx)
		require.NoError(t, err)
		require.Equal(t, before, after)
		docs, err := s.List(ctx, "acme", store.KindContent)
		require.NoError(t, err)
		require.Len(t, docs, 2)
		for _, d := range docs {
			require.Equal(t, int64(1), d.Version)
			require.Equal(t, "1", string(d.Body))
		}
	})

	t.Run("AreNotForWatchersUnlessOneReadsThem", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.PutAll(ctx, []store.Save{
			save("acme", store.KindContent, "a", 0, "1"), save("acme", store.KindContentDefaults, "acme", 0, "1"),
			save("acme", store.KindEventSetup, "acme", 0, "1"),
		}))
		all, err := s.Snapshot(ctx, 0)
		require.NoError(t, err)
		require.Len(t, all.Documents, 1)
		require.Equal(t, store.KindContent, all.Documents[0].Kind)
	})
}
