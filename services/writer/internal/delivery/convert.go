package delivery

import (
	"context"
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/libs/salesforce"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/gate"
)

// leadPrefix starts the id of every Lead.
const leadPrefix = "00Q"

// leads are the ids of the Leads that the record links to.
func (p *parcel) leads() []string {
	var ids []string
	for _, link := range p.item.Write.GetPersonLinks() {
		if id, ok := p.value(link.GetField()).(string); ok && strings.HasPrefix(id, leadPrefix) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (p *parcel) value(field string) any {
	if i := p.index(field); i >= 0 {
		return p.fields[i].Value
	}
	return nil
}

func (p *parcel) index(field string) int {
	return slices.IndexFunc(p.fields, func(f salesforce.Field) bool { return f.Name == field })
}

func (p *parcel) set(field string, v any) {
	if i := p.index(field); i >= 0 {
		p.fields[i].Value = v
		return
	}
	p.fields = append(p.fields, salesforce.Field{Name: field, Value: v})
}

// relink puts the Contacts in the place of their Leads. A Contact that the record names already stays.
func (p *parcel) relink() {
	for _, link := range p.item.Write.GetPersonLinks() {
		lead, _ := p.value(link.GetField()).(string)
		contact := p.item.Contacts[lead]
		if contact == "" {
			continue
		}
		p.set(link.GetField(), nil)
		if to := link.GetContactField(); to != "" && (p.value(to) == nil || p.value(to) == "") {
			p.set(to, contact)
		}
	}
}

// followsConverted reports whether the workspace wants the Contacts of converted Leads.
func (l *lane) followsConverted() bool {
	ws, ok := l.h.deps.Settings.View().Workspace(l.key.workspace)
	if !ok {
		return false
	}
	policy := ws.Proto().GetMatchPolicy()
	return policy == nil || policy.FollowConverted == nil || policy.GetFollowConverted()
}

// followLeads links Contacts instead of the converted Leads that the org refused (IMM-35, LOOM-35). It asks the org what
// the Leads became, once per write, and returns what may be sent now.
func (l *lane) followLeads(ctx context.Context, client *salesforce.Client, parcels []parcel, res *result) []parcel {
	var asking []parcel
	ready := make([]parcel, 0, len(parcels))
	for _, p := range parcels {
		if p.item.LeadConverted && p.item.Contacts == nil {
			asking = append(asking, p)
			continue
		}
		p.relink()
		ready = append(ready, p)
	}
	if len(asking) == 0 {
		return ready
	}
	contacts, e := l.contactsOf(ctx, client, asking)
	if e != nil {
		l.cannotFollow(ctx, asking, e, res)
		return ready
	}
	for _, p := range asking {
		p.item.Contacts = map[string]string{}
		for _, lead := range p.leads() {
			if contact := contacts[lead[:min(len(lead), shortID)]]; contact != "" {
				p.item.Contacts[lead] = contact
			}
		}
		if len(p.item.Contacts) == 0 {
			l.fail(ending{
				item: p.item, status: streamv1.Status_STATUS_FAILED, reason: streamv1.Reason_REASON_SF_CONVERTED_LEAD,
				detail: "the Lead was converted, and the integration user can see no Contact that it became; " +
					"replay the dead letter when there is one",
			}, res)
			continue
		}
		p.relink()
		ready = append(ready, p)
	}
	return ready
}

// shortID is the length of an id without its checksum.
const shortID = 15

// contactsOf asks which Contacts the Leads of parcels became, by the Leads' short ids.
func (l *lane) contactsOf(ctx context.Context, client *salesforce.Client, parcels []parcel) (map[string]string, *salesforce.Error) {
	var leads []string
	for i := range parcels {
		leads = append(leads, parcels[i].leads()...)
	}
	slices.Sort(leads)
	contacts := map[string]string{}
	for some := range slices.Chunk(slices.Compact(leads), salesforce.MaxCollection) {
		records, err := client.Query(ctx,
			"SELECT Id, ConvertedContactId FROM Lead WHERE IsConverted = TRUE AND Id IN "+salesforce.QuoteList(some))
		l.h.deps.Tally.Request(ctx, l.org(), "rest", resultOf(err))
		if err != nil {
			return nil, asError(err)
		}
		for _, r := range records {
			if id := r.String("Id"); len(id) >= shortID {
				contacts[id[:shortID]] = r.String("ConvertedContactId")
			}
		}
	}
	return contacts, nil
}

// cannotFollow deals with an org that could not be asked what its Leads became.
func (l *lane) cannotFollow(ctx context.Context, parcels []parcel, e *salesforce.Error, res *result) {
	if ctx.Err() != nil {
		return // given up: unsettled, it all comes again
	}
	l.gate.Failed(e, l.h.deps.Clock.Now())
	unclear := e.Class == salesforce.ClassUnknown && untried(parcels, l.h.cfg.UnknownTries)
	for _, p := range parcels {
		switch {
		case e.Class == salesforce.ClassQuota || e.Class == salesforce.ClassAuth:
			res.park(p.item, gate.ReasonOf(e), e.Detail)
		case unclear, e.Temporary():
			l.again(p.item, e, nil, res)
		default:
			end := failed(p.item, e)
			end.reason = streamv1.Reason_REASON_SF_CONVERTED_LEAD
			l.fail(end, res)
		}
	}
}
