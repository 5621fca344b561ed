package limit_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/limit"
)

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func TestLimiterGivesEveryCallerABurstAndThenARate(t *testing.T) {
	t.Parallel()
	l := limit.New(limit.Config{PerSecond: 2, Burst: 3, Callers: 10})
	for range 3 {
		_, ok := l.Take("aoi", epoch)
		require.True(t, ok)
	}
	wait, ok := l.Take("aoi", epoch)
	require.False(t, ok)
	require.Equal(t, 500*time.Millisecond, wait)
	_, ok = l.Left("aoi", epoch)
	require.False(t, ok)
	_, ok = l.Take("ren", epoch)
	require.True(t, ok, "one caller's trouble is not another's")
	_, ok = l.Left("aoi", epoch.Add(wait))
	require.True(t, ok)
	_, ok = l.Take("aoi", epoch.Add(wait))
	require.True(t, ok)
	_, ok = l.Take("aoi", epoch.Add(wait))
	require.False(t, ok)
}

func TestLimiterForgetsWhoWasNotSeenForLongest(t *testing.T) {
	t.Parallel()
	l := limit.New(limit.Config{PerSecond: 1, Burst: 1, Callers: 2})
	take := func(key string) bool { _, ok := l.Take(key, epoch); return ok }
	require.True(t, take("a"))
	require.True(t, take("b"))
	require.False(t, take("a"), "remembered, and now newer than b")
	require.True(t, take("c"), "takes the place of b")
	require.False(t, take("a"))
	for i := range 1000 {
		require.True(t, take(strconv.Itoa(i)))
	}
	require.True(t, take("a"), "forgotten: memory is bounded")
}

func TestLimiterCountsCorrectlyUnderLoad(t *testing.T) {
	t.Parallel()
	l := limit.New(limit.Config{PerSecond: 1, Burst: 100, Callers: 4})
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if _, ok := l.Take("aoi", epoch); ok {
					taken.Add(1)
				}
				l.Left("ren", epoch)
			}
		})
	}
	wg.Wait()
	require.Equal(t, int64(100), taken.Load())
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for key, cfg := range map[string]limit.Config{
		"per_second": {Burst: 1, Callers: 1}, "burst": {PerSecond: 1, Callers: 1}, "callers": {PerSecond: 1, Burst: 1},
	} {
		require.ErrorContains(t, cfg.Validate(), key)
	}
	require.NoError(t, limit.Config{PerSecond: 0.1, Burst: 1, Callers: 1}.Validate())
}
