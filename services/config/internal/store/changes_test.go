package store

import (
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func setupChanges(t *testing.T) (*Store, func(workspace string)) {
	t.Helper()
	s, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "config.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	saves := 0
	return s, func(workspace string) {
		saves++
		require.NoError(t, s.Put(t.Context(), Save{
			Key: Key{workspace, KindContent, strconv.Itoa(saves)}, Body: []byte("x"), At: time.Unix(0, 0),
		}))
	}
}

// TestARevisionThatNobodyNotedMakesASnapshotWhole: a program of another version, or code that forgets to note what it changes,
// must cost time and not correctness.
func TestARevisionThatNobodyNotedMakesASnapshotWhole(t *testing.T) {
	t.Parallel()
	s, put := setupChanges(t)
	put("acme")
	put("globex")
	_, err := s.write.Exec("UPDATE revision SET value = value + 1")
	require.NoError(t, err)
	put("acme")
	for since, wantSince := range map[int64]int64{2: 0, 3: 0, 4: 4} {
		snap, err := s.Snapshot(t.Context(), since)
		require.NoError(t, err)
		require.Equal(t, int64(5), snap.Revision)
		require.Equal(t, wantSince, snap.Since, "since %d", since)
		require.Equal(t, int64(4), snap.Known)
		require.Equal(t, map[string]int64{"acme": 5}, snap.Touched)
	}
}

func TestWhatIsRememberedOfChangesIsBounded(t *testing.T) {
	t.Parallel()
	s, put := setupChanges(t)
	put("acme")
	_, err := s.write.Exec("UPDATE revision SET value = $1", keptChanges)
	require.NoError(t, err)
	_, err = s.write.Exec("UPDATE changes SET revision = $1", keptChanges)
	require.NoError(t, err)
	_, err = s.write.Exec("INSERT INTO changes (revision, workspace) VALUES (1, 'old'), (2, 'older')")
	require.NoError(t, err)
	put("globex")
	put("globex")
	var n int
	require.NoError(t, s.read.QueryRow("SELECT COUNT(*) FROM changes").Scan(&n))
	require.Equal(t, 3, n, "the two oldest are forgotten")
}
