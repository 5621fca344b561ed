package totals_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/services/visits/ranges"
	"github.com/throughline-dev/throughline/services/visits/totals"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func share(visit int, revision int64, watched int) totals.Contribution {
	at := noon.Add(time.Duration(visit) * time.Hour)
	return totals.Contribution{
		VisitID: fmt.Sprint("v", visit), Revision: revision, Visits: 1, Views: 1,
		Watched: time.Duration(watched) * time.Second, StartedAt: at, LastAt: at.Add(time.Minute),
		Ranges: ranges.Set{{From: float64(visit * 10), To: float64(visit*10 + 5)}},
	}
}

func TestTotals(t *testing.T) {
	t.Parallel()
	limits := totals.DefaultLimits()

	t.Run("ANewerRevisionReplacesAndAnOlderOneIsIgnored", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-5")
		var sum totals.Totals
		require.True(t, sum.Apply(share(1, 4, 10), limits))
		require.True(t, sum.Apply(share(1, 6, 25), limits))
		require.False(t, sum.Apply(share(1, 4, 10), limits))
		require.False(t, sum.Apply(share(1, 6, 25), limits))
		require.Equal(t, 25*time.Second, sum.Sum().Watched)
		require.EqualValues(t, 1, sum.Sum().Visits)
	})

	t.Run("AWithdrawnVisitTakesEverythingAlong", func(t *testing.T) {
		t.Parallel()
		var sum totals.Totals
		sum.Apply(share(1, 4, 10), limits)
		sum.Apply(share(2, 8, 20), limits)
		sum.Apply(totals.Contribution{VisitID: "v2", Revision: 10}, limits)
		require.False(t, sum.Apply(share(2, 8, 20), limits), "what came before the withdrawal stays away")
		got := sum.Sum()
		require.EqualValues(t, 1, got.Visits)
		require.Equal(t, ranges.Set{{From: 10, To: 15}}, got.Ranges)
		require.Equal(t, noon.Add(time.Hour+time.Minute), got.LastAt)
	})

	t.Run("AVisitThatWasForgottenAndStartsAnewTakesNothingAway", func(t *testing.T) {
		t.Parallel()
		var sum totals.Totals
		first, again := share(1, 4, 60), share(9, 900, 5)
		again.VisitID = first.VisitID
		sum.Apply(first, limits)
		require.True(t, sum.Apply(again, limits))
		require.False(t, sum.Apply(first, limits), "what came before comes again")
		require.False(t, sum.Apply(again, limits))
		got := sum.Sum()
		require.EqualValues(t, 2, got.Visits)
		require.Equal(t, 65*time.Second, got.Watched)
		require.Equal(t, ranges.Set{{From: 10, To: 15}, {From: 90, To: 95}}, got.Ranges)

		again.Revision, again.Watched = 902, 10*time.Second
		require.True(t, sum.Apply(again, limits))
		require.Equal(t, 70*time.Second, sum.Sum().Watched, "its own revisions replace each other")
	})

	t.Run("TheOldestVisitIsFoldedAndStillCounts", func(t *testing.T) {
		t.Parallel()
		var sum totals.Totals
		small := totals.Limits{Visits: 2, Ranges: 2}
		for i := range 6 {
			require.True(t, sum.Apply(share(i, int64(i+1), 10), small))
		}
		require.Len(t, sum.Visits, 2)
		require.LessOrEqual(t, len(sum.Folded.Ranges), 2)
		got := sum.Sum()
		require.EqualValues(t, 6, got.Visits)
		require.EqualValues(t, 6, got.Views)
		require.Equal(t, time.Minute, got.Watched)
		require.Equal(t, noon, got.StartedAt)

		require.True(t, sum.Apply(share(0, 99, 500), small))
		require.EqualValues(t, 6, sum.Sum().Visits, "a later revision of a folded visit is not counted twice")
		require.Equal(t, time.Minute, sum.Sum().Watched)
	})
}

func TestTotalsNeverCountAVisitTwice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var sum totals.Totals
		var before totals.Contribution
		limits := totals.Limits{Visits: rapid.IntRange(1, 4).Draw(t, "limit"), Ranges: 8}
		distinct := map[int]bool{}
		last := noon
		for revision := range rapid.IntRange(1, 60).Draw(t, "n") {
			// A shared link: many visits of what counts as one person go on at the same time.
			visit := rapid.IntRange(0, 9).Draw(t, "visit")
			distinct[visit] = true
			last = last.Add(time.Second)
			sum.Apply(totals.Contribution{
				VisitID: fmt.Sprint("v", visit), Revision: int64(revision), Visits: 1, Views: 1,
				Watched: 10 * time.Second, StartedAt: noon.Add(time.Duration(visit) * time.Minute), LastAt: last.Add(10 * time.Minute),
				Ranges: ranges.Set{{From: 0, To: float64(revision + 1)}},
			}, limits)
			got := sum.Sum()
			require.LessOrEqual(t, int(got.Visits), len(distinct))
			require.LessOrEqual(t, got.Watched, time.Duration(len(distinct))*10*time.Second)
			require.GreaterOrEqual(t, got.Visits, before.Visits, "nothing is forgotten")
			require.GreaterOrEqual(t, got.Watched, before.Watched)
			require.Equal(t, last.Add(10*time.Minute), got.LastAt, "who is still there was there last")
			before = got
		}
	})
}

func TestTotalsDoNotDependOnOrderOrRepetition(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-5")
	rapid.Check(t, func(t *rapid.T) {
		newest := map[string]totals.Contribution{}
		var all []totals.Contribution
		for i := range rapid.IntRange(0, 20).Draw(t, "n") {
			c := share(rapid.IntRange(0, 5).Draw(t, "visit"), int64(i), rapid.IntRange(0, 50).Draw(t, "watched"))
			if rapid.IntRange(0, 4).Draw(t, "withdrawn") == 0 {
				c = totals.Contribution{VisitID: c.VisitID, Revision: c.Revision}
			}
			newest[c.VisitID] = c // Revisions ascend, so the last one of a visit is its newest.
			all = append(all, c, c)
		}
		var want, got totals.Totals
		for _, c := range newest {
			want.Visits = append(want.Visits, c)
		}
		for _, c := range rapid.Permutation(all).Draw(t, "order") {
			got.Apply(c, totals.DefaultLimits())
		}
		require.Equal(t, want.Sum(), got.Sum())
	})
}
