package delivery

import (
	"context"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/writer/internal/members"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
)

// sendMembers sends the members of a batch, one record for every campaign and person (IMM-39): Salesforce would refuse the
// others. They end with the one that was sent. Then it raises the status of those who were members already.
func (l *lane) sendMembers(ctx context.Context, client *salesforce.Client, g queue.Group, parcels []parcel, res *result) {
	leaders, followers := l.merge(ctx, client, g, parcels)
	l.send(ctx, client, g, leaders, res)
	l.follow(leaders, followers, res)
	l.raise(ctx, client, g, res)
}

// merge finds the records for the same campaign and person. The one with the latest status is sent, as far as they raise it,
// else the first; the others follow it.
func (l *lane) merge(ctx context.Context, client *salesforce.Client, g queue.Group, parcels []parcel) (
	leaders []parcel, followers map[string][]parcel,
) {
	at := map[string]int{}
	for _, p := range parcels {
		pair := p.pair()
		i, known := at[pair]
		if !known || p.person() == "" {
			at[pair] = len(leaders)
			leaders = append(leaders, p)
			continue
		}
		if followers == nil {
			followers = map[string][]parcel{}
		}
		if l.later(ctx, client, g, [2]*parcel{&leaders[i], &p}) {
			p, leaders[i] = leaders[i], p
		}
		followers[pair] = append(followers[pair], p)
	}
	return leaders, followers
}

// later reports whether the second of two records for the same person raises the status of the first. When the org cannot be
// asked for the campaign's statuses it does not: what is not known now is found out by raise.
func (l *lane) later(ctx context.Context, client *salesforce.Client, g queue.Group, two [2]*parcel) bool {
	if !two[1].raises() || two[0].text(statusField) == two[1].text(statusField) {
		return false
	}
	all, e := l.campaignStatuses(ctx, client, g, two[1])
	return e == nil && overtakes(all, two)
}

// overtakes is later with the campaign's statuses. A record without a status gets the campaign's default.
func overtakes(all members.Statuses, two [2]*parcel) bool {
	first, _ := all.Find(two[0].text(statusField))
	return all.Raises(two[1].text(statusField), first.Label, first.Responded)
}

// made reports whether a follower has nothing to raise, because the record it was merged with was just made and is known to
// have the later status.
func (l *lane) made(leader, follower *parcel) bool {
	var all members.Statuses
	var known bool
	l.adjust(func() {
		all, known = l.statuses.Get(leader.text("CampaignId"), follower.text(statusField), l.h.deps.Clock.Now())
	})
	same := leader.text(statusField) == follower.text(statusField)
	return same || known && !overtakes(all, [2]*parcel{leader, follower})
}

// follow ends the records that were merged with others. Where the other was made, or was there, they are members already; where
// it was refused they are sent by themselves, for the refusal may be about what only it said.
func (l *lane) follow(leaders []parcel, followers map[string][]parcel, res *result) {
	if len(followers) == 0 {
		return
	}
	there := map[*queue.Item]ending{}
	for _, e := range res.endings {
		if e.written() {
			there[e.item] = e
		}
	}
	for _, m := range res.members {
		there[m.item] = ending{recordID: m.id}
	}
	parked := map[*queue.Item]park{}
	for _, p := range res.parks {
		parked[p.item] = p
	}
	for i := range leaders {
		leader := &leaders[i]
		leads, is := there[leader.item]
		why, waits := parked[leader.item]
		for _, p := range followers[leader.pair()] {
			switch {
			case is && leads.created && p.raises() && l.made(leader, &p):
				l.endMember(member{parcel: p, id: leads.recordID, note: salesforce.ReasonAlreadyMember}, res, noteKept)
			case is:
				l.isMember(member{parcel: p, id: leads.recordID, note: salesforce.ReasonAlreadyMember}, res)
			case waits:
				res.withdraw(p.item)
				res.park(p.item, why.reason, why.detail)
			default:
				p.item.NotBefore = later(l.h.deps.Clock.Now(), leader.item.NotBefore)
				res.withdraw(p.item)
				res.again = append(res.again, p.item)
			}
		}
	}
}
