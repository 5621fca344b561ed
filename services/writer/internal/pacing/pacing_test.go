package pacing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/writer/internal/pacing"
)

func pace() *pacing.Pace {
	return pacing.New(pacing.Limits{
		Parallelism: 4, BatchRecords: 200, MinBatch: 10,
		Linger: 100 * time.Millisecond, MaxLinger: 2 * time.Second, BulkLinger: 30 * time.Second,
	})
}

func TestPace(t *testing.T) {
	t.Parallel()

	t.Run("GrowsToTheLimitAndShrinksToOne", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-11")
		p := pace()
		require.Equal(t, 2, p.Requests())
		for range 20 {
			p.Smooth()
		}
		require.Equal(t, 4, p.Requests())
		for range 20 {
			p.Trouble()
		}
		require.Equal(t, 1, p.Requests())
		p.SetParallelism(2)
		for range 20 {
			p.Smooth()
		}
		require.Equal(t, 2, p.Requests())
	})

	t.Run("LocksMakeRequestsSmallAndTheyGrowSlowly", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-11")
		p := pace()
		p.Locked()
		require.Equal(t, 100, p.Records())
		p.Smooth()
		require.Equal(t, 110, p.Records())
		for range 20 {
			p.Locked()
		}
		require.Equal(t, 10, p.Records())
		for range 100 {
			p.Smooth()
		}
		require.Equal(t, 200, p.Records())
		p.TooBig()
		require.Equal(t, 100, p.Records())
	})

	t.Run("WaitsLongerWhenCallsRunOutButNeverTooLong", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-12")
		p := pace()
		require.Equal(t, 100*time.Millisecond, p.Linger(false))
		p.SetUsed(0.75)
		require.Equal(t, 1050*time.Millisecond, p.Linger(false))
		p.SetUsed(7)
		require.Equal(t, 2*time.Second, p.Linger(false))
		require.Equal(t, 30*time.Second, p.Linger(true))
	})

	t.Run("JobsAreFewerAfterLocksAndWhenCallsOrBatchesRunOut", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-11")
		p := pace()
		require.Equal(t, 4, p.Jobs())
		p.JobEnded(true)
		require.Equal(t, 2, p.Jobs())
		for range 3 {
			p.JobEnded(true)
		}
		require.Equal(t, 1, p.Jobs())
		p.JobEnded(false)
		require.Equal(t, 2, p.Jobs())
		p.SetParallelism(8)
		require.Equal(t, 2, p.Jobs(), "a new limit is no reason to forget the locks")
		for range 9 {
			p.JobEnded(false)
		}
		require.Equal(t, 8, p.Jobs())
		p.SetParallelism(4)
		require.Equal(t, 4, p.Jobs())
		p.SetUsed(0.5)
		require.Equal(t, 4, p.Jobs())
		p.SetUsed(0.75)
		require.Equal(t, 2, p.Jobs())
		p.SetUsed(0)
		p.SetBatches(0.9)
		require.Equal(t, 1, p.Jobs())
	})
}
