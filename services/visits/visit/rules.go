package visit

import "time"

// Rules are the settings of a workspace that shape its visits.
type Rules struct {
	// Silence after which a visit is closed.
	Silence time.Duration
	// Settle is how long after an explicit close more activity continues the visit; 0 closes at once.
	Settle time.Duration
	// Cadence is the least time between two reports of an open visit.
	Cadence time.Duration
	// Remember is how long after the last arrival a closed visit is remembered.
	Remember time.Duration
	// ViewSeconds and ViewPercent (0 to 100) are the thresholds of a view.
	ViewSeconds, ViewPercent float64
}

// CloseDue returns when an open visit is closed if nothing more arrives: the settling delay after an explicit close, else
// the silence limit, counted from the last arrival (IMM-18, LOOM-32).
func (v *Visit) CloseDue(r Rules) time.Time {
	if v.Closing {
		return v.LastArrival.Add(r.Settle)
	}
	return v.LastArrival.Add(r.Silence)
}

// ReportDue returns when an open visit's newest revision may be sent: at once while the person got none, later by
// cadence. ok is false when there is nothing to send, and while the settling delay runs: then the close will speak.
func (v *Visit) ReportDue(r Rules) (due time.Time, ok bool) {
	if !v.Subject.Known() || v.Revision() <= v.SentRevision {
		return time.Time{}, false
	}
	if v.SentRevision < 0 {
		return time.Time{}, true
	}
	if v.Closing {
		return time.Time{}, false
	}
	return v.SentAt.Add(r.Cadence), true
}

// NextDue returns when v needs attention next if nothing more arrives: to be reported, closed or forgotten.
func (v *Visit) NextDue(r Rules) time.Time {
	if v.Closed {
		return v.ForgetDue(r)
	}
	due := v.CloseDue(r)
	if report, ok := v.ReportDue(r); ok && report.Before(due) {
		return report
	}
	return due
}

// ForgetDue returns when a closed visit may be forgotten.
func (v *Visit) ForgetDue(r Rules) time.Time { return v.LastArrival.Add(r.Remember) }

// Close closes an open visit, explicitly if a close was the latest that happened, else by silence.
func (v *Visit) Close() {
	v.Closed = true
	if v.FirstClosedAt.IsZero() {
		v.FirstClosedAt = v.LastActivityAt
	}
	v.Cause = CauseSilence
	if v.Closing {
		v.Cause = CauseExplicit
	}
}
