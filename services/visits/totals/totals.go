package totals

import (
	"slices"
	"strings"
	"time"

	"github.com/throughline-dev/throughline/services/visits/ranges"
)

// Click is the latest click on a call to action; the zero value is none.
type Click struct {
	Label, URL string
	At         time.Time
}

// Contribution is one visit's share, or the folded sum of many.
type Contribution struct {
	// VisitID is "" for the folded sum.
	VisitID string
	// Revision of the visit that this is the share of.
	Revision int64
	// Visits is 1, or 0 when the visit was withdrawn; for the folded sum how many.
	Visits, Views, Clicks uint32
	Watched, Dwell        time.Duration
	StartedAt, LastAt     time.Time
	// LastStart is when the youngest visit of the folded sum began.
	LastStart time.Time
	Ranges    ranges.Set
	LastClick Click
}

// Totals is what is remembered of one person and one content. The zero value has no visits.
type Totals struct {
	// Visits are remembered one by one, in no order.
	Visits []Contribution
	// Folded is what the forgotten ones contributed together.
	Folded Contribution
}

// Limits bound what is remembered (promise 7).
type Limits struct {
	// Visits is the most remembered one by one.
	Visits int `yaml:"visits"`
	// Ranges is the most disjoint stretches of the folded sum.
	Ranges int `yaml:"ranges"`
}

// DefaultLimits returns 64 visits and 256 stretches.
func DefaultLimits() Limits { return Limits{Visits: 64, Ranges: 256} }

// Apply takes the newest known share of one visit in. It returns false, and changes nothing, if this revision or a
// newer one of the visit was applied before.
//
// Promise 5: a revision that comes again has no effect. Promise 4: an older one never replaces a newer one.
func (t *Totals) Apply(c Contribution, limits Limits) bool {
	for i := range t.Visits {
		if t.Visits[i].VisitID != c.VisitID {
			continue
		}
		if c.Revision <= t.Visits[i].Revision {
			return false
		}
		if c.startsAnewAfter(&t.Visits[i]) {
			t.foldIn(&t.Visits[i], limits)
		}
		t.Visits[i] = c
		return true
	}
	if t.Folded.Visits > 0 && !c.StartedAt.After(t.Folded.LastStart) {
		t.Folded.extend(&c, limits)
		return true
	}
	t.Visits = append(t.Visits, c)
	for limits.Visits > 0 && len(t.Visits) > limits.Visits {
		t.fold(limits)
	}
	return true
}

// fold moves the visit that began first into the folded sum. When a visit ended may change with its next revision, and
// then it would be taken for another one; when it began only moves back.
func (t *Totals) fold(limits Limits) {
	oldest := 0
	for i := range t.Visits {
		if older(&t.Visits[i], &t.Visits[oldest]) {
			oldest = i
		}
	}
	t.foldIn(&t.Visits[oldest], limits)
	t.Visits = slices.Delete(t.Visits, oldest, oldest+1)
}

func (t *Totals) foldIn(c *Contribution, limits Limits) {
	t.Folded.add(c)
	t.Folded.Ranges = t.Folded.Ranges.Bounded(limits.Ranges)
}

// startsAnewAfter reports whether c is of a visit that was forgotten and started again under the same id, as happens when
// a session goes on after days: its revisions hold nothing of what was before. Those of one visit never begin later.
func (c *Contribution) startsAnewAfter(before *Contribution) bool {
	return c.Visits > 0 && before.Visits > 0 && c.StartedAt.After(before.StartedAt)
}

func older(a, b *Contribution) bool {
	if !a.StartedAt.Equal(b.StartedAt) {
		return a.StartedAt.Before(b.StartedAt)
	}
	return strings.Compare(a.VisitID, b.VisitID) < 0
}

// Sum returns the totals over all visits. VisitID and Revision are empty; withdrawn visits count for nothing. The
// stretches are a copy.
func (t *Totals) Sum() Contribution {
	var sum Contribution
	sum.add(&t.Folded)
	for i := range t.Visits {
		sum.add(&t.Visits[i])
	}
	return sum
}

func (c *Contribution) add(other *Contribution) {
	if other.Visits == 0 {
		return
	}
	if c.Visits == 0 || other.StartedAt.Before(c.StartedAt) {
		c.StartedAt = other.StartedAt
	}
	if c.Visits == 0 || other.LastAt.After(c.LastAt) {
		c.LastAt = other.LastAt
	}
	if c.Visits == 0 || other.StartedAt.After(c.LastStart) {
		c.LastStart = other.StartedAt
	}
	if other.LastStart.After(c.LastStart) {
		c.LastStart = other.LastStart
	}
	c.Visits += other.Visits
	c.Views += other.Views
	c.Clicks += other.Clicks
	c.Watched += other.Watched
	c.Dwell += other.Dwell
	c.Ranges = c.Ranges.Union(other.Ranges)
	if later(&other.LastClick, &c.LastClick) {
		c.LastClick = other.LastClick
	}
}

// extend takes over what a revision of a visit that c contains can tell any number of times: how far it reaches.
func (c *Contribution) extend(revision *Contribution, limits Limits) {
	if revision.Visits == 0 {
		return
	}
	c.Ranges = c.Ranges.Union(revision.Ranges).Bounded(limits.Ranges)
	if revision.StartedAt.Before(c.StartedAt) {
		c.StartedAt = revision.StartedAt
	}
	if revision.LastAt.After(c.LastAt) {
		c.LastAt = revision.LastAt
	}
	if later(&revision.LastClick, &c.LastClick) {
		c.LastClick = revision.LastClick
	}
}

// later orders clicks by time; at the same instant the texts decide, so that the order of visits does not.
func later(a, b *Click) bool {
	if !a.At.Equal(b.At) {
		return a.At.After(b.At)
	}
	if a.Label != b.Label {
		return a.Label > b.Label
	}
	return a.URL > b.URL
}
