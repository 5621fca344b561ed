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
	if !d.told {
		// Every visit closes in the end, and its closed revision says it all again. Promise 3 is kept there.
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
		Connection:         d.in.Resolved.GetConnection(),
		Integration:        i.GetId(),
		IntegrationVersion: i.GetVersion(),
		Revision:           d.engagement.GetRevision(),
		Object:             r.Object,
		OccurredAt:         d.visit.GetLastActivityAt(),
		DecidedAt:          timestamppb.New(d.in.Now),
		SettingsRevision:   d.in.SettingsRevision,
	}
	for _, action := range i.GetActions() {
		if r.Action != "" && action.GetName() == r.Action {
			o.WriteKey = d.key(i, action)
		}
	}
	if r.Failed {
		o.Status = streamv1.Status_STATUS_FAILED
		if d.result.Failure == nil {
			d.result.Failure = o
		}
	}
	d.result.Outcomes = append(d.result.Outcomes, o)
}
