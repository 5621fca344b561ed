package quota_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator/internal/quota"
)

func TestAdd(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 8, 10, 9, 0, 0, 0, time.UTC)

	t.Run("RefusesBeyondTheLimitUntilTheWindowHasPassed", func(t *testing.T) {
		t.Parallel()
		q := quota.New(3, 25, 20*time.Second)
		require.True(t, q.Add(start, 2))
		require.True(t, q.Add(start.Add(12*time.Hour), 1))
		require.False(t, q.Add(start.Add(23*time.Hour), 1))
		require.True(t, q.Add(start.Add(24*time.Hour+15*time.Minute), 1), "the first two are forgotten")
		used, limit := q.Usage(start.Add(24*time.Hour + 15*time.Minute))
		require.Equal(t, [2]int{2, 3}, [2]int{used, limit})
	})

	t.Run("ForgetsEverythingAfterALongPause", func(t *testing.T) {
		t.Parallel()
		q := quota.New(1, 25, 20*time.Second)
		require.True(t, q.Add(start, 1))
		require.True(t, q.Add(start.Add(240*time.Hour), 1))
	})
}

func TestBeginCountsOnlyLongCalls(t *testing.T) {
	t.Parallel()
	start := time.Now()
	q := quota.New(100, 2, 20*time.Second)
	first, ok := q.Begin(start)
	require.True(t, ok)
	_, ok = q.Begin(start)
	require.True(t, ok)
	_, ok = q.Begin(start.Add(19 * time.Second))
	require.True(t, ok, "nothing runs long yet")
	_, ok = q.Begin(start.Add(21 * time.Second))
	require.False(t, ok)
	first()
	_, ok = q.Begin(start.Add(22 * time.Second))
	require.True(t, ok)
}
