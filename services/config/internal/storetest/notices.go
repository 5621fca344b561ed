package storetest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

func found(workspace, id string) store.Notice {
	return store.Notice{Workspace: workspace, ID: id, Body: []byte(id)}
}

func notices(t *testing.T, open Open) {
	t.Run("EndAndComeBack", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.SeeNotices(ctx, []store.Notice{found("acme", "a"), found("acme", "b"), found("globex", "a")}, epoch))
		require.NoError(t, s.SeeNotices(ctx, []store.Notice{found("acme", "a"), found("globex", "a")}, epoch.Add(time.Minute)))
		rows, err := s.Notices(ctx, "acme", epoch.Add(time.Hour))
		require.NoError(t, err)
		require.Len(t, rows, 1)
		require.Equal(t, epoch, rows[0].BeganAt)
		require.Equal(t, epoch.Add(time.Minute), rows[0].SeenAt)
		rows, err = s.Notices(ctx, "acme", epoch)
		require.NoError(t, err)
		require.Len(t, rows, 2)
		require.Equal(t, epoch.Add(time.Minute), rows[1].EndedAt)

		require.NoError(t, s.SeeNotices(ctx, []store.Notice{found("acme", "b")}, epoch.Add(2*time.Minute)))
		rows, err = s.Notices(ctx, "acme", epoch.Add(time.Hour))
		require.NoError(t, err)
		require.Len(t, rows, 1)
		require.Equal(t, epoch.Add(2*time.Minute), rows[0].BeganAt, "it began anew")
		workspaces, err := s.WorkspacesWithNotices(ctx)
		require.NoError(t, err)
		require.Equal(t, []string{"acme"}, workspaces)

		require.NoError(t, s.SeeNotices(ctx, nil, epoch), "a look that was slower than another one")
		rows, err = s.Notices(ctx, "acme", epoch.Add(time.Hour))
		require.NoError(t, err)
		require.Len(t, rows, 1)
		require.NoError(t, s.PurgeNotices(ctx, epoch.Add(time.Hour)))
		rows, err = s.Notices(ctx, "acme", epoch)
		require.NoError(t, err)
		require.Len(t, rows, 1, "what is in the way stays")
	})

	t.Run("AreQuietOnRequest", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.SeeNotices(ctx, []store.Notice{found("acme", "a")}, epoch))
		n := found("acme", "a")
		n.QuietUntil, n.QuietBy = epoch.Add(time.Hour), "hanako"
		act := store.Act{Actor: "hanako", Action: "QuietNotice", At: epoch}
		require.NoError(t, s.QuietNotice(ctx, n, act))
		rows, err := s.Notices(ctx, "acme", epoch)
		require.NoError(t, err)
		require.Equal(t, "hanako", rows[0].QuietBy)
		require.Equal(t, epoch.Add(time.Hour), rows[0].QuietUntil)
		n.Workspace = "globex"
		require.ErrorIs(t, s.QuietNotice(ctx, n, act), store.ErrNotFound)
	})
}

func tellings(t *testing.T, open Open) {
	t.Run("AreMadeByOne", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		telling := store.Telling{Workspace: "acme", Notice: "a", Recipient: "ops"}
		var claims atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				ok, _, err := s.ClaimTelling(context.Background(), telling, epoch, epoch.Add(time.Minute))
				if err != nil {
					t.Error(err)
				}
				if ok {
					claims.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, claims.Load())
		require.NoError(t, s.FailTelling(ctx, telling, epoch.Add(2*time.Minute)))
		ok, _, err := s.ClaimTelling(ctx, telling, epoch.Add(time.Minute), epoch.Add(3*time.Minute))
		require.NoError(t, err)
		require.False(t, ok)
		ok, tries, err := s.ClaimTelling(ctx, telling, epoch.Add(2*time.Minute), epoch.Add(3*time.Minute))
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, 1, tries)
		require.NoError(t, s.FinishTelling(ctx, telling, epoch.Add(2*time.Minute), epoch.Add(24*time.Hour)))
		ok, tries, err = s.ClaimTelling(ctx, telling, epoch.Add(24*time.Hour), epoch.Add(25*time.Hour))
		require.NoError(t, err)
		require.True(t, ok)
		require.Zero(t, tries)
	})
}
