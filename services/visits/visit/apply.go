package visit

import (
	"math"
	"slices"
	"time"
)

// Effect is what applying an activity did.
type Effect struct {
	// Applied is false for an activity that was applied before: the same offset or the same event again.
	Applied bool
	// Left is whom the visit was about before stronger evidence moved it to somebody else; not Known otherwise.
	Left Subject
}

// Apply takes one activity in. A closed visit is open again afterwards.
//
// Promise 5: an activity that was applied before changes nothing.
func (v *Visit) Apply(a *Activity, limits Limits) Effect {
	if v.Knows(a) {
		return Effect{}
	}
	v.remember(a, limits.EventIDs)
	newest := v.Activities == 0 || !a.At.Before(v.LastActivityAt)
	v.describe(&a.Content, newest)
	v.act(a, limits)
	v.closeOrContinue(a, newest)
	v.extend(a)
	v.AppliedOffset = a.Offset
	v.Activities++
	v.Closed, v.Cause = false, CauseNone
	return Effect{Applied: true, Left: v.identify(a)}
}

// Knows reports whether a was applied before: the same offset or the same event.
func (v *Visit) Knows(a *Activity) bool {
	return a.Offset <= v.AppliedOffset || slices.Contains(v.Seen, a.EventHash)
}

func (v *Visit) remember(a *Activity, limit int) {
	if limit > 0 && len(v.Seen) >= limit {
		v.Seen = slices.Delete(v.Seen, 0, len(v.Seen)-limit+1)
	}
	v.Seen = append(v.Seen, a.EventHash)
	v.LastEventID = a.EventID
	v.Bulk = a.Bulk
	v.TraceParent = a.TraceParent
	v.SettingsRevision = max(v.SettingsRevision, a.SettingsRevision)
	if a.Arrival.After(v.LastArrival) {
		v.LastArrival = a.Arrival
	}
}

// extend widens the visit to the time of a.
func (v *Visit) extend(a *Activity) {
	if v.Activities == 0 || a.At.Before(v.StartedAt) {
		v.StartedAt, v.FirstEventID = a.At, a.EventID
	}
	if v.Activities == 0 || a.At.After(v.LastActivityAt) {
		v.LastActivityAt = a.At
	}
}

// closeOrContinue lets the latest of a close and another activity, by the times of the events, decide whether the
// visit is ending. At the same instant the close does.
func (v *Visit) closeOrContinue(a *Activity, newest bool) {
	switch {
	case a.Action.Ends():
		v.Closing = v.Closing || newest
	case v.Activities == 0 || a.At.After(v.LastActivityAt):
		v.Closing = false
	}
}

func (v *Visit) act(a *Activity, limits Limits) {
	switch a.Action {
	case ActionVideoProgress:
		v.watch(a, limits.Ranges)
	case ActionVideoEnded:
		v.Completed = v.Completed || a.Completed
	case ActionClicked:
		v.Clicks.add(a, limits.Clicks)
	case ActionPageViewed:
		v.read(a, limits.Pages)
		v.show(a)
	case ActionDocumentClosed:
		v.show(a)
	case ActionNone, ActionVideoStarted, ActionDocumentOpened:
	}
}

func (v *Visit) watch(a *Activity, limit int) {
	for _, r := range a.Ranges {
		r, ok := r.Clip(v.Content.LengthSeconds)
		if !ok {
			continue
		}
		v.Ranges = v.Ranges.Add(r)
		v.Watched += Seconds(r.To - r.From)
	}
	v.Ranges = v.Ranges.Bounded(limit)
}

func (v *Visit) read(a *Activity, limit int) {
	dwell := Seconds(a.DwellSeconds)
	v.Dwell += dwell
	i, found := slices.BinarySearchFunc(v.Pages, v.clamp(a.Page), func(p PageDwell, page uint32) int { return int(p.Page) - int(page) })
	switch {
	case found:
		v.Pages[i].Dwell += dwell
	case limit <= 0 || len(v.Pages) < limit:
		v.Pages = slices.Insert(v.Pages, i, PageDwell{Page: v.clamp(a.Page), Dwell: dwell})
	}
}

// show notes the page on screen; the latest known one is the exit page.
func (v *Visit) show(a *Activity) {
	if a.Page == 0 || (v.ExitPage != 0 && a.At.Before(v.ExitPageAt)) {
		return
	}
	v.ExitPage, v.ExitPageAt = v.clamp(a.Page), a.At
}

// clamp keeps a page number within the document (IMM-18).
func (v *Visit) clamp(page uint32) uint32 {
	if count := v.Content.PageCount; count > 0 {
		return min(page, count)
	}
	return page
}

// Seconds converts seconds to a duration of whole microseconds, so that sums do not depend on the order of their terms.
// Negative, absurd (over 30 years) and non-numeric values are 0.
func Seconds(s float64) time.Duration {
	if !(s > 0 && s < 1e9) {
		return 0
	}
	return time.Duration(math.Round(s*1e6)) * time.Microsecond
}
