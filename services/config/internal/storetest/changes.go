package storetest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// changes are what watchers that follow are told.
func changes(t *testing.T, open Open) {
	t.Run("HoldOnlyWhatIsNew", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		for _, ws := range []string{"acme", "globex", "initech"} {
			require.NoError(t, s.Put(ctx, save(ws, store.KindWorkspace, ws, 0, "ws")))
			require.NoError(t, s.Put(ctx, save(ws, store.KindIntegration, "a", 0, "v1")))
		}
		all, err := s.Snapshot(ctx, 0)
		require.NoError(t, err)
		require.Zero(t, all.Since)
		require.Equal(t, int64(7), all.Revision)
		require.Equal(t, int64(1), all.Known, "from the first save on")
		require.Equal(t, map[string]int64{"acme": 3, "globex": 5, "initech": 7}, all.Touched)
		require.NotEmpty(t, all.Lineage)

		require.NoError(t, s.Put(ctx, save("globex", store.KindIntegration, "a", 1, "v2")))
		require.NoError(t, s.Put(ctx, save("globex", store.KindContent, "v", 0, "off")))
		next, err := s.Snapshot(ctx, all.Revision)
		require.NoError(t, err)
		require.Equal(t, all.Revision, next.Since)
		require.Equal(t, int64(9), next.Revision)
		require.Equal(t, all.Lineage, next.Lineage)
		require.Equal(t, map[string]int64{"globex": 9}, next.Touched)
		require.Len(t, next.Documents, 2)
		require.Len(t, next.Integrations, 2)
		for _, d := range append(next.Documents, next.Integrations...) {
			require.Equal(t, "globex", d.Workspace)
		}
	})

	t.Run("AreEverythingWhenTooManyOrFromTheFuture", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		const many = 70
		for n := range many {
			ws := fmt.Sprintf("ws-%02d", n)
			require.NoError(t, s.Put(ctx, save(ws, store.KindWorkspace, ws, 0, "ws")))
		}
		for _, since := range []int64{1, 1000} {
			all, err := s.Snapshot(ctx, since)
			require.NoError(t, err)
			require.Zero(t, all.Since)
			require.Len(t, all.Documents, many)
		}
	})

	t.Run("AreOfOneDatabase", func(t *testing.T) {
		t.Parallel()
		one, err := open(t).Snapshot(t.Context(), 0)
		require.NoError(t, err)
		other, err := open(t).Snapshot(t.Context(), 0)
		require.NoError(t, err)
		require.NotEqual(t, one.Lineage, other.Lineage)
	})
}
