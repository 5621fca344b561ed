package oracle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/oracle"
)

const (
	started  = "video.started"
	progress = "video.progress"
	ended    = "video.ended"
	clicked  = "video.cta_clicked"
	opened   = "document.opened"
	viewed   = "document.page_viewed"
	closed   = "document.closed"
)

// The expected values in this file are worked out by hand.

func TestVideoRows(t *testing.T) {
	t.Parallel()

	t.Run("two visits of a person with two leads unite in one row of the newer lead", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		who := viewer("two@leads.example", "signed_in")
		b.act("acme", "s1", "film", started, 600, who)
		b.act("acme", "s1", "film", progress, 580, who+ranges([2]float64{0, 20}))
		b.act("acme", "s2", "film", progress, 300, viewer(" TWO@leads.example ", "asked")+ranges([2]float64{10, 50}, [2]float64{95, 120}))
		row := b.one()
		require.Equal(t, "00Q000000000002AAA", row.Lead)
		require.Empty(t, row.Contact)
		require.Equal(t, 2, row.Visits)
		require.Equal(t, 2, row.Views)
		require.InDelta(t, 20+40+5, row.Watched, 1e-9)
		require.InDelta(t, 55, row.Percent, 1e-9)
		require.Equal(t, noon.Add(-600*time.Second), row.First)
		require.Equal(t, noon.Add(-300*time.Second), row.Last)
		require.ElementsMatch(t, []string{"Signed in", "Asked"}, row.Methods)
	})

	t.Run("a lead and a contact are both linked, with the contact's account", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.act("acme", "s", "film", started, 60, viewer("both@x.example", "link"))
		row := b.one()
		require.Equal(t, "00Q000000000003AAA", row.Lead)
		require.Equal(t, "003000000000001AAA", row.Contact)
		require.Equal(t, "001000000000001AAA", row.Account)
		require.Zero(t, row.Views)
	})

	t.Run("a converted lead stands for its contact, or for nobody when that is gone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.act("acme", "s", "film", started, 60, viewer("old@x.example", "link"))
		b.act("acme", "r", "film", started, 60, viewer("gone@x.example", "link"))
		row := b.one()
		require.Empty(t, row.Lead)
		require.Equal(t, "003000000000002AAA", row.Contact)
	})

	t.Run("of equal dates the higher id wins", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.act("acme", "s", "film", started, 60, viewer("tie@x.example", "link"))
		require.Equal(t, "00Q000000000007AAA", b.one().Lead)
	})

	t.Run("a repeated event counts once, whatever its body says", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		again := b.act("acme", "s", "film", progress, 60, viewer("tie@x.example", "link")+ranges([2]float64{0, 10}))
		b.raw(again)
		b.raw(strings.Replace(again, `"to":10`, `"to":90`, 1))
		require.InDelta(t, 10, b.one().Watched, 1e-9)
	})

	t.Run("clicks within two seconds are one, in whatever order they come", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for _, before := range []int{59, 30, 60} {
			b.act("acme", "s", "film", clicked, before, viewer("tie@x.example", "link")+`,"label":"Buy"`)
		}
		row := b.one()
		require.Equal(t, 2, row.Clicks)
		require.Equal(t, noon.Add(-30*time.Second), row.LastClickAt)
		require.Equal(t, "Buy", row.LastClickLabel)
	})

	t.Run("stronger evidence moves the visit and leaves nothing behind", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.act("acme", "s", "film", progress, 60, viewer("tie@x.example", "link")+ranges([2]float64{0, 10}))
		b.act("acme", "s", "film", progress, 50, viewer("both@x.example", "signed_in")+ranges([2]float64{10, 20}))
		b.act("acme", "s", "film", progress, 40, viewer("tie@x.example", "asked")+ranges([2]float64{20, 30}))
		rows := b.oracle.Expect().Engagements
		require.Len(t, rows, 2)
		require.Equal(t, "both@x.example", rows[0].Viewer)
		require.InDelta(t, 30, rows[0].Watched, 1e-9)
		require.Equal(t, "tie@x.example", rows[1].Viewer)
		require.True(t, rows[1].Forgotten)
		require.Zero(t, rows[1].Visits)
	})

	t.Run("an anonymous beginning counts for the person who becomes known", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.act("acme", "s", "film", progress, 60, ranges([2]float64{0, 30}))
		b.act("acme", "s", "film", progress, 50, viewer("tie@x.example", "asked")+ranges([2]float64{30, 40}))
		require.InDelta(t, 40, b.one().Watched, 1e-9)
	})
}

func TestViewsAndPercent(t *testing.T) {
	t.Parallel()
	who := viewer("tie@x.example", "link")
	tests := map[string]struct {
		content, kind, more string
		views               int
		percent             float64
	}{
		"five seconds are a view":                    {"film", progress, ranges([2]float64{0, 5}), 1, 5},
		"less is none":                               {"film", progress, ranges([2]float64{0, 4.9}), 0, 4.9},
		"seconds count as often as they were played": {"film", progress, ranges([2]float64{0, 3}, [2]float64{0, 3}), 1, 3},
		"reaching the end is a view":                 {"film", ended, `,"completed":true`, 1, 0},
		"giving up is none":                          {"film", ended, `,"completed":false`, 0, 0},
		"three quarters of a short clip are a view":  {"clip", progress, ranges([2]float64{0, 3}), 1, 75},
		"two thirds of it are none":                  {"clip", progress, ranges([2]float64{0, 2.6}), 0, 65},
		"playing a clip twice does not make a view":  {"clip", progress, ranges([2]float64{0, 2.6}, [2]float64{0, 2.6}), 0, 65},
		"without a length only the seconds count":    {"stream", progress, ranges([2]float64{100, 105}), 1, 0},
		"what lies beyond the length is cut":         {"film", progress, ranges([2]float64{90, 120}), 1, 10},
		"inverted stretches are dropped":             {"film", progress, ranges([2]float64{50, 40}, [2]float64{0, 1}), 0, 1},
		"99.5 percent are all":                       {"film", progress, ranges([2]float64{0, 99.5}), 1, 100},
		"99.4 percent are not":                       {"film", progress, ranges([2]float64{0, 99.4}), 1, 99.4},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.act("acme", "s", tt.content, tt.kind, 60, who+tt.more)
			row := b.one()
			require.Equal(t, tt.views, row.Views)
			require.InDelta(t, tt.percent, row.Percent, 1e-9)
		})
	}
}

func TestTasks(t *testing.T) {
	t.Parallel()

	t.Run("a closed document makes a to-do for the owner of the lead", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		who := viewer("both@x.example", "asked")
		b.act("acme", "s", "paper", opened, 60, who)
		b.act("acme", "s", "paper", viewed, 50, who+`,"page":2,"dwellSeconds":7.5`)
		b.act("acme", "s", "paper", viewed, 40, who+`,"page":9,"dwellSeconds":60`)
		b.act("acme", "s", "paper", closed, 39, who)
		task := b.task()
		require.Equal(t, "00Q000000000003AAA", task.Who)
		require.Empty(t, task.Owner, "the lead belongs to a queue")
		require.Equal(t, "2026-03-04", task.Due)
		require.Equal(t, 5, task.Page, "clamped")
		require.InDelta(t, 67.5, task.Dwell, 1e-9)
		require.Equal(t, "en", task.Language)
	})

	t.Run("what arrives after the close changes the row, not the to-do", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		who := viewer("both@x.example", "asked")
		b.act("acme", "s", "paper", viewed, 50, who+`,"page":2,"dwellSeconds":7`)
		b.act("acme", "s", "paper", closed, 40, who+`,"page":3`)
		b.act("acme", "s", "paper", viewed, 45, who+`,"page":4,"dwellSeconds":10`)
		b.act("acme", "s", "paper", viewed, 20, who+`,"page":1,"dwellSeconds":10`)
		b.act("acme", "s", "paper", closed, 10, who)
		task := b.task()
		require.Equal(t, 3, task.Page)
		require.InDelta(t, 7, task.Dwell, 1e-9)
		require.InDelta(t, 27, b.one().Dwell, 1e-9)
	})

	t.Run("a visit without a close is closed by silence, at its last activity", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		// 22:00 on March 3 in New York
		b.act("acme", "s", "paper", viewed, 9*3600, viewer("both@x.example", "asked")+`,"page":2,"dwellSeconds":7`)
		require.Equal(t, "2026-03-03", b.task().Due)
	})

	t.Run("an address that comes after the close makes a to-do all the same", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.act("acme", "s", "paper", closed, 40, `,"page":3`)
		b.act("acme", "s", "paper", viewed, 30, viewer("both@x.example", "asked")+`,"page":4,"dwellSeconds":10`)
		require.Equal(t, 4, b.task().Page)
	})

	t.Run("of two owners with one address the one who logged in last gets it, in Tokyo's day", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.act("tokyo", "s", "paper", closed, -4*3600, viewer("nobody@x.example", "asked"))
		task := b.task()
		require.Empty(t, task.Who)
		require.Equal(t, "005000000000004AAA", task.Owner)
		require.Equal(t, "2026-03-05", task.Due)
		require.Equal(t, "en", task.Language, "the owner's language")
		require.Empty(t, b.oracle.Expect().Engagements, "no package")
	})

	t.Run("nobody to tell makes no to-do, nor does nobody known, nor a video", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.act("acme", "s1", "paper", closed, 40, viewer("nobody@x.example", "asked"))
		b.act("acme", "s2", "paper", closed, 40, "")
		b.act("tokyo", "s3", "film", ended, 40, viewer("both@x.example", "asked"))
		x := b.oracle.Expect()
		require.Empty(t, x.Tasks)
		require.Equal(t, 1, x.Tally.AnonymousVisits)
		require.Equal(t, 2, x.Tally.Visits)
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		feed                       func(b *bundle)
		rejected, skipped, visited string
	}{
		"garbage":                 {feed: func(b *bundle) { b.raw("\xff\x00") }, rejected: oracle.BadSchema},
		"nothing":                 {feed: func(b *bundle) { b.raw("") }, rejected: oracle.BadSchema},
		"another shape":           {feed: func(b *bundle) { b.raw(`[1]`) }, rejected: oracle.BadSchema},
		"bytes that are no text":  {feed: func(b *bundle) { b.act("acme", "s", "film", started, 1, ",\"url\":\"\xff\"") }, rejected: oracle.BadSchema},
		"an unknown kind":         {feed: func(b *bundle) { b.act("acme", "s", "film", "video.smelled", 1, "") }, rejected: oracle.BadSchema},
		"too large":               {feed: func(b *bundle) { b.raw(strings.Repeat(" ", 1<<20)) }, rejected: oracle.TooLarge},
		"an unknown workspace":    {feed: func(b *bundle) { b.act("other", "s", "film", started, 1, "") }, rejected: oracle.BadTenant},
		"tomorrow and a bit":      {feed: func(b *bundle) { b.act("acme", "s", "film", started, -86401, "") }, rejected: oracle.BadTime},
		"last week and a bit":     {feed: func(b *bundle) { b.act("acme", "s", "film", started, 7*86400+1, "") }, rejected: oracle.BadTime},
		"signed in as nobody":     {feed: func(b *bundle) { b.act("acme", "s", "film", started, 1, viewer("", "signed_in")) }, rejected: oracle.BadEmail},
		"signed in as no address": {feed: func(b *bundle) { b.act("acme", "s", "film", started, 1, viewer("x", "signed_in")) }, rejected: oracle.BadEmail},
		"tracking is off":         {feed: func(b *bundle) { b.act("acme", "s", "hidden", started, 1, "") }, skipped: oracle.TrackingOff},
		"tracking was off":        {feed: func(b *bundle) { b.act("acme", "s", "film", started, 1, `,"tracking":false`) }, skipped: oracle.TrackingOff},
		"tracking was on":         {feed: func(b *bundle) { b.act("acme", "s", "hidden", started, 1, `,"tracking":true`) }, visited: "yes"},
		"the owner's own view":    {feed: func(b *bundle) { b.act("acme", "s", "film", started, 1, viewer("OWNER@acme.example", "link")) }, skipped: oracle.OwnView},
		"a registration": {feed: func(b *bundle) {
			b.act("acme", "r", "film", "registration.created", 1, viewer("tie@x.example", "asked"))
		}, skipped: oracle.FlowSkipped},
		"a merge field": {feed: func(b *bundle) { b.act("acme", "s", "film", started, 1, viewer("{{email}}", "link")) }, visited: "yes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			tt.feed(b)
			tally := b.oracle.Expect().Tally
			require.Equal(t, 1, tally.Events)
			require.Equal(t, counted(tt.rejected), tally.Rejected)
			require.Equal(t, counted(tt.skipped), tally.Skipped)
			require.Equal(t, len(tt.visited)/3, tally.AnonymousVisits)
		})
	}
}

func counted(reason string) map[string]int {
	if reason == "" {
		return map[string]int{}
	}
	return map[string]int{reason: 1}
}

func TestLinksMayCarryAddressesInOtherForms(t *testing.T) {
	t.Parallel()
	for _, spelling := range []string{"tie@x.example", "tie%40x.example", " TIE@X.example\t", "ｔｉｅ@x.example"} {
		b := setup(t)
		b.act("acme", "s", "film", started, 60, viewer(spelling, "link"))
		require.Equal(t, "tie@x.example", b.one().Viewer)
	}
}
