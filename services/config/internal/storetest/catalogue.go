package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

func describes(t *testing.T, open Open) {
	task := store.Describe{
		DescribeKey:       store.DescribeKey{Workspace: "acme", Connection: "main", Object: "Task"},
		ConnectionVersion: 3, Body: []byte("task"), ModifiedAt: epoch.Add(-time.Hour), AskedAt: epoch, ReadAt: epoch,
	}

	t.Run("ComeBackAsKept", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		_, err := s.Describe(ctx, task.DescribeKey)
		require.ErrorIs(t, err, store.ErrNotFound)
		require.NoError(t, s.PutDescribe(ctx, task))
		got, err := s.Describe(ctx, task.DescribeKey)
		require.NoError(t, err)
		require.Equal(t, task, got)

		gone := task
		gone.Body, gone.ModifiedAt, gone.AskedAt = nil, time.Time{}, epoch.Add(time.Minute)
		require.NoError(t, s.PutDescribe(ctx, gone))
		got, err = s.Describe(ctx, task.DescribeKey)
		require.NoError(t, err)
		require.Empty(t, got.Body)
		got.Body = nil // the databases differ in how they give back nothing
		require.Equal(t, gone, got)
		require.NoError(t, s.DropDescribe(ctx, task.DescribeKey))
		_, err = s.Describe(ctx, task.DescribeKey)
		require.ErrorIs(t, err, store.ErrNotFound)
	})

	t.Run("ALateAnswerDoesNotReplaceANewerOne", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.PutDescribe(ctx, task))
		late := task
		late.Body, late.AskedAt = []byte("older"), epoch.Add(-time.Second)
		require.NoError(t, s.PutDescribe(ctx, late))
		got, err := s.Describe(ctx, task.DescribeKey)
		require.NoError(t, err)
		require.Equal(t, task, got)
	})

	t.Run("BelongToOneConnectionOfOneWorkspace", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.PutDescribe(ctx, task))
		for _, key := range []store.DescribeKey{
			{Workspace: "other", Connection: "main", Object: "Task"},
			{Workspace: "acme", Connection: "second", Object: "Task"},
			{Workspace: "acme", Connection: "main", Object: "Lead"},
		} {
			_, err := s.Describe(ctx, key)
			require.ErrorIs(t, err, store.ErrNotFound, key)
			require.NoError(t, s.DropDescribe(ctx, key))
		}
		times, err := s.DescribeTimes(ctx, "acme", "main")
		require.NoError(t, err)
		require.Equal(t, map[string]time.Time{"Task": epoch}, times)
		times, err = s.DescribeTimes(ctx, "other", "main")
		require.NoError(t, err)
		require.Empty(t, times)
	})
}

func broken(t *testing.T, open Open) {
	t.Run("AreKeptUntilTheyHeal", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		for version := range int64(3) {
			require.NoError(t, s.Put(ctx, save("acme", store.KindIntegration, "rule", version, "body")))
		}
		rule := store.Broken{
			Workspace: "acme", Kind: store.KindIntegration, ID: "rule", Connection: "main", Version: 2, FoundAt: epoch, Body: []byte("gone"),
		}
		isNew, err := s.PutBroken(ctx, rule)
		require.NoError(t, err)
		require.False(t, isNew, "a newer version was saved meanwhile")
		rule.Version = 3
		isNew, err = s.PutBroken(ctx, rule)
		require.NoError(t, err)
		require.True(t, isNew)
		later := rule
		later.Version, later.FoundAt, later.Body = 4, epoch.Add(time.Hour), []byte("still gone")
		require.NoError(t, s.Put(ctx, save("acme", store.KindIntegration, "rule", 3, "body")))
		isNew, err = s.PutBroken(ctx, later)
		require.NoError(t, err)
		require.False(t, isNew)
		got, err := s.BrokenOf(ctx, "acme")
		require.NoError(t, err)
		later.FoundAt = epoch
		require.Equal(t, []store.Broken{later}, got, "since when stays")
		counts, err := s.BrokenCounts(ctx)
		require.NoError(t, err)
		require.Equal(t, []store.BrokenCount{{Workspace: "acme", Connection: "main", Kind: store.KindIntegration, N: 1}}, counts)

		other, err := s.BrokenOf(ctx, "other")
		require.NoError(t, err)
		require.Empty(t, other)
		key := store.Key{Workspace: "acme", Kind: store.KindIntegration, ID: "rule"}
		dropped, err := s.DropBroken(ctx, store.Key{Workspace: "other", Kind: store.KindIntegration, ID: "rule"}, 9)
		require.NoError(t, err)
		require.False(t, dropped)
		dropped, err = s.DropBroken(ctx, key, 3)
		require.NoError(t, err)
		require.False(t, dropped, "it was a newer version that is broken")
		dropped, err = s.DropBroken(ctx, key, 4)
		require.NoError(t, err)
		require.True(t, dropped)
		got, err = s.BrokenOf(ctx, "acme")
		require.NoError(t, err)
		require.Empty(t, got)
	})
}
