package storetest

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

func decided(id, integration string, status int32, at time.Time) store.Outcome {
	o := outcome("acme", id, 0)
	o.Integration, o.Status, o.DecidedAt = integration, status, at
	return o
}

// days are what integrations did, day by day.
func days(t *testing.T, open Open) {
	t.Run("AddUpWhatAnIntegrationDid", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-36") // by days of UTC
		s, ctx := open(t), t.Context()
		noon := epoch.Truncate(24 * time.Hour).Add(12 * time.Hour)
		elsewhere := decided("z", "rule", written, noon)
		elsewhere.Workspace = "globex"
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{
			decided("a", "rule", written, noon.Add(2*time.Hour)), decided("b", "rule", written, noon), decided("c", "rule", skipped, noon.Add(time.Hour)),
			decided("d", "rule", failed, noon.Add(5*time.Hour)), decided("e", "rule", failed, noon.Add(3*time.Hour)),
			decided("f", "other", 3, noon), decided("g", "rule", 5, noon.Add(12*time.Hour)), decided("h", "", written, noon), elsewhere,
		}))
		got, err := s.IntegrationDays(ctx, store.DayQuery{Workspace: "acme", Limit: 10})
		require.NoError(t, err)
		require.Len(t, got, 3)
		require.Equal(t, []string{"rule", "other", "rule"}, []string{got[0].Integration, got[1].Integration, got[2].Integration})
		require.Equal(t, noon.Add(12*time.Hour), got[0].Day)
		require.Equal(t, int64(1), got[0].Retrying)
		require.Equal(t, int64(1), got[1].Parked)
		day := got[2]
		require.Equal(t, []int64{5, 2, 1, 0, 2, 0}, []int64{day.Read, day.Written, day.Skipped, day.Parked, day.Failed, day.Retrying})
		require.Equal(t, noon, day.First)
		require.Equal(t, noon.Add(5*time.Hour), day.Last)
		require.Equal(t, "e", day.FirstError.ID, "the earliest")
		require.Equal(t, "body of e", string(day.FirstError.Body))
		require.Nil(t, got[0].FirstError)

		for _, q := range []store.DayQuery{
			{Integration: "rule", To: noon.Add(12 * time.Hour)}, {Integration: "rule", To: noon}, {Integration: "rule", From: noon, To: noon.Add(time.Minute)},
		} {
			q.Workspace, q.Limit = "acme", 10
			got, err := s.IntegrationDays(ctx, q)
			require.NoError(t, err)
			require.Len(t, got, 1)
			require.Equal(t, day.Read, got[0].Read)
		}
	})

	t.Run("CountEachOutcomeOnceUnderItsNewestDecision", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		first := decided("a", "rule", failed, epoch)
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{first}))
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{first, decided("b", "rule", failed, epoch.Add(time.Minute))}))
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{decided("a", "rule", written, epoch.Add(time.Hour))}))
		got, err := s.IntegrationDays(ctx, store.DayQuery{Workspace: "acme", Limit: 10})
		require.NoError(t, err)
		require.Len(t, got, 1)
		require.Equal(t, []int64{2, 1, 1}, []int64{got[0].Read, got[0].Written, got[0].Failed})
		require.Nil(t, got[0].FirstError, "the first that failed has been written since")
	})
}

// dayPages is about how they are read and how long they stay.
func dayPages(t *testing.T, open Open) {
	t.Run("PageWithoutGapsOrRepeats", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		var batch []store.Outcome
		for n := range 30 {
			batch = append(batch, decided(strconv.Itoa(n), fmt.Sprint("rule-", n%3), int32(1+n%4), epoch.AddDate(0, 0, n/6))) //nolint:gosec // small
		}
		require.NoError(t, s.RecordOutcomes(ctx, batch))
		q, seen := store.DayQuery{Workspace: "acme", Limit: 4}, map[string]bool{}
		for {
			got, err := s.IntegrationDays(ctx, q)
			require.NoError(t, err)
			for _, d := range got {
				key := d.Day.String() + d.Integration
				require.False(t, seen[key])
				require.Equal(t, int64(2), d.Read)
				seen[key] = true
				q.AfterDay, q.AfterIntegration = d.Day, d.Integration
			}
			if len(got) < q.Limit {
				break
			}
		}
		require.Len(t, seen, 15)
	})

	t.Run("GoWhenTheirTimeIsOver", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{
			decided("a", "rule", failed, epoch), decided("b", "rule", written, epoch.AddDate(0, 0, 1)),
		}))
		_, err := s.PurgeOutcomes(ctx, before(epoch.AddDate(0, 0, 1)), 10)
		require.NoError(t, err)
		got, err := s.IntegrationDays(ctx, store.DayQuery{Workspace: "acme", Limit: 10})
		require.NoError(t, err)
		require.Len(t, got, 2, "counts outlive the rows")
		require.Nil(t, got[1].FirstError)
		require.NoError(t, s.PurgeCounts(ctx, before(epoch.AddDate(0, 0, 1))))
		got, err = s.IntegrationDays(ctx, store.DayQuery{Workspace: "acme", Limit: 10})
		require.NoError(t, err)
		require.Len(t, got, 1)
	})
}
