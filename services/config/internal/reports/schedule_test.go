package reports

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const someday = int64(20513) // 2026-03-01

func TestRunsAreSpreadByWorkspaceAndNumberOfPushes(t *testing.T) {
	t.Attr("requirement", "WALK-21")
	t.Parallel()
	c := DefaultConfig()
	nine := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for pushes, window := range map[int64]time.Duration{1: 300 * time.Millisecond, 1000: 5 * time.Minute, 6000: 30 * time.Minute, 1_000_000: 30 * time.Minute} {
		halves := [2]int{}
		for n := range 400 {
			due := c.due(someday, fmt.Sprint("workspace-", n), pushes)
			require.False(t, due.Before(nine))
			require.True(t, due.Before(nine.Add(window)))
			require.Equal(t, due, c.due(someday, fmt.Sprint("workspace-", n), pushes), "a workspace has its place")
			if due.Before(nine.Add(window / 2)) {
				halves[0]++
			} else {
				halves[1]++
			}
		}
		require.Greater(t, halves[0], 100, "the window is filled")
		require.Greater(t, halves[1], 100)
	}
}

func TestTheNextRunIsTheFirstThatIsNotMissed(t *testing.T) {
	t.Attr("requirement", "WALK-22")
	t.Parallel()
	c := DefaultConfig()
	c.PerPush = 0
	nine := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	require.Equal(t, nine, c.next(someday-1, "acme", 1, nine.Add(-time.Hour)))
	require.Equal(t, nine, c.next(someday-1, "acme", 1, nine.Add(6*time.Hour-1)), "it is caught up")
	require.Equal(t, nine.AddDate(0, 0, 1), c.next(someday-1, "acme", 1, nine.Add(6*time.Hour)))
	require.Equal(t, nine.AddDate(0, 0, 1), c.next(someday, "acme", 1, nine))
	require.Equal(t, nine.AddDate(0, 0, 1), c.next(0, "acme", 1, nine.Add(23*time.Hour)), "long ago is no loop of years")
	require.Equal(t, someday-1, c.begun("acme", 1, nine.Add(-1)), "saved before nine it runs today")
	require.Equal(t, someday, c.begun("acme", 1, nine))
}

func TestConfigNamesTheKeyThatIsWrong(t *testing.T) {
	t.Parallel()
	require.NoError(t, DefaultConfig().Validate())
	for key, change := range map[string]func(*Config){
		"spread": func(c *Config) { c.Spread = 2 * time.Hour }, "per_push": func(c *Config) { c.PerPush = -1 },
		"catch_up": func(c *Config) { c.CatchUp = c.Spread }, "longest": func(c *Config) { c.Longest = 24 * time.Hour },
		"lease": func(c *Config) { c.Lease = 0 }, "retry": func(c *Config) { c.Retry = 0 }, "manual_per_hour": func(c *Config) { c.Manual = 0 },
		"failed_days": func(c *Config) { c.FailedDays = 0 }, "every": func(c *Config) { c.Every = 0 },
	} {
		c := DefaultConfig()
		change(&c)
		require.ErrorContains(t, c.Validate(), key+":")
	}
}
