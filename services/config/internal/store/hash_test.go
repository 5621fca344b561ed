package store

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOutcomesWithTheSameHashAreKeptApart forces what happens by chance once in 10^9 rows or so.
func TestOutcomesWithTheSameHashAreKeptApart(t *testing.T) {
	t.Parallel()
	s, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "config.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	a := Outcome{Workspace: "acme", ID: "a", DecidedAt: time.Unix(1, 0), Stage: "s", Status: 1, VisitID: "v", Body: []byte("a")}
	b := a
	b.ID, b.Body = "b", []byte("b")
	require.NoError(t, s.RecordOutcomes(t.Context(), []Outcome{a}))
	_, err = s.write.Exec("UPDATE outcomes SET id_hash = $1", idHash("acme", "b"))
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, s.RecordOutcomes(t.Context(), []Outcome{b}))
	}
	rows, err := s.Outcomes(t.Context(), OutcomeQuery{Workspace: "acme", VisitID: "v", Limit: 10})
	require.NoError(t, err)
	require.Len(t, rows, 2)
	counts, err := s.CountOutcomes(t.Context(), "acme", time.Time{}, time.Time{})
	require.NoError(t, err)
	require.Equal(t, int64(2), counts[0].N)
}
