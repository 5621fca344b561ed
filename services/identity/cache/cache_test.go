package cache_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/identity/cache"
)

func TestCache(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

	t.Run("AnEntryExpires", func(t *testing.T) {
		t.Parallel()
		c := cache.New[int](10)
		c.Put("a", 1, noon.Add(time.Minute))
		got, ok := c.Get("a", noon.Add(time.Minute-1))
		require.True(t, ok)
		require.Equal(t, 1, got)
		_, ok = c.Get("a", noon.Add(time.Minute))
		require.False(t, ok)
		require.Zero(t, c.Len())
	})

	t.Run("TheLeastRecentlyUsedLeavesFirst", func(t *testing.T) {
		t.Parallel()
		c := cache.New[int](2)
		later := noon.Add(time.Hour)
		c.Put("a", 1, later)
		c.Put("b", 2, later)
		_, _ = c.Get("a", noon)
		c.Put("c", 3, later)
		_, ok := c.Get("b", noon)
		require.False(t, ok)
		got, ok := c.Get("a", noon)
		require.True(t, ok)
		require.Equal(t, 1, got)
		require.Equal(t, 2, c.Len())
	})

	t.Run("ANewerValueReplacesAnOlderOne", func(t *testing.T) {
		t.Parallel()
		c := cache.New[int](2)
		c.Put("a", 1, noon)
		c.Put("a", 2, noon.Add(time.Hour))
		got, ok := c.Get("a", noon)
		require.True(t, ok)
		require.Equal(t, 2, got)
	})
}

func TestForget(t *testing.T) {
	t.Parallel()
	c := cache.New[int](10)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, key := range []string{"acme/mia", "acme/ren", "globex/mia"} {
		c.Put(key, i, now.Add(time.Hour))
	}
	c.Forget(func(key string) bool { return key == "acme/mia" })
	_, ok := c.Get("acme/mia", now)
	require.False(t, ok)
	_, ok = c.Get("globex/mia", now)
	require.True(t, ok)
	require.Equal(t, 2, c.Len())
}
