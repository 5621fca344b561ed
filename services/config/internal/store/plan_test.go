package store

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestEveryLookUpUsesItsIndex reads SQLite's query plans: a condition worded differently from a partial index would
// silently scan the whole run log.
func TestEveryLookUpUsesItsIndex(t *testing.T) {
	t.Parallel()
	s, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "config.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	for index, q := range map[string]OutcomeQuery{
		"outcomes_by_event (bucket=? AND event_hash=?)":           {EventID: "x"},
		"outcomes_by_visit (bucket=? AND visit_hash=?)":           {VisitID: "x", From: time.Unix(1, 0)},
		"outcomes_by_engagement (bucket=? AND engagement_hash=?)": {EngagementID: "x"},
		"outcomes_by_write (bucket=? AND write_hash=?)":           {WriteKey: "x"},
		"outcomes_by_record (bucket=? AND record_hash=?)":         {RecordID: "x", Status: statusWritten},
		"outcomes_by_trouble (workspace=? AND status=?":           {Status: 4},
		"outcomes_by_time (workspace=?":                           {Status: statusWritten},
		"outcomes_by_time (workspace=? AND decided_at>?":          {From: time.Unix(1, 0)},
	} {
		q.Workspace, q.Limit = "acme", 10
		require.Contains(t, plan(t, s, q), index)
	}
}

func plan(t *testing.T, s *Store, q OutcomeQuery) string {
	t.Helper()
	query, args := q.sql(true)
	rows, err := s.read.Query("EXPLAIN QUERY PLAN "+query, args...)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		require.NoError(t, rows.Scan(&id, &parent, &unused, &detail))
		plan.WriteString(detail + "\n")
	}
	require.NoError(t, rows.Err())
	return plan.String()
}

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
