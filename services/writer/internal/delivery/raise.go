package delivery

import (
	"context"
	"slices"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/writer/internal/gate"
	"github.com/throughline-dev/throughline/services/writer/internal/members"
	"github.com/throughline-dev/throughline/services/writer/internal/parking"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
)

// What an outcome says about the status of somebody who was a member already.
const (
	noteRaised = "STATUS_RAISED"
	noteKept   = "STATUS_KEPT"
)

const (
	statusField = "Status"
	// statusesFor is how long a campaign's statuses are taken as known, statusesOf of how many campaigns of a connection.
	statusesFor = 10 * time.Minute
	statusesOf  = 1000
)

// member is a write whose person is in the campaign already, and whose status may have to be raised.
type member struct {
	parcel
	id   string // "" when the org did not say
	note string // why it counts as made
	// created: an earlier call of ours is taken to have made it.
	created bool
	call    *salesforce.Call
	// above: the status comes later than what the person had.
	above bool
}

// raises reports whether a record says what becomes of the status of somebody who is a member already.
func (p *parcel) raises() bool { return p.item.Write.GetRaiseStatus() && p.text(statusField) != "" }

func (p *parcel) text(field string) string {
	text, _ := p.value(field).(string)
	return text
}

// person is the Contact or Lead of a record of a member.
func (p *parcel) person() string {
	if contact := p.text("ContactId"); contact != "" {
		return contact
	}
	return p.text("LeadId")
}

// pair is the campaign and the person that a record of a member joins, by their short ids.
func (p *parcel) pair() string { return pairOf(p.text("CampaignId"), p.person()) }

func pairOf(campaign, person string) string { return short(campaign) + "/" + short(person) }

func short(id string) string { return id[:min(len(id), shortID)] }

// isMember ends a write whose person is in the campaign already: wanted and there, a success with a note (IMM-39). One that
// raises the status waits for raise.
func (l *lane) isMember(m member, res *result) {
	if m.raises() {
		res.members = append(res.members, m)
		return
	}
	l.endMember(m, res)
}

func (l *lane) endMember(m member, res *result, notes ...string) {
	before := len(res.endings)
	l.confirmed(m.item, &salesforce.RecordResult{ID: m.id, Created: m.created}, m.call, res)
	if len(res.endings) > before {
		res.endings[before].notes = append([]string{m.note}, notes...)
	}
}

// raise gives those who were members already the status that was asked for, unless that lowers theirs (IMM-39). It reads the
// members just before, and those of one campaign are under way in one request at a time, so that two writes for one person do
// not undo each other. Salesforce has no update that depends on what is there: what others change in the moment between is
// overwritten. Repeating it changes nothing, so after a lost answer it is all done again.
func (l *lane) raise(ctx context.Context, client *salesforce.Client, g queue.Group, res *result) {
	waiting := res.members
	res.members = nil
	if len(waiting) == 0 {
		return
	}
	statuses, rows, e := l.readMembers(ctx, client, g, waiting)
	if e != nil {
		l.cannotRaise(ctx, waiting, e, res)
		return
	}
	var ids []string
	raised := map[string]*member{} // by the member's id, the one with the latest status
	for i := range waiting {
		m := &waiting[i]
		row, ok := rows[m.pair()]
		if !ok { // a member that the integration user cannot see
			continue
		}
		m.id = row.String("Id")
		all := statuses[m.text("CampaignId")]
		m.above = all.Raises(m.text(statusField), row.String(statusField), row.Bool("HasResponded"))
		switch best := raised[m.id]; {
		case !m.above:
		case best == nil:
			ids = append(ids, m.id)
			raised[m.id] = m
		case overtakes(all, [2]*parcel{&best.parcel, &m.parcel}):
			raised[m.id] = m
		}
	}
	l.updateMembers(ctx, client, g, waiting, raised, ids, res)
}

// updateMembers sends the new statuses and ends everything that waited.
func (l *lane) updateMembers(ctx context.Context, client *salesforce.Client, g queue.Group, waiting []member,
	raised map[string]*member, ids []string, res *result,
) {
	refusals := map[string]*salesforce.Error{}
	var call *salesforce.Call
	if len(ids) > 0 {
		req := salesforce.CollectionRequest{Operation: salesforce.Update, Object: memberObject}
		for _, id := range ids {
			req.Records = append(req.Records, salesforce.CollectionRecord{
				ID: id, Fields: salesforce.Fields{{Name: statusField, Value: raised[id].text(statusField)}},
			})
		}
		if state := l.spend(g); !state.Open {
			l.parkMembers(waiting, state, res)
			return
		}
		answer, err := client.Collections(ctx, req)
		l.h.deps.Tally.Request(ctx, l.org(), "collections", resultOf(err))
		if err != nil {
			l.cannotRaise(ctx, waiting, asError(err), res)
			return
		}
		call = &answer.Call
		for i, id := range ids {
			refusals[id] = answer.Records[i].Err
		}
	}
	for i := range waiting {
		m := &waiting[i]
		switch {
		case m.above && refusals[m.id] != nil:
			l.failedRecord(&m.parcel, refusals[m.id], call, res)
		case m.above && raised[m.id] == m:
			m.call = call
			l.endMember(*m, res, noteRaised)
		default:
			l.endMember(*m, res, noteKept)
		}
	}
}

// readMembers reads what the statuses of the campaigns are, and who has which.
func (l *lane) readMembers(ctx context.Context, client *salesforce.Client, g queue.Group, waiting []member) (
	statuses map[string]members.Statuses, rows map[string]salesforce.Record, e *salesforce.Error,
) {
	statuses, rows = map[string]members.Statuses{}, map[string]salesforce.Record{}
	for some := range slices.Chunk(waiting, membersAsked) {
		var campaigns, people []string
		for i := range some {
			m := &some[i]
			campaign := m.text("CampaignId")
			if statuses[campaign], e = l.campaignStatuses(ctx, client, g, &m.parcel); e != nil {
				return nil, nil, e
			}
			campaigns, people = append(campaigns, campaign), append(people, m.person())
		}
		list := idList(people)
		found, e := l.ask(ctx, client, g, "SELECT Id, CampaignId, LeadId, ContactId, Status, HasResponded FROM CampaignMember"+
			" WHERE CampaignId IN "+idList(campaigns)+" AND (LeadId IN "+list+" OR ContactId IN "+list+")")
		if e != nil {
			return nil, nil, e
		}
		for _, row := range found {
			for _, field := range []string{"LeadId", "ContactId"} {
				if id := row.String(field); id != "" {
					rows[pairOf(row.String("CampaignId"), id)] = row
				}
			}
		}
	}
	return statuses, rows, nil
}

// membersAsked is how many members one query asks for, so that it fits a request.
const membersAsked = 100

func idList(ids []string) string {
	return salesforce.QuoteList(slices.Compact(slices.Sorted(slices.Values(ids))))
}

// campaignStatuses returns the statuses of a member's campaign, asking the org now and then.
func (l *lane) campaignStatuses(ctx context.Context, client *salesforce.Client, g queue.Group, p *parcel) (members.Statuses, *salesforce.Error) {
	campaign, now := p.text("CampaignId"), l.h.deps.Clock.Now()
	var known members.Statuses
	var ok bool
	l.adjust(func() { known, ok = l.statuses.Get(campaign, p.text(statusField), now) })
	if ok {
		return known, nil
	}
	rows, e := l.ask(ctx, client, g,
		"SELECT Label, SortOrder, HasResponded FROM CampaignMemberStatus WHERE CampaignId = "+salesforce.Quote(campaign))
	if e != nil {
		return nil, e
	}
	for _, row := range rows {
		known = append(known, members.Status{
			Label: row.String("Label"), Responded: row.Bool("HasResponded"), Order: row.Float("SortOrder"),
		})
	}
	l.adjust(func() { l.statuses.Put(campaign, known, now) })
	return known, nil
}

// codeClosed is the code of a call that was not made, because the org takes none or the class has none left.
const codeClosed = "CLOSED"

// ask asks the org for records, within the class's share of the calls.
func (l *lane) ask(ctx context.Context, client *salesforce.Client, g queue.Group, soql string) ([]salesforce.Record, *salesforce.Error) {
	if state := l.spend(g); !state.Open {
		return nil, &salesforce.Error{
			Class: salesforce.ClassQuota, Code: codeClosed, Reason: parking.ReasonName(state.Reason), Detail: state.Detail,
		}
	}
	rows, err := client.Query(ctx, soql)
	l.h.deps.Tally.Request(ctx, l.org(), "rest", resultOf(err))
	if err != nil {
		return nil, asError(err)
	}
	return rows, nil
}

// spend counts a call of a class, unless there is none left.
func (l *lane) spend(g queue.Group) gate.State {
	now := l.h.deps.Clock.Now()
	state := l.state(g.Priority, now)
	if state.Open {
		l.gate.Spent(g.Priority, 1, now)
	}
	return state
}

func (l *lane) parkMembers(waiting []member, state gate.State, res *result) {
	for i := range waiting {
		res.withdraw(waiting[i].item)
		res.park(waiting[i].item, state.Reason, state.Detail)
	}
}

// cannotRaise deals with an org that could not be asked, or did not take the request. Nothing is lost by doing it all again.
func (l *lane) cannotRaise(ctx context.Context, waiting []member, e *salesforce.Error, res *result) {
	if ctx.Err() != nil {
		return // given up: unsettled, it all comes again
	}
	if e.Code != codeClosed {
		l.gate.Failed(e, l.h.deps.Clock.Now())
	}
	parcels := make([]parcel, len(waiting))
	for i := range waiting {
		parcels[i] = waiting[i].parcel
	}
	unclear := e.Class == salesforce.ClassUnknown && untried(parcels, l.h.cfg.UnknownTries)
	for i := range waiting {
		it := waiting[i].item
		switch {
		case e.Class == salesforce.ClassQuota || e.Class == salesforce.ClassAuth:
			l.parkMembers(waiting[i:i+1], gate.State{Reason: gate.ReasonOf(e), Detail: e.Detail}, res)
		case unclear, e.Ambiguous, e.Temporary():
			l.again(it, e, nil, res)
		default:
			end := failed(it, e)
			end.detail = "the person is a member, but the status could not be raised; " + end.detail
			l.fail(end, res)
		}
	}
}
