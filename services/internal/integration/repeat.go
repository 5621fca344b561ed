package integration

import (
	"time"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// business says what a record stands for: a person, an engagement, a visit, or the first of a person's visits to a content, of a
// day or of all (IMM-21). It depends on nothing that changes while a visit is told of again, so neither does the key that
// is made of it (promise 5).
func (a *action) business(f *frame) string {
	if makesPerson(a.spec) {
		return "person/" + f.engagement.GetSubject().GetPersonKey()
	}
	if a.spec.GetScope() == configv1.Scope_SCOPE_ENGAGEMENT {
		return f.engagement.GetEngagementId()
	}
	if f.visit.GetToldUnknown() && a.assignment != nil && a.assignment.unknown {
		// The record may be there already, made while nobody knew the viewer; it must not be made again (IMM-36).
		return f.visit.GetVisitId()
	}
	switch a.spec.GetRepeat() {
	case configv1.Repeat_REPEAT_ONCE_PER_DAY:
		return f.engagement.GetEngagementId() + "/" + a.moment(f).In(f.fixedZone).Format(time.DateOnly)
	case configv1.Repeat_REPEAT_ONCE_EVER:
		return f.engagement.GetEngagementId()
	default:
		return f.visit.GetVisitId()
	}
}

// moment is when the visit did, for the first time, what the trigger waits for.
func (a *action) moment(f *frame) time.Time {
	switch {
	case a.trigger == configv1.Trigger_TRIGGER_VISIT_OPENED:
		return f.visit.GetStartedAt().AsTime()
	case f.visit.GetFirstClosedAt() != nil:
		return f.visit.GetFirstClosedAt().AsTime()
	default:
		return f.visit.GetLastActivityAt().AsTime()
	}
}
