package storetest

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Statuses and reasons of the outcomes in these tests.
const (
	written, skipped, failed = 1, 2, 4
	reasonSuperseded         = 34
)

func outcome(workspace, id string, minute int) store.Outcome {
	return store.Outcome{
		Workspace: workspace, ID: id, DecidedAt: epoch.Add(time.Duration(minute) * time.Minute), Stage: "writer",
		Status: written, EventID: "event-" + id, VisitID: "visit", EngagementID: "engagement", WriteKey: "write-" + id,
		RecordID: "00Q" + id, Body: []byte("body of " + id),
	}
}

func ids(rows []store.Outcome) []string {
	out := make([]string, len(rows))
	for i := range rows {
		out[i] = rows[i].ID
	}
	return out
}

// count returns "stage/status/reason" → n.
func count(t *testing.T, s *store.Store, workspace string, from, to time.Time) map[string]int64 {
	t.Helper()
	list, err := s.CountOutcomes(t.Context(), workspace, from, to)
	require.NoError(t, err)
	out := map[string]int64{}
	for _, c := range list {
		out[fmt.Sprintf("%s/%d/%d", c.Stage, c.Status, c.Reason)] = c.N
	}
	return out
}

func runLog(t *testing.T, open Open) {
	t.Run("FindsRowsByEveryId", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		trouble := outcome("acme", "c", 2)
		trouble.Status, trouble.Reason, trouble.RecordID = failed, 89, ""
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{outcome("acme", "a", 0), outcome("acme", "b", 1), trouble}))
		for name, tc := range map[string]struct {
			q    store.OutcomeQuery
			want []string
		}{
			"event":      {store.OutcomeQuery{EventID: "event-a"}, []string{"a"}},
			"visit":      {store.OutcomeQuery{VisitID: "visit"}, []string{"c", "b", "a"}},
			"engagement": {store.OutcomeQuery{EngagementID: "engagement"}, []string{"c", "b", "a"}},
			"write":      {store.OutcomeQuery{WriteKey: "write-b"}, []string{"b"}},
			"record":     {store.OutcomeQuery{RecordID: "00Qa"}, []string{"a"}},
			"status":     {store.OutcomeQuery{Status: failed}, []string{"c"}},
			"written":    {store.OutcomeQuery{Status: written}, []string{"b", "a"}},
			"reason":     {store.OutcomeQuery{Reason: 89}, []string{"c"}},
			"from":       {store.OutcomeQuery{From: epoch.Add(time.Minute)}, []string{"c", "b"}},
			"to":         {store.OutcomeQuery{To: epoch.Add(time.Minute)}, []string{"a"}},
			"both":       {store.OutcomeQuery{VisitID: "visit", Status: failed}, []string{"c"}},
			"nothing":    {store.OutcomeQuery{EventID: "event-x"}, []string{}},
		} {
			tc.q.Workspace, tc.q.Limit = "acme", 10
			rows, err := s.Outcomes(ctx, tc.q)
			require.NoError(t, err, name)
			require.Equal(t, tc.want, ids(rows), name)
		}
		rows, err := s.Outcomes(ctx, store.OutcomeQuery{Workspace: "acme", EventID: "event-c", Limit: 1})
		require.NoError(t, err)
		require.Equal(t, []store.Outcome{trouble}, rows)
	})
}

func pages(t *testing.T, open Open) {
	t.Run("PagesWithoutGapsOrRepeats", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		var batch []store.Outcome
		for i := range 25 {
			batch = append(batch, outcome("acme", fmt.Sprintf("%02d", i), i/5)) // five share each time
		}
		require.NoError(t, s.RecordOutcomes(ctx, batch))
		var seen []string
		q := store.OutcomeQuery{Workspace: "acme", VisitID: "visit", Limit: 7}
		for {
			rows, err := s.Outcomes(ctx, q)
			require.NoError(t, err)
			if len(rows) == 0 {
				break
			}
			seen = append(seen, ids(rows)...)
			last := rows[len(rows)-1]
			q.After = store.OutcomePosition{DecidedAt: last.DecidedAt, ID: last.ID}
		}
		require.Len(t, seen, 25)
		for i, id := range seen {
			require.Equal(t, fmt.Sprintf("%02d", 24-i), id)
		}
	})

	t.Run("StaysWithinTheWorkspace", func(t *testing.T) {
		t.Attr("requirement", "XC-19")
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{outcome("acme", "same", 0), outcome("globex", "same", 0)}))
		rows, err := s.Outcomes(ctx, store.OutcomeQuery{Workspace: "globex", EventID: "event-same", Limit: 10})
		require.NoError(t, err)
		require.Len(t, rows, 1)
		require.Equal(t, "globex", rows[0].Workspace)
		require.Equal(t, map[string]int64{"writer/1/0": 1}, count(t, s, "acme", time.Time{}, time.Time{}))
		require.Empty(t, count(t, s, "initech", time.Time{}, time.Time{}))
	})
}

func retention(t *testing.T, open Open) {
	t.Run("ForgetsWhatIsTooOld", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		var batch []store.Outcome
		for i := range 10 {
			batch = append(batch, outcome("acme", strconv.Itoa(i), i))
		}
		require.NoError(t, s.RecordOutcomes(ctx, batch))
		n, err := s.PurgeOutcomes(ctx, before(epoch.Add(8*time.Minute)), 5)
		require.NoError(t, err)
		require.Equal(t, int64(5), n)
		n, err = s.PurgeOutcomes(ctx, before(epoch.Add(8*time.Minute)), 5)
		require.NoError(t, err)
		require.Equal(t, int64(3), n)
		rows, err := s.Outcomes(ctx, store.OutcomeQuery{Workspace: "acme", VisitID: "visit", Limit: 10})
		require.NoError(t, err)
		require.Equal(t, []string{"9", "8"}, ids(rows))
		require.Equal(t, map[string]int64{"writer/1/0": 10}, count(t, s, "acme", time.Time{}, time.Time{}))
		require.NoError(t, s.PurgeCounts(ctx, before(epoch.Add(time.Hour))))
		require.Empty(t, count(t, s, "acme", time.Time{}, time.Time{}))
	})
	t.Run("EveryWorkspaceHasItsOwn", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{outcome("acme", "a", 0), outcome("globex", "g", 0), outcome("held", "h", 0)}))
		own := func(workspace string) time.Time {
			return map[string]time.Time{"acme": epoch.Add(time.Hour), "globex": epoch}[workspace] // held: never
		}
		n, err := s.PurgeOutcomes(ctx, own, 5)
		require.NoError(t, err)
		require.Equal(t, int64(1), n)
		require.NoError(t, s.PurgeCounts(ctx, own))
		for workspace, left := range map[string]int{"acme": 0, "globex": 1, "held": 1} {
			rows, err := s.Outcomes(ctx, store.OutcomeQuery{Workspace: workspace, VisitID: "visit", Limit: 10})
			require.NoError(t, err)
			require.Len(t, rows, left, workspace)
			require.Len(t, count(t, s, workspace, time.Time{}, time.Time{}), left, workspace)
		}
	})
}

// before is the same cutoff for everybody.
func before(at time.Time) store.Cutoff { return func(string) time.Time { return at } }

func oddTexts(t *testing.T, open Open) {
	t.Run("NeverGetStuck", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		odd := outcome("ac\x00me", "a\x00", 0)
		odd.Stage, odd.EventID, odd.RecordID = "wri\x00ter", "event\x00", "日本語 ' ; --"
		for range 2 {
			require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{odd}))
		}
		rows, err := s.Outcomes(ctx, store.OutcomeQuery{Workspace: "ac\uFFFDme", RecordID: odd.RecordID, Limit: 10})
		require.NoError(t, err)
		require.Equal(t, []string{"a\uFFFD"}, ids(rows))
		rows, err = s.Outcomes(ctx, store.OutcomeQuery{Workspace: "ac\uFFFDme", EventID: "event\uFFFD", Limit: 10})
		require.NoError(t, err)
		require.Len(t, rows, 1)
	})
}

func counts(t *testing.T, open Open) {
	t.Run("CountARepeatOnce", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		a, b := outcome("acme", "a", 0), outcome("acme", "b", 0)
		for range 3 {
			require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{a, b, a}))
		}
		require.Equal(t, map[string]int64{"writer/1/0": 2}, count(t, s, "acme", time.Time{}, time.Time{}))
	})

	t.Run("FollowTheNewestDecision", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		parked, done := outcome("acme", "a", 0), outcome("acme", "a", 90)
		parked.Status, parked.Reason = 3, 87
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{parked}))
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{done}))
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{parked}), "a replay of the past")
		require.Equal(t, map[string]int64{"writer/1/0": 1}, count(t, s, "acme", time.Time{}, time.Time{}))
		rows, err := s.Outcomes(ctx, store.OutcomeQuery{Workspace: "acme", EventID: "event-a", Limit: 10})
		require.NoError(t, err)
		require.Equal(t, []store.Outcome{done}, rows)
	})
}

func ranges(t *testing.T, open Open) {
	t.Run("AnswerForAnyRange", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		var batch []store.Outcome
		for i := range 300 { // one a minute for five hours
			o := outcome("acme", strconv.Itoa(i), i)
			if i%2 == 1 {
				o.Status, o.Reason = skipped, reasonSuperseded
			}
			batch = append(batch, o)
		}
		require.NoError(t, s.RecordOutcomes(ctx, batch))
		for _, r := range [][2]int{{0, 300}, {0, 1}, {30, 50}, {60, 120}, {59, 121}, {10, 290}, {61, 119}, {50, 70}} {
			got := count(t, s, "acme", epoch.Add(time.Duration(r[0])*time.Minute), epoch.Add(time.Duration(r[1])*time.Minute))
			var total int64
			for _, n := range got {
				total += n
			}
			require.Equal(t, int64(r[1]-r[0]), total, "%v", r)
		}
		require.Equal(t, map[string]int64{"writer/1/0": 120, "writer/2/34": 120},
			count(t, s, "acme", epoch.Add(time.Hour), time.Time{}))
		require.Equal(t, map[string]int64{"writer/1/0": 30, "writer/2/34": 30},
			count(t, s, "acme", time.Time{}, epoch.Add(time.Hour)))
	})
}

func repeats(t *testing.T, open Open) {
	t.Run("AreRightUnderConcurrentRepeats", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for chunk := range 5 {
					var batch []store.Outcome
					for i := range 40 {
						batch = append(batch, outcome("acme", strconv.Itoa(chunk*20+i), i))
					}
					err := s.RecordOutcomes(ctx, batch)
					for range 20 { // as a stage does: again until it is done
						if err != nil {
							err = s.RecordOutcomes(ctx, batch)
						}
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		require.Equal(t, map[string]int64{"writer/1/0": 120}, count(t, s, "acme", time.Time{}, time.Time{}))
	})
}
