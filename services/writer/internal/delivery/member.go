package delivery

import (
	"context"
	"slices"

	"github.com/throughline-dev/throughline/libs/salesforce"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/parking"
)

// memberObject is the object that adds a person to a campaign. Its records carry neither external id nor marker line:
// Salesforce allows one per campaign and person, and the two ids recognise it.
const memberObject = "CampaignMember"

// nameGoneCampaigns finds out which members were refused because their campaign is not there any more (IMM-40): Salesforce
// says only that something the record refers to is not. When the org cannot be asked, its answer stays as it is.
func (l *lane) nameGoneCampaigns(ctx context.Context, client *salesforce.Client, parcels []parcel, records []salesforce.RecordResult) {
	var campaigns []string
	for i := range parcels {
		if targetGone(records[i].Err) {
			campaigns = append(campaigns, parcels[i].item.Write.GetMarkerScopeValue())
		}
	}
	if len(campaigns) == 0 {
		return
	}
	slices.Sort(campaigns)
	there, err := client.Query(ctx, "SELECT Id FROM Campaign WHERE Id IN "+salesforce.QuoteList(slices.Compact(campaigns)))
	l.h.deps.Tally.Request(ctx, l.org(), "rest", resultOf(err))
	if err != nil {
		return
	}
	for i := range parcels {
		campaign := parcels[i].item.Write.GetMarkerScopeValue()
		known := slices.ContainsFunc(there, func(r salesforce.Record) bool { return r.String("Id") == campaign })
		if !targetGone(records[i].Err) || known {
			continue
		}
		refusal := *records[i].Err
		refusal.Reason = parking.ReasonName(streamv1.Reason_REASON_CAMPAIGN_GONE)
		refusal.Detail = "the campaign " + campaign + " was deleted, or the integration user cannot see it"
		records[i].Err = &refusal
	}
}

// targetGone reports whether a record was refused because something it refers to is not there.
func targetGone(e *salesforce.Error) bool {
	return e != nil && (e.Code == "INVALID_CROSS_REFERENCE_KEY" || e.Code == "ENTITY_IS_DELETED")
}
