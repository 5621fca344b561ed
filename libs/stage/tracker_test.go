package stage

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestTrackerNeverPassesAGap takes offsets with holes and settles them in random order, some twice and some never. After
// every step the tracker must agree with a model that looks at every offset.
func TestTrackerNeverPassesAGap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Int64Range(0, 1<<40).Draw(t, "first")
		tr := newTracker(first)
		var taken []int64
		settled := map[int64]bool{}
		last, model := first-1, first

		check := func(next int64) {
			want := model
			for _, o := range taken {
				if !settled[o] {
					want = o
					break
				}
				want = o + 1
			}
			for _, o := range taken {
				require.False(t, o < next && !settled[o], "offset %d is passed but not settled", o)
			}
			require.Equal(t, max(want, model), next)
		}
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				last += rapid.Int64Range(1, 5).Draw(t, "hole")
				if len(taken) == len(settled) {
					model = last // everything was settled, so the hole is, too
				}
				tr.take(last)
				taken = append(taken, last)
			},
			"settle": func(t *rapid.T) {
				if len(taken) == 0 {
					t.Skip("nothing taken")
				}
				offsets := rapid.SliceOfN(rapid.SampledFrom(taken), 1, 6).Draw(t, "offsets")
				repeated := 0
				for _, o := range offsets {
					if settled[o] {
						repeated++
					}
					settled[o] = true
				}
				next, unknown := tr.settle(offsets...)
				require.Equal(t, repeated, unknown)
				check(next)
			},
			"settle an offset that was not taken": func(t *rapid.T) {
				_, unknown := tr.settle(last+1, first-1)
				require.Equal(t, 2, unknown)
			},
			"": func(t *rapid.T) {
				next, _ := tr.settle()
				check(next)
				require.Equal(t, len(taken)-len(settled), tr.unsettled())
			},
		})
	})
}

func TestTrackerPassesHolesOnceAllBeforeThemIsSettled(t *testing.T) {
	t.Parallel()
	tr := newTracker(10)
	tr.take(10)
	tr.take(11)
	require.EqualValues(t, 10, tr.skip(20), "records before the hole are open")
	next, _ := tr.settle(11)
	require.EqualValues(t, 10, next)
	next, _ = tr.settle(10)
	require.EqualValues(t, 20, next, "the hole at the end does not look like records that wait")
	require.EqualValues(t, 20, tr.skip(20))
	tr.take(25)
	require.EqualValues(t, 25, tr.skip(30))
}

// TestTrackerKeepsItsMemoryBounded settles far more records than are ever open.
func TestTrackerKeepsItsMemoryBounded(t *testing.T) {
	t.Parallel()
	tr := newTracker(0)
	for o := range int64(100_000) {
		tr.take(o)
		if o >= 100 {
			tr.settle(o - 100)
		}
	}
	require.LessOrEqual(t, cap(tr.taken), 8192)
	require.Equal(t, 100, tr.unsettled())
}
