package delivery

import (
	"context"
	"slices"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// noteInactive warns, with what was written, that the campaign is not active: members are added all the same (IMM-40).
const noteInactive = "CAMPAIGN_INACTIVE"

const (
	// campaignsFor is how long a campaign's state is taken as known, campaignsOf of how many campaigns of a connection.
	campaignsFor = 10 * time.Minute
	campaignsOf  = 1000
)

// campaign is what is known of a campaign.
type campaign struct {
	inactive bool
	until    time.Time
}

// warnOfInactive notes with new members whose campaign is not active. It costs a call for campaigns that nothing is known of; when
// the org cannot be asked nobody is warned.
func (l *lane) warnOfInactive(ctx context.Context, client *salesforce.Client, res *result) {
	now := l.h.deps.Clock.Now()
	var unknown []string
	known := map[string]campaign{}
	l.adjust(func() {
		for i := range res.endings {
			if id, ok := campaignOf(&res.endings[i]); ok {
				c, found := l.campaigns[id]
				if found && now.Before(c.until) {
					known[id] = c
				} else if !slices.Contains(unknown, id) {
					unknown = append(unknown, id)
				}
			}
		}
	})
	if len(unknown) > 0 {
		l.askForCampaigns(ctx, client, unknown, known)
	}
	for i := range res.endings {
		e := &res.endings[i]
		if id, ok := campaignOf(e); ok && known[id].inactive {
			e.notes = append(e.notes, noteInactive)
		}
	}
}

// campaignOf is the campaign of a member who was made, or was there.
func campaignOf(e *ending) (string, bool) {
	id := e.item.Write.GetMarkerScopeValue()
	return id, e.status == streamv1.Status_STATUS_WRITTEN && id != ""
}

func (l *lane) askForCampaigns(ctx context.Context, client *salesforce.Client, ids []string, known map[string]campaign) {
	slices.Sort(ids)
	records, err := client.Query(ctx, "SELECT Id, IsActive FROM Campaign WHERE Id IN "+salesforce.QuoteList(ids))
	l.h.deps.Tally.Request(ctx, l.org(), "rest", resultOf(err))
	if err != nil {
		return
	}
	until := l.h.deps.Clock.Now().Add(campaignsFor)
	l.adjust(func() {
		if len(l.campaigns)+len(records) > campaignsOf { // promise 7
			clear(l.campaigns)
		}
		for _, id := range ids {
			i := slices.IndexFunc(records, func(r salesforce.Record) bool { return short(r.String("Id")) == short(id) })
			if i >= 0 {
				known[id] = campaign{inactive: !records[i].Bool("IsActive"), until: until}
				l.campaigns[id] = known[id]
			}
		}
	})
}
