package programs_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/recipe"
	"github.com/throughline-dev/throughline/services/mapping/programs"
)

func version(t *testing.T, id string, v int64) *configv1.Integration {
	t.Helper()
	i, err := recipe.Build("document-close-task", recipe.Params{Workspace: "acme", ID: id, Connection: "main"})
	require.NoError(t, err)
	i.Version = v
	return i
}

func TestCache(t *testing.T) {
	t.Parallel()

	t.Run("CompilesAVersionOnce", func(t *testing.T) {
		t.Parallel()
		c := programs.New(10)
		first, err := c.Get(version(t, "a", 1))
		require.NoError(t, err)
		again, err := c.Get(version(t, "a", 1))
		require.NoError(t, err)
		require.Same(t, first, again)
		newer, err := c.Get(version(t, "a", 2))
		require.NoError(t, err)
		require.NotSame(t, first, newer)
		elsewhere := version(t, "a", 1)
		elsewhere.Workspace = "other"
		foreign, err := c.Get(elsewhere)
		require.NoError(t, err)
		require.NotSame(t, first, foreign)
	})

	t.Run("CompilesWhatHasTheNumberOfAnother", func(t *testing.T) {
		t.Parallel()
		c := programs.New(10)
		_, err := c.Get(version(t, "a", 1))
		require.NoError(t, err)
		other := version(t, "a", 1) // of a workspace that was deleted and made anew
		other.Condition = "false"
		program, err := c.Get(other)
		require.NoError(t, err)
		require.Equal(t, "false", program.Integration().GetCondition())
		require.Equal(t, 1, c.Len())
	})

	t.Run("ForgetsTheLeastRecentlyUsed", func(t *testing.T) {
		t.Parallel()
		c := programs.New(2)
		a, err := c.Get(version(t, "a", 1))
		require.NoError(t, err)
		b, err := c.Get(version(t, "b", 1))
		require.NoError(t, err)
		_, err = c.Get(version(t, "a", 1))
		require.NoError(t, err)
		_, err = c.Get(version(t, "c", 1))
		require.NoError(t, err)
		require.Equal(t, 2, c.Len())
		kept, err := c.Get(version(t, "a", 1))
		require.NoError(t, err)
		require.Same(t, a, kept)
		forgotten, err := c.Get(version(t, "b", 1))
		require.NoError(t, err)
		require.NotSame(t, b, forgotten)
	})

	t.Run("RemembersWhatDoesNotCompile", func(t *testing.T) {
		t.Parallel()
		c := programs.New(2)
		broken := version(t, "a", 1)
		broken.Condition = "nonsense"
		_, first := c.Get(broken)
		require.Error(t, first)
		_, again := c.Get(broken)
		require.Same(t, first, again)
	})

	t.Run("MayBeUsedByManyWorkers", func(t *testing.T) {
		t.Parallel()
		c := programs.New(3)
		var wg sync.WaitGroup
		for w := range 4 {
			i := version(t, fmt.Sprint("rule-", w), 1)
			wg.Go(func() {
				for range 200 {
					_, err := c.Get(i)
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		require.LessOrEqual(t, c.Len(), 3)
	})
}
