package demo

import (
	"context"
	"net"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/oracle"
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

func TestPortsAreNoneThatTheSystemMayGiveToOthers(t *testing.T) {
	t.Parallel()
	first, err := loadState(t.TempDir(), Options{Events: 10})
	require.NoError(t, err)
	for _, addr := range []string{first.Kafka, first.Config, first.Simulator, first.Console, first.Admin, first.Ingest, first.Connect, first.HTTP, first.PubSub} {
		_, port, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		n, err := strconv.Atoi(port)
		require.NoError(t, err)
		require.True(t, n >= 1024 && n < 32768, addr)
	}
}

func TestWhatComesLateIsNotLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		judge := func(complete int) func(context.Context) (*oracle.Report, error) {
			looks = 0
			return func(context.Context) (*oracle.Report, error) {
				if looks++; looks < complete {
					return &oracle.Report{Lost: 1}, nil
				}
				return &oracle.Report{}, nil
			}
		}
		report, err := verdict(t.Context(), judge(3))
		require.NoError(t, err)
		require.True(t, report.OK())
		require.Equal(t, 3, looks)

		began := time.Now()
		report, err = verdict(t.Context(), judge(1000))
		require.NoError(t, err)
		require.False(t, report.OK(), "what does not come at all is")
		require.Equal(t, lateWithin, time.Since(began))
	})
}
