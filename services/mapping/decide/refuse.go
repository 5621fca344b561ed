package decide

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// Stage is the name under which mapping tells outcomes.
const Stage = "mapping"

// refuse counts a refusal and, for a closed visit, tells it.
func (d *decision) refuse(i *configv1.Integration, r integration.Refusal) {
	if d.result.Refused == nil {
		d.result.Refused = map[streamv1.Reason]int{}
	}
	d.result.Refused[r.Reason]++
	if !d.told || (d.unknown && r.Reason == streamv1.Reason_REASON_IDENTITY_UNKNOWN) {
		// Every visit closes in the end, and its closed revision says it all again. Promise 3 is kept there. What is not
		// for unknown viewers says nothing of one; if nothing is, the visit is told of as a whole.
		return
	}
	o := &streamv1.Outcome{
		Workspace:          d.engagement.GetWorkspace(),
		Status:             streamv1.Status_STATUS_SKIPPED,
		Reason:             r.Reason,
		Stage:              Stage,
		Detail:             r.Detail,
		EventId:            d.visit.GetLastEventId(),
		VisitId:            d.visit.GetVisitId(),
		EngagementId:       d.engagement.GetEngagementId(),
		PersonKey:          d.engagement.GetSubject().GetPersonKey(),
		Connection:         d.in.Resolved.GetConnection(),
		Integration:        i.GetId(),
		IntegrationVersion: i.GetVersion(),
		Revision:           d.engagement.GetRevision(),
		Object:             r.Object,
		OccurredAt:         d.visit.GetLastActivityAt(),
		DecidedAt:          timestamppb.New(d.in.Now),
		SettingsRevision:   d.in.SettingsRevision,
	}
	if r.Action != "" {
		o.WriteKey = d.key(i, r.Action, r.Business)
	}
	if r.Failed {
		o.Status = streamv1.Status_STATUS_FAILED
		if d.result.Failure == nil {
			d.result.Failure = o
		}
	}
	d.result.Outcomes = append(d.result.Outcomes, o)
}

// spoken reports whether anything is written or told.
func (d *decision) spoken() bool { return len(d.result.Writes) > 0 || len(d.result.Outcomes) > 0 }

// tellUnknown says that nothing is written of a visit because nobody knows the viewer. It names no connection, so that
// several of them say it once.
func (d *decision) tellUnknown() {
	d.result.Outcomes = append(d.result.Outcomes, &streamv1.Outcome{
		Workspace:        d.engagement.GetWorkspace(),
		Status:           streamv1.Status_STATUS_SKIPPED,
		Reason:           streamv1.Reason_REASON_IDENTITY_UNKNOWN,
		Stage:            Stage,
		Detail:           "nobody was known when the visit ended, and no rule made anything of it for the owner",
		EventId:          d.visit.GetLastEventId(),
		VisitId:          d.visit.GetVisitId(),
		EngagementId:     d.engagement.GetEngagementId(),
		Revision:         d.engagement.GetRevision(),
		OccurredAt:       d.visit.GetLastActivityAt(),
		DecidedAt:        timestamppb.New(d.in.Now),
		SettingsRevision: d.in.SettingsRevision,
	})
}
