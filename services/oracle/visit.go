package oracle

import (
	"math"
	"slices"
	"time"

	"github.com/throughline-dev/throughline/services/generator/world"
)

// visitKey is what makes a visit one (IMM-18): one session looking at one content.
type visitKey struct{ workspace, session, content string }

// visit is everything that arrived of one visit.
type visit struct {
	document bool
	length   float64
	pages    int
	seen     map[string]bool

	first, last time.Time
	lastCloses  bool // the latest thing that happened was a close

	ranges    []rangeData
	watched   float64
	completed bool
	dwell     float64
	exitPage  int
	exitAt    time.Time
	clicks    []click

	who      string // address, "" while nobody is known
	strength int
	evidence string
	whoAt    time.Time
	left     []string // whom it was taken for before

	closings []closing
}

type click struct {
	at    time.Time
	label string
}

// closing is what a visit looked like each time it was closed.
type closing struct {
	who      string
	at       time.Time
	exitPage int
	dwell    float64
}

// apply takes one event in; a repeated id changes nothing (XC-3).
func (v *visit) apply(e *event) {
	if v.seen[e.ID] {
		return
	}
	v.seen[e.ID] = true
	v.document, v.length, v.pages = e.document(), e.Data.Content.Length, e.Data.Content.Pages
	v.identify(e)
	v.act(e)
	if v.first.IsZero() || e.Time.Before(v.first) {
		v.first = e.Time
	}
	switch {
	case e.Time.After(v.last):
		v.last, v.lastCloses = e.Time, e.closes()
	case e.Time.Equal(v.last):
		v.lastCloses = v.lastCloses || e.closes()
	}
	if v.lastCloses {
		v.close()
	}
}

// identify applies LOOM-25: stronger evidence wins, within one kind the latest.
func (v *visit) identify(e *event) {
	who, strength := e.address(), e.strength()
	if who == "" || strength < v.strength || (strength == v.strength && e.Time.Before(v.whoAt)) {
		return
	}
	if v.who != "" && v.who != who {
		v.left = append(v.left, v.who)
	}
	v.who, v.strength, v.evidence, v.whoAt = who, strength, e.Data.Viewer.Evidence, e.Time
}

func (v *visit) act(e *event) {
	for _, r := range e.Data.Ranges {
		if v.length > 0 {
			r.To = math.Min(r.To, v.length)
		}
		if r.From < r.To {
			v.ranges = append(v.ranges, r)
			v.watched += r.To - r.From
		}
	}
	switch e.Type {
	case "throughline.video.ended.v1":
		v.completed = v.completed || e.Data.Completed
	case "throughline.video.cta_clicked.v1":
		v.clicks = append(v.clicks, click{at: e.Time, label: e.Data.Label})
	case "throughline.document.page_viewed.v1":
		v.dwell += e.Data.Dwell
		v.leaveAt(e)
	case "throughline.document.closed.v1":
		v.leaveAt(e)
	}
}

// leaveAt notes the page on screen; the latest known is the one where they left.
func (v *visit) leaveAt(e *event) {
	if e.Data.Page == 0 || e.Time.Before(v.exitAt) {
		return
	}
	v.exitPage, v.exitAt = e.Data.Page, e.Time
	if v.pages > 0 && v.exitPage > v.pages {
		v.exitPage = v.pages
	}
}

// close records how the visit looks at a close.
func (v *visit) close() {
	v.closings = append(v.closings, closing{who: v.who, at: v.last, exitPage: v.exitPage, dwell: v.dwell})
}

// isView applies LOOM-27 with the default thresholds. For a document, which the requirement does not mention, five
// seconds of active time count.
func (v *visit) isView() bool {
	switch {
	case v.document:
		return round(v.dwell, 6) >= 5
	case v.length == 0:
		return round(v.watched, 6) >= 5
	case v.completed || percent(v.ranges, v.length) >= 75:
		return true
	default:
		return v.length >= 5 && round(v.watched, 6) >= 5
	}
}

// percent applies LOOM-29: the share of distinct seconds, 100 from 99.5 on, 0 for an unknown length.
func percent(ranges []rangeData, length float64) float64 {
	if length == 0 {
		return 0
	}
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b rangeData) int {
		if a.From < b.From {
			return -1
		}
		return 1
	})
	var seen, end float64
	for _, r := range sorted {
		if r.To > end {
			seen += r.To - math.Max(r.From, end)
			end = r.To
		}
	}
	share := 100 * seen / length
	if share >= 99.5 {
		return 100
	}
	return share
}

// countClicks applies LOOM-30: a click within two seconds of a counted one is the same click.
func countClicks(clicks []click) (count int) {
	sorted := slices.Clone(clicks)
	slices.SortFunc(sorted, func(a, b click) int { return a.at.Compare(b.at) })
	var counted time.Time
	for _, c := range sorted {
		if count == 0 || c.at.Sub(counted) > 2*time.Second {
			count++
			counted = c.at
		}
	}
	return count
}

func round(x float64, decimals int) float64 {
	scale := math.Pow10(decimals)
	return math.Round(x*scale) / scale
}

func newVisit(kind world.Kind) *visit {
	return &visit{document: kind == world.Document, seen: make(map[string]bool)}
}
