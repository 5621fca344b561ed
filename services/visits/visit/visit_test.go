package visit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/services/visits/ranges"
	"github.com/throughline-dev/throughline/services/visits/visit"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func rules() visit.Rules {
	return visit.Rules{Silence: 30 * time.Minute, Settle: 2 * time.Minute, Cadence: time.Minute, ViewSeconds: 5, ViewPercent: 75}
}

type bundle struct {
	visit.Visit
	limits visit.Limits
	offset int64
}

func setup() *bundle {
	b := &bundle{limits: visit.DefaultLimits()}
	b.Reset("v", "acme", "s")
	return b
}

// at applies an activity that happened the given seconds after noon.
func (b *bundle) at(seconds float64, change func(*visit.Activity)) visit.Effect {
	id := fmt.Appendf(nil, "event-%d", b.offset)
	a := &visit.Activity{
		EventID: id, EventHash: xxhash.Sum64(id), Offset: b.offset,
		At: noon.Add(time.Duration(seconds * float64(time.Second))), Arrival: noon,
		Content: visit.ContentView{ID: []byte("c"), Kind: visit.KindVideo, LengthSeconds: 100},
	}
	change(a)
	b.offset++
	return b.Apply(a, b.limits)
}

func watch(from, to float64) func(*visit.Activity) {
	return func(a *visit.Activity) {
		a.Action, a.Ranges = visit.ActionVideoProgress, []ranges.Range{{From: from, To: to}}
	}
}

func length(seconds float64, f func(*visit.Activity)) func(*visit.Activity) {
	return func(a *visit.Activity) {
		f(a)
		a.Content.LengthSeconds = seconds
	}
}

func end(completed bool) func(*visit.Activity) {
	return func(a *visit.Activity) { a.Action, a.Completed = visit.ActionVideoEnded, completed }
}

func click(label string) func(*visit.Activity) {
	return func(a *visit.Activity) { a.Action, a.Label = visit.ActionClicked, []byte(label) }
}

func page(n uint32, seconds float64) func(*visit.Activity) {
	return func(a *visit.Activity) {
		a.Content.Kind, a.Content.PageCount = visit.KindDocument, 10
		a.Action, a.Page, a.DwellSeconds = visit.ActionPageViewed, n, seconds
	}
}

func TestCountsAsView(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "LOOM-27")
	for name, c := range map[string]struct {
		act  []func(*visit.Activity)
		want bool
	}{
		"below five seconds":                        {act: []func(*visit.Activity){watch(0, 4.999)}},
		"five seconds":                              {act: []func(*visit.Activity){watch(0, 5)}, want: true},
		"five seconds with repeats":                 {act: []func(*visit.Activity){watch(0, 3), watch(0, 3)}, want: true},
		"jumped to the end":                         {act: []func(*visit.Activity){end(true)}, want: true},
		"closed, not completed":                     {act: []func(*visit.Activity){end(false)}},
		"three quarters of something short":         {act: []func(*visit.Activity){length(4, watch(0, 3))}, want: true},
		"less of something short":                   {act: []func(*visit.Activity){length(4, watch(0, 2.9))}},
		"less of something short, again and again":  {act: []func(*visit.Activity){length(4, watch(0, 2)), length(4, watch(0, 2)), length(4, watch(0, 2))}},
		"unknown length, below five seconds":        {act: []func(*visit.Activity){length(0, watch(0, 4)), length(0, end(true))}},
		"unknown length, five seconds":              {act: []func(*visit.Activity){length(0, watch(0, 5))}, want: true},
		"a document glanced at":                     {act: []func(*visit.Activity){page(1, 4)}},
		"a document read for five seconds in total": {act: []func(*visit.Activity){page(1, 3), page(2, 2)}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup()
			for i, f := range c.act {
				b.at(float64(i), f)
			}
			require.Equal(t, c.want, b.CountsAsView(rules()))
		})
	}
}

func TestApply(t *testing.T) {
	t.Parallel()

	t.Run("BadStretchesAreDroppedAndTheEventIsKept", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "LOOM-29")
		b := setup()
		require.True(t, b.at(0, func(a *visit.Activity) {
			a.Action = visit.ActionVideoProgress
			a.Ranges = []ranges.Range{{From: 9, To: 3}, {From: 90, To: 130}}
		}).Applied)
		require.InDelta(t, 10, b.Percent(), 1e-9, "what lies beyond the length is cut")
		require.Equal(t, 10*time.Second, b.Watched)
	})

	t.Run("RepeatsCountInSecondsAndNotInPercent", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "LOOM-29")
		b := setup()
		b.at(0, watch(0, 20))
		b.at(1, watch(10, 30))
		require.InDelta(t, 30, b.Percent(), 1e-9)
		require.Equal(t, 40*time.Second, b.Watched)
	})

	t.Run("ADoubleClickIsOneClickInAnyOrder", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "LOOM-30")
		for _, order := range [][]float64{{0, 1.5, 3, 10}, {10, 3, 1.5, 0}, {3, 0, 10, 1.5}} {
			b := setup()
			for _, at := range order {
				b.at(at, click(fmt.Sprint("button at ", at)))
			}
			require.EqualValues(t, 3, b.Clicks.Count, "0 and 1.5 are one; 3 and 10 are others")
			require.Equal(t, "button at 10", b.Clicks.Label)
		}
	})

	t.Run("ClicksBeyondTheLimitStillCount", func(t *testing.T) {
		t.Parallel()
		b := setup()
		b.limits.Clicks = 3
		for i := range 20 {
			b.at(float64(i*10), click("x"))
			b.at(float64(i*10)+1, click("x"))
		}
		require.EqualValues(t, 20, b.Clicks.Count)
		require.LessOrEqual(t, len(b.Clicks.Times), 3)
	})

	t.Run("PagesAreSummedAndClamped", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-18")
		b := setup()
		b.at(0, page(2, 3))
		b.at(3, page(99, 4))
		b.at(1, page(2, 1))
		require.Equal(t, []visit.PageDwell{{Page: 2, Dwell: 4 * time.Second}, {Page: 10, Dwell: 4 * time.Second}}, b.Pages)
		require.Equal(t, 8*time.Second, b.Dwell)
		require.EqualValues(t, 10, b.ExitPage, "the page of the latest event, not of the last to arrive")
	})

	t.Run("AnOlderCloseDoesNotEndWhatWentOn", func(t *testing.T) {
		t.Parallel()
		b := setup()
		b.at(20, watch(0, 5))
		b.at(10, end(false))
		require.False(t, b.Closing)
		b.at(30, end(false))
		require.True(t, b.Closing)
		b.at(25, watch(5, 9))
		require.True(t, b.Closing, "it happened before the close")
		b.at(31, watch(9, 10))
		require.False(t, b.Closing)
	})

	t.Run("TheNewestDescriptionStandsAndOlderOnesFillGaps", func(t *testing.T) {
		t.Parallel()
		b := setup()
		title := func(s string) func(*visit.Activity) {
			return func(a *visit.Activity) { a.Content.Title = []byte(s) }
		}
		b.at(10, title(""))
		b.at(5, title("old"))
		require.Equal(t, "old", b.Content.Title)
		b.at(20, title("new"))
		b.at(15, title("between"))
		require.Equal(t, "new", b.Content.Title)
	})

	t.Run("MemoryIsBounded", func(t *testing.T) {
		t.Parallel()
		b := setup()
		b.limits = visit.Limits{EventIDs: 8, Ranges: 4, Clicks: 4, Pages: 4}
		for i := range 100 {
			b.at(float64(i), length(10_000, watch(float64(i*10), float64(i*10+1))))
			b.at(float64(i), func(a *visit.Activity) { a.Action, a.Page, a.DwellSeconds = visit.ActionPageViewed, uint32(i+1), 1 })
		}
		require.Len(t, b.Seen, 8)
		require.Len(t, b.Ranges, 4)
		require.Len(t, b.Pages, 4)
		require.Equal(t, 100*time.Second, b.Dwell, "the sum still counts every page")
	})
}

func TestEvidence(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		type claim struct {
			person   string
			evidence visit.Evidence
			at       int
		}
		var claims []claim
		best := claim{at: -1}
		order := map[visit.Evidence]int{visit.EvidenceSignedIn: 3, visit.EvidenceAsked: 2, visit.EvidenceLink: 1, visit.EvidenceUnknown: 1}
		for i := range rapid.IntRange(1, 6).Draw(t, "n") {
			c := claim{
				person: fmt.Sprint("p", i), at: i,
				evidence: visit.Evidence(rapid.IntRange(0, 3).Draw(t, "evidence")),
			}
			claims = append(claims, c)
			if best.at < 0 || order[c.evidence] >= order[best.evidence] {
				best = c
			}
		}
		b := setup()
		for _, c := range rapid.Permutation(claims).Draw(t, "order") {
			b.at(float64(c.at), func(a *visit.Activity) {
				a.Subject = visit.SubjectView{PersonKey: []byte(c.person), Evidence: c.evidence}
			})
		}
		require.Equal(t, best.person, b.Subject.PersonKey)
	})
}
