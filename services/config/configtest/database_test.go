package configtest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/configtest"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// TestEveryTestHasAnEmptyDatabaseOfItsOwn: what one test saves no other sees, and all begin at the revision of a new database.
func TestEveryTestHasAnEmptyDatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, other := filepath.Join(dir, "one", "config.db"), filepath.Join(dir, "other", "config.db")
	s, err := store.OpenSQLite(t.Context(), configtest.Database(t, one))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	key := store.Key{Workspace: "acme", Kind: store.KindWorkspace, ID: "acme"}
	require.NoError(t, s.Put(t.Context(), store.Save{Key: key, Body: []byte("ws")}))

	second, err := store.OpenSQLite(t.Context(), configtest.Database(t, other))
	require.NoError(t, err)
	defer func() { require.NoError(t, second.Close()) }()
	_, err = second.Get(t.Context(), key)
	require.ErrorIs(t, err, store.ErrNotFound)

	made := filepath.Join(dir, "made", "config.db")
	fresh, err := store.OpenSQLite(t.Context(), made)
	require.NoError(t, err)
	defer func() { require.NoError(t, fresh.Close()) }()
	want, err := fresh.Snapshot(t.Context(), 0)
	require.NoError(t, err)
	got, err := second.Snapshot(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, want.Revision, got.Revision)
	mine, err := s.Snapshot(t.Context(), 0)
	require.NoError(t, err)
	require.NotEqual(t, mine.Lineage, got.Lineage)
	require.Len(t, got.Lineage, len(want.Lineage))
	info, err := os.Stat(other)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}
