package ranges_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/services/visits/ranges"
)

// seconds is the model: the same set, second by second.
type seconds [64]bool

func (m *seconds) add(r ranges.Range) {
	for i := int(r.From); i < int(r.To); i++ {
		m[i] = true
	}
}

func (m *seconds) count() (n float64) {
	for _, seen := range m {
		if seen {
			n++
		}
	}
	return n
}

func drawRange(t *rapid.T) ranges.Range {
	from := rapid.IntRange(0, 62).Draw(t, "from")
	return ranges.Range{From: float64(from), To: float64(rapid.IntRange(from+1, 63).Draw(t, "to"))}
}

func drawSet(t *rapid.T) (set ranges.Set, model seconds) {
	for range rapid.IntRange(0, 12).Draw(t, "n") {
		r := drawRange(t)
		set = set.Add(r)
		model.add(r)
	}
	return set, model
}

func requireOrdered(t require.TestingT, s ranges.Set) {
	for i, r := range s {
		require.Less(t, r.From, r.To)
		if i > 0 {
			require.Less(t, s[i-1].To, r.From)
		}
	}
}

func TestSet(t *testing.T) {
	t.Parallel()

	t.Run("HoldsTheDistinctSeconds", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "LOOM-29")
		rapid.Check(t, func(t *rapid.T) {
			set, model := drawSet(t)
			requireOrdered(t, set)
			require.Equal(t, model.count(), set.Seconds(0))
			length := rapid.IntRange(1, 64).Draw(t, "length")
			cut := model
			clear(cut[length:])
			require.Equal(t, cut.count(), set.Seconds(float64(length)))
		})
	})

	t.Run("UnionIsCommutativeAssociativeAndIdempotent", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			a, _ := drawSet(t)
			b, _ := drawSet(t)
			c, _ := drawSet(t)
			unite := func(x, y ranges.Set) ranges.Set { return slices.Clone(x).Union(y) }
			require.ElementsMatch(t, unite(a, b), unite(b, a))
			require.ElementsMatch(t, unite(unite(a, b), c), unite(a, unite(b, c)))
			require.ElementsMatch(t, a, unite(a, a))
			require.GreaterOrEqual(t, unite(a, b).Seconds(0), a.Seconds(0))
			requireOrdered(t, unite(a, b))
		})
	})

	t.Run("IsFullOnlyFromNinetyNinePointFivePercent", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "LOOM-29")
		for to, want := range map[float64]float64{0: 0, 50: 25, 198.8: 99.4, 199: 100, 200: 100} {
			var set ranges.Set
			if to > 0 {
				set = set.Add(ranges.Range{To: to})
			}
			require.InDelta(t, want, set.Percent(200), 1e-9)
		}
		require.Zero(t, ranges.Set{{From: 0, To: 9}}.Percent(0), "length unknown")
	})

	t.Run("StaysWithinItsBoundAndNeverForgetsASecond", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			set, _ := drawSet(t)
			before := set.Seconds(0)
			limit := rapid.IntRange(1, 4).Draw(t, "limit")
			set = set.Bounded(limit)
			require.LessOrEqual(t, len(set), limit)
			require.GreaterOrEqual(t, set.Seconds(0), before)
			requireOrdered(t, set)
		})
	})
}

func TestClip(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "LOOM-29")
	for _, c := range []struct {
		in   ranges.Range
		want ranges.Range
		ok   bool
	}{
		{in: ranges.Range{From: 1, To: 5}, want: ranges.Range{From: 1, To: 5}, ok: true},
		{in: ranges.Range{From: -3, To: 5}, want: ranges.Range{To: 5}, ok: true},
		{in: ranges.Range{From: 5, To: 500}, want: ranges.Range{From: 5, To: 10}, ok: true},
		{in: ranges.Range{From: 5, To: 4}},
		{in: ranges.Range{From: 5, To: 5}},
		{in: ranges.Range{From: 11, To: 12}},
		{in: ranges.Range{From: math.NaN(), To: 12}},
		{in: ranges.Range{From: 0, To: math.Inf(1)}},
	} {
		got, ok := c.in.Clip(10)
		require.Equal(t, c.ok, ok, "%v", c.in)
		if ok {
			require.Equal(t, c.want, got)
		}
	}
}
