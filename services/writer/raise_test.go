package writer_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
)

// raised is a write that adds a Lead to a campaign with a status, and raises that of a member.
func (b *simBundle) raised(key, campaign, lead, status string) *streamv1.Write {
	b.t.Helper()
	w := b.member(key, campaign, lead)
	w.RaiseStatus = true
	w.SealedFields = b.seal(map[string]string{"CampaignId": campaign, "LeadId": lead, "Status": status})
	return w
}

// joined makes a Lead a member, as somebody else would.
func (b *simBundle) joined(campaign, lead, status string) {
	b.t.Helper()
	_, err := b.org.Create(b.t.Context(), "CampaignMember", salesforce.Fields{
		{Name: "CampaignId", Value: campaign}, {Name: "LeadId", Value: lead}, {Name: "Status", Value: status},
	})
	require.NoError(b.t, err)
}

// statuses adds member statuses to a campaign that has Sent (1) and Responded (2, responded).
func (b *simBundle) statuses(campaign string) {
	b.t.Helper()
	for i, label := range []string{"Reminded", "Attended"} {
		_, err := b.org.Create(b.t.Context(), "CampaignMemberStatus", salesforce.Fields{
			{Name: "CampaignId", Value: campaign},
			{Name: "Label", Value: label},
			{Name: "SortOrder", Value: float64(i + 3)},
			{Name: "HasResponded", Value: label == "Attended"},
		})
		require.NoError(b.t, err)
	}
}

// status is the only member's.
func (b *simBundle) status(campaign string) string {
	b.t.Helper()
	found := b.members(campaign)
	require.Len(b.t, found, 1)
	return found[0].String("Status")
}

func TestTheStatusOfAMember(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct{ before, wanted, after, note string }{
		"IsRaisedToResponded":              {"Sent", "Responded", "Responded", "STATUS_RAISED"},
		"IsRaisedByTheCampaignsOrder":      {"Sent", "Reminded", "Reminded", "STATUS_RAISED"},
		"IsRaisedAmongThoseThatResponded":  {"Responded", "Attended", "Attended", "STATUS_RAISED"},
		"IsNotLoweredFromResponded":        {"Responded", "Reminded", "Responded", "STATUS_KEPT"},
		"IsNotLoweredAmongThoseThatDid":    {"Attended", "Responded", "Attended", "STATUS_KEPT"},
		"IsNotLoweredByTheCampaignsOrder":  {"Reminded", "Sent", "Reminded", "STATUS_KEPT"},
		"StaysForOneThatTheCampaignHasNot": {"Reminded", "Nonsense", "Reminded", "STATUS_KEPT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("requirement", "IMM-39")
			b := setupSimulator(t)
			spring := b.campaign("Spring")
			b.statuses(spring)
			b.joined(spring, b.leads[0], c.before)
			_, stop := b.start()
			defer stop()
			b.send(b.raised("a", spring, b.leads[0], c.wanted))
			b.ended(1)
			require.Equal(t, map[string]string{"a/1": "WRITTEN"}, b.final())
			require.Equal(t, []string{"SF_ALREADY_MEMBER", c.note}, b.outcome("a").GetNotes())
			require.NotEmpty(t, b.outcome("a").GetRecordId())
			require.Equal(t, c.after, b.status(spring))
		})
	}

	t.Run("StaysWithoutTheOption", func(t *testing.T) {
		t.Parallel()
		b := setupSimulator(t)
		spring := b.campaign("Spring")
		b.joined(spring, b.leads[0], "Sent")
		_, stop := b.start()
		defer stop()
		w := b.raised("a", spring, b.leads[0], "Responded")
		w.RaiseStatus = false
		calls := b.org.Calls()
		b.send(w)
		b.ended(1)
		require.Equal(t, []string{"SF_ALREADY_MEMBER"}, b.outcome("a").GetNotes())
		require.EqualValues(t, 2, b.org.Calls()-calls, "members, and whether the campaign is active")
		require.Equal(t, "Sent", b.status(spring))
	})

	t.Run("IsReadForManyTogetherAndTheOrderOnce", func(t *testing.T) {
		t.Parallel()
		b := setupSimulator(t)
		b.together(4)
		spring, autumn := b.campaign("Spring"), b.campaign("Autumn")
		for _, campaign := range []string{spring, autumn} {
			for _, lead := range b.leads {
				b.joined(campaign, lead, "Sent")
			}
		}
		_, stop := b.start()
		defer stop()
		calls := b.org.Calls()
		b.send(b.raised("a", spring, b.leads[0], "Responded"), b.raised("b", spring, b.leads[1], "Sent"),
			b.raised("c", autumn, b.leads[0], "Sent"), b.raised("d", autumn, b.leads[1], "Responded"))
		b.ended(4)
		require.EqualValues(t, 1+2+1+1+1, b.org.Calls()-calls, "members, statuses of two campaigns, who has which, update, which campaigns are active")
		calls = b.org.Calls()
		b.send(b.raised("e", spring, b.leads[1], "Responded"), b.raised("f", spring, b.leads[0], "Sent"),
			b.raised("g", autumn, b.leads[0], "Sent"), b.raised("h", autumn, b.leads[1], "Sent"))
		b.ended(8)
		require.EqualValues(t, 3, b.org.Calls()-calls, "the order is known")
		require.Equal(t, map[string]string{
			"a/1": "WRITTEN", "b/1": "WRITTEN", "c/1": "WRITTEN", "d/1": "WRITTEN",
			"e/1": "WRITTEN", "f/1": "WRITTEN", "g/1": "WRITTEN", "h/1": "WRITTEN",
		}, b.final())
		for _, m := range b.members(spring) {
			require.Equal(t, "Responded", m.String("Status"))
		}
		for _, m := range b.members(autumn) {
			require.Equal(t, m.String("LeadId") == b.leads[1], m.String("Status") == "Responded")
		}
	})
}

func TestTheStatusOfAMemberSurvivesTrouble(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]simulator.Fault{
		"TheAnswerToTheMemberIsLost":  {Route: "collections*", Action: "drop_after", Nth: []int{1}},
		"TheMemberDoesNotArrive":      {Route: "collections*", Action: "drop_before", Nth: []int{1}},
		"TheAnswerToTheStatusIsLost":  {Route: "collections*", Action: "drop_after", Nth: []int{2}},
		"TheStatusDoesNotArrive":      {Route: "collections*", Action: "drop_before", Nth: []int{2}},
		"TheMemberIsLocked":           {Route: "collections*", Action: "lock_row", Nth: []int{2}},
		"TheStatusesCannotBeRead":     {Route: "query*", Action: "status", Status: 503, Code: "SERVER_UNAVAILABLE", Nth: []int{1}},
		"TheMembersCannotBeRead":      {Route: "query*", Action: "status", Status: 503, Code: "SERVER_UNAVAILABLE", Nth: []int{2}},
		"TheSessionEndsInTheMiddleOf": {Route: "query*", Action: "expire_session", Nth: []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("requirement", "IMM-39")
			b := setupSimulator(t)
			spring, autumn := b.campaign("Spring"), b.campaign("Autumn")
			b.joined(spring, b.leads[0], "Sent")
			_, err := b.sim.AddFaults(fault)
			require.NoError(t, err)
			_, stop := b.start()
			defer stop()
			b.send(b.raised("raise", spring, b.leads[0], "Responded"))
			b.ended(1)
			b.allHit()
			b.sim.RemoveFaults("")
			require.Equal(t, map[string]string{"raise/1": "WRITTEN"}, b.final())
			require.Equal(t, "Responded", b.status(spring))
			require.Empty(t, b.broker.Records(topic.DeadLetters))

			b.send(b.raised("new", autumn, b.leads[0], "Responded"))
			b.ended(2)
			require.Equal(t, "Responded", b.status(autumn))
		})
	}

	t.Run("AndItIsRefusedInTheOrgsWords", func(t *testing.T) {
		t.Parallel()
		b := setupSimulator(t)
		spring := b.campaign("Spring")
		b.joined(spring, b.leads[0], "Sent")
		_, err := b.sim.AddFaults(simulator.Fault{
			Route: "collections*", Method: "PATCH", Action: "row_error", Code: "FIELD_CUSTOM_VALIDATION_EXCEPTION", Message: "The campaign is closed.",
		})
		require.NoError(t, err)
		_, stop := b.start()
		defer stop()
		b.send(b.raised("a", spring, b.leads[0], "Responded"), b.raised("b", spring, b.leads[0], "Sent"))
		b.ended(2)
		require.Equal(t, map[string]string{"a/1": "FAILED SF_VALIDATION", "b/1": "WRITTEN"}, b.final())
		require.Contains(t, b.outcome("a").GetDetail(), "The campaign is closed.")
	})
}

func TestEventsForTheSameMemberAreMergedBeforeSending(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-39")
	b := setupSimulator(t)
	b.together(6)
	spring := b.campaign("Spring")
	b.statuses(spring)
	_, stop := b.start()
	defer stop()
	calls := b.org.Calls()
	b.send(
		b.member("plain", spring, b.leads[0]), b.raised("sent", spring, b.leads[0], "Sent"),
		b.raised("attended", spring, b.leads[0], "Attended"), b.raised("responded", spring, b.leads[0], "Responded"),
		b.member("first", spring, b.leads[1]), b.member("second", spring, b.leads[1]),
	)
	b.ended(6)
	for key, outcome := range b.final() {
		require.Equal(t, "WRITTEN", outcome, key)
	}
	require.EqualValues(t, 3, b.org.Calls()-calls, "the campaign's statuses, two records, and whether it is active")
	require.EqualValues(t, 2, b.outcome("attended").GetRequest().GetBatchSize())
	require.True(t, b.outcome("attended").GetCreated())
	require.Empty(t, b.outcome("attended").GetNotes())
	require.Equal(t, []string{"SF_ALREADY_MEMBER"}, b.outcome("plain").GetNotes())
	require.Equal(t, []string{"SF_ALREADY_MEMBER", "STATUS_KEPT"}, b.outcome("sent").GetNotes())
	require.Equal(t, []string{"SF_ALREADY_MEMBER", "STATUS_KEPT"}, b.outcome("responded").GetNotes())
	require.Equal(t, b.outcome("attended").GetRecordId(), b.outcome("responded").GetRecordId())
	require.Equal(t, b.outcome("first").GetRecordId(), b.outcome("second").GetRecordId())
	found := b.members(spring)
	require.Len(t, found, 2)
	for _, m := range found {
		require.Equal(t, m.String("LeadId") == b.leads[0], m.String("Status") == "Attended")
	}
}

func TestWhatOnlyOneOfTheMergedIsRefusedForConcernsNoOther(t *testing.T) {
	t.Parallel()
	b := setupSimulator(t)
	b.together(3)
	spring := b.campaign("Spring")
	_, stop := b.start()
	defer stop()
	bad := b.member("bad", spring, b.leads[0])
	bad.SealedFields = b.seal(map[string]string{"CampaignId": spring, "LeadId": b.leads[0], "Nope__c": "x"})
	b.send(bad, b.member("good", spring, b.leads[0]), b.member("other", spring, b.leads[1]))
	b.ended(3)
	require.Equal(t, map[string]string{"bad/1": "FAILED SF_FIELD_GONE", "good/1": "WRITTEN", "other/1": "WRITTEN"}, b.final())
	require.Len(t, b.members(spring), 2)
}

func TestTwoWritersThatRaceLowerNobody(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-39")
	one := setupSimulator(t)
	two := &simBundle{testBundle: setup(t), sim: one.sim, base: one.base}
	two.org = salesforce.NewClient(unhurried(), &grant{url: one.base}, salesforce.Deps{})
	two.client["main"] = two.org
	spring := one.campaign("Spring")
	const people = 60
	var leads []string
	for i := range people {
		id, err := one.org.Create(t.Context(), "Lead", salesforce.Fields{{Name: "LastName", Value: fmt.Sprint("山田", i)}, {Name: "Company", Value: "東洋"}})
		require.NoError(t, err)
		leads = append(leads, id)
	}
	for _, b := range []*simBundle{one, two} {
		b.cfg.Lanes.BatchRecords, b.cfg.Lanes.MinBatchRecords = 5, 5
		_, stop := b.start()
		defer stop()
	}
	for i, lead := range leads {
		status := [2]string{"Sent", "Responded"}
		one.send(one.raised(fmt.Sprint("one", i), spring, lead, status[i%2]))
		two.send(two.raised(fmt.Sprint("two", i), spring, lead, status[1-i%2]))
	}
	one.ended(people)
	two.ended(people)
	for _, b := range []*simBundle{one, two} {
		for key, outcome := range b.final() {
			require.True(t, outcome == "WRITTEN" || strings.HasPrefix(outcome, "RETRYING"), "%s: %s", key, outcome)
		}
	}
	found := one.members(spring)
	require.Len(t, found, people)
	for _, m := range found {
		require.Equal(t, "Responded", m.String("Status"))
	}
}
