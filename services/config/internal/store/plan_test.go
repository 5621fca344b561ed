package store_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// asked are the questions to the run log, in every shape that has a plan of its own.
func asked() map[string]store.OutcomeQuery {
	const written, failed, reason = 1, 4, 89
	hour := time.Unix(3600, 0)
	questions := map[string]store.OutcomeQuery{
		"event": {EventID: "x"}, "visit": {VisitID: "x", From: hour}, "engagement": {EngagementID: "x"}, "write": {WriteKey: "x"},
		"record": {RecordID: "x", Status: written}, "failed": {Status: failed}, "failed in an hour": {Status: failed, From: hour, To: hour.Add(time.Hour)},
		"reason": {Reason: reason}, "failed for a reason": {Status: failed, Reason: reason}, "written": {Status: written}, "hour": {From: hour, To: hour.Add(time.Hour)},
		"a later page": {From: hour, After: store.OutcomePosition{DecidedAt: hour.Add(time.Hour), ID: "x"}},
	}
	for name, q := range questions {
		q.Workspace, q.Limit = "acme", 101
		questions[name] = q
	}
	return questions
}

// TestEveryLookUpUsesItsIndex reads SQLite's query plans: a condition worded differently from a partial index would silently scan the
// whole run log.
func TestEveryLookUpUsesItsIndex(t *testing.T) {
	t.Parallel()
	plans, err := openSQLite(t).Plans(t.Context(), asked())
	require.NoError(t, err)
	for name, index := range map[string]string{
		"event":               "outcomes_by_event (bucket=? AND event_hash=?)",
		"visit":               "outcomes_by_visit (bucket=? AND visit_hash=?)",
		"engagement":          "outcomes_by_engagement (bucket=? AND engagement_hash=?)",
		"write":               "outcomes_by_write (bucket=? AND write_hash=?)",
		"record":              "outcomes_by_record (bucket=? AND record_hash=?)",
		"failed":              "outcomes_by_trouble (workspace=? AND status=?",
		"failed in an hour":   "outcomes_by_trouble (workspace=? AND status=? AND decided_at>? AND decided_at<?)",
		"reason":              "outcomes_by_reason (workspace=? AND reason=?)",
		"failed for a reason": "outcomes_by_reason (workspace=? AND reason=?)",
		"written":             "outcomes_by_time (workspace=?",
		"hour":                "outcomes_by_time (workspace=? AND decided_at>? AND decided_at<?)",
		"a later page":        "outcomes_by_time (workspace=? AND decided_at>? AND decided_at<?)",
		"outcome by id":       "sqlite_autoindex_outcomes_1 (id_hash=?)",
		"old ones":            "outcomes_by_time (workspace=? AND decided_at<?)",
		"workspaces":          "SEARCH outcome_counts USING COVERING INDEX sqlite_autoindex_outcome_counts_1 (workspace>?)",
		"doubtful runs":       "report_runs USING INDEX sqlite_autoindex_report_runs_1 (workspace=? AND id=?)",
	} {
		require.Contains(t, plans[name], index, name)
		require.NotContains(t, plans[name], "SCAN outcomes", name)
		require.NotContains(t, plans[name], "SCAN report_runs", name)
		require.NotContains(t, plans[name], "SCAN l", name)
	}
	for _, ordered := range []string{"failed", "failed in an hour", "reason", "failed for a reason", "written", "hour", "a later page"} {
		require.NotContains(t, plans[ordered], "TEMP B-TREE FOR ORDER BY", "%s: only rows of one moment are put in order", ordered)
	}
}

// TestEveryLookUpUsesItsIndexOnPostgres reads PostgreSQL's plans, for rows that came before anybody gathered statistics and for those
// that it knows, and as plans are that are made once for every parameter.
func TestEveryLookUpUsesItsIndexOnPostgres(t *testing.T) {
	t.Parallel()
	s := openPostgres(t)
	batch := make([]store.Outcome, 6000)
	for n := range batch {
		id := strconv.Itoa(n)
		batch[n] = store.Outcome{
			Workspace: []string{"acme", "globex"}[n%2], ID: id, DecidedAt: time.Unix(int64(n), 0), Stage: "writer", Status: 1, EventID: "e" + id,
			VisitID: "v" + id, EngagementID: "g" + id, WriteKey: "w" + id, RecordID: "r" + id, Body: make([]byte, 500),
		}
		if n%10 < 2 {
			batch[n].Status, batch[n].Reason = 4, 70+int32(n%7)
		}
	}
	require.NoError(t, s.RecordOutcomes(t.Context(), batch))
	for _, step := range []struct {
		name     string
		settings []string
		prepare  func() error
	}{
		{"without statistics", nil, func() error { return nil }},
		{"with statistics", nil, func() error { return s.Analyze(t.Context()) }},
		{"one plan for all", []string{"SET plan_cache_mode = force_generic_plan"}, func() error { return nil }},
	} {
		require.NoError(t, step.prepare())
		plans, err := s.Plans(t.Context(), asked(), step.settings...)
		require.NoError(t, err)
		for name, index := range map[string]string{
			"event": "outcomes_by_event", "visit": "outcomes_by_visit", "engagement": "outcomes_by_engagement", "write": "outcomes_by_write",
			"record": "outcomes_by_record", "outcome by id": "outcomes_id_hash_key", "old ones": "outcomes_by_time", "hour": "outcomes_by_time",
		} {
			require.Contains(t, plans[name], index, "%s, %s", step.name, name)
			require.NotContains(t, plans[name], "Seq Scan on outcomes", "%s, %s", step.name, name)
		}
	}
}
