package members_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/services/writer/internal/members"
)

var statuses = members.Statuses{
	{Label: "Invited", Order: 1},
	{Label: "Attended", Order: 2, Responded: true},
	{Label: "Reminded", Order: 3},
	{Label: "Bought", Order: 4, Responded: true},
}

func TestAStatusIsRaisedAndNeverLowered(t *testing.T) {
	t.Parallel()
	raises := func(wanted, current string) bool {
		now, _ := statuses.Find(current)
		return statuses.Raises(wanted, current, now.Responded)
	}
	require.True(t, raises("Reminded", "Invited"), "by their order")
	require.False(t, raises("Invited", "Reminded"))
	require.True(t, raises("Attended", "Reminded"), "responded comes after all that is not")
	require.False(t, raises("Reminded", "Attended"), "whatever their order")
	require.True(t, raises("Bought", "Attended"))
	require.False(t, raises("Attended", "Bought"))
	require.False(t, raises("bought", "BOUGHT"), "the same")
	require.False(t, raises("Nonsense", "Invited"), "Salesforce would take the default")
	require.True(t, statuses.Raises("Invited", "Gone", false))
	require.False(t, statuses.Raises("Bought", "Gone", true), "nobody knows how far they were")
}

func TestHoweverManyRaiseTheHighestStays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := members.Statuses{}
		labels := []string{"a", "b", "c", "d"}
		for _, label := range labels {
			all = append(all, members.Status{
				Label: label, Responded: rapid.Bool().Draw(t, "responded"), Order: float64(rapid.IntRange(0, 9).Draw(t, "order")),
			})
		}
		current := rapid.SampledFrom(labels).Draw(t, "current")
		for range rapid.IntRange(1, 6).Draw(t, "writes") {
			now, _ := all.Find(current)
			if wanted := rapid.SampledFrom(labels).Draw(t, "wanted"); all.Raises(wanted, current, now.Responded) {
				next, _ := all.Find(wanted)
				require.True(t, next.Responded || !now.Responded, "lowered")
				require.True(t, next.Above(now))
				require.False(t, now.Above(next))
				current = wanted
			}
		}
	})
}

func TestStatusesAreRememberedForAWhile(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	c := members.NewCache(10*time.Minute, 3)
	_, ok := c.Get("spring", "Attended", start)
	require.False(t, ok)
	c.Put("spring", statuses, start)
	got, ok := c.Get("spring", "attended", start.Add(9*time.Minute))
	require.True(t, ok)
	require.Equal(t, statuses, got)
	_, ok = c.Get("spring", "Attended", start.Add(10*time.Minute))
	require.False(t, ok)

	_, ok = c.Get("spring", "New", start.Add(59*time.Second))
	require.True(t, ok, "asked a moment ago")
	_, ok = c.Get("spring", "New", start.Add(time.Minute))
	require.False(t, ok, "somebody may have added it")

	for i := range 5 {
		c.Put(strconv.Itoa(i), statuses, start.Add(time.Duration(i)*time.Second))
	}
	for i, want := range []bool{false, false, true, true, true} {
		_, ok = c.Get(strconv.Itoa(i), "Bought", start.Add(time.Minute))
		require.Equal(t, want, ok, "%d", i)
	}
}
