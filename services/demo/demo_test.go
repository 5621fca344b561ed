package demo

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProgressNamesTheMostFrequentReasons(t *testing.T) {
	t.Parallel()
	require.Equal(t, "0", byReason(nil))
	require.Equal(t, "0", byReason(map[string]int64{"NONE": 0}))
	require.Equal(t, "7 (B 4, A 3)", byReason(map[string]int64{"A": 3, "B": 4}))
	require.Equal(t, "10 (D 4, C 3, B 2, …)", byReason(map[string]int64{"A": 1, "B": 2, "C": 3, "D": 4}))
}

func TestStateIsTheSameOnTheSecondStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := loadState(dir, Options{Events: 10, Seed: 2})
	require.NoError(t, err)
	second, err := loadState(dir, Options{Events: 10, Seed: 2})
	require.NoError(t, err)
	require.Equal(t, first, second)
	_, err = loadState(dir, Options{Events: 11, Seed: 2})
	require.ErrorContains(t, err, "holds a run of 10 events", "another stream in the same folder would be judged wrongly")
}

func TestClockMovesAheadOnly(t *testing.T) {
	t.Parallel()
	c := &clock{}
	before := c.Now()
	c.advance(time.Hour)
	require.GreaterOrEqual(t, c.Now().Sub(before), time.Hour)
}

func TestSummaryIsCleanOnlyWithNothingLostDoubledOrParked(t *testing.T) {
	t.Parallel()
	require.True(t, Summary{Written: 1, Failed: 0}.OK())
	require.False(t, Summary{Lost: 1}.OK())
	require.False(t, Summary{Duplicates: 1}.OK())
	require.False(t, Summary{Parked: 1}.OK())
}
