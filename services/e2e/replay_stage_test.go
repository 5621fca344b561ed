package e2e_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/internal/replay"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
)

// client is the way into an org of somebody who works there.
func (p *platform) client(org string) *salesforce.Client {
	p.T.Helper()
	token, err := oauth.ClientCredentials(p.T.Context(), oauth.Request{
		LoginURL: p.Salesforce.BaseURL(org), ClientID: "app-" + org, ClientSecret: secret.New(p.OrgSecret),
	})
	require.NoError(p.T, err)
	client := salesforce.NewClient(salesforce.DefaultConfig(),
		salesforce.StaticToken{AccessToken: token.AccessToken, InstanceURL: token.InstanceURL}, salesforce.Deps{})
	p.T.Cleanup(client.CloseIdle)
	return client
}

// testReplayFromAStage is about to-dos that an org refused: one goes in as it was, one only after identity has looked up whom it is
// about once more, because her lead was replaced meanwhile; a third is about somebody who was erased, and goes in nowhere.
func testReplayFromAStage(t *testing.T, p *platform) {
	t.Attr("requirement", "XC-7")
	const org, moved, stays, gone = "replay-stages", "mia@viewer.example", "ren@viewer.example", "yuki@viewer.example"
	rule := simulator.ValidationRule{Object: "Task", When: "Subject LIKE '%closed%'", Message: "No to-dos today."}
	p.customer(rig.Customer{ID: org, Leads: []string{moved, stays, gone}, Org: func(o *simulator.Org) {
		o.ValidationRules = []simulator.ValidationRule{rule}
	}})
	events := []*rig.Event{rig.Closed(org, moved), rig.Closed(org, stays), rig.Closed(org, gone)}
	p.Send(events...)
	p.Quiet()
	require.Empty(t, p.Records(org, "Task"))

	// The rule goes; one lead is deleted and made again; one person is erased.
	require.NoError(t, p.Salesforce.SetValidationRules(org))
	crm := p.client(org)
	for _, lead := range p.Records(org, "Lead") {
		if lead["Email"] == moved {
			require.NoError(t, crm.Delete(t.Context(), "Lead", lead["Id"].(string)))
		}
	}
	again, err := crm.Create(t.Context(), "Lead", salesforce.Fields{
		{Name: "LastName", Value: "Mia"}, {Name: "Company", Value: "Company"}, {Name: "Email", Value: moved}, {Name: "OwnerId", Value: rig.Seller},
	})
	require.NoError(t, err)
	_, err = p.Privacy().StartErasure(t.Context(), &configv1.StartErasureRequest{Workspace: org, Addresses: []string{gone}, Confirm: true})
	require.NoError(t, err)
	p.process.AwaitSettings()

	from := func(stageName string) func(*replay.Replayer) {
		return func(r *replay.Replayer) { r.FromStage = stageName }
	}
	refused := replay.Filter{Workspace: org, Stage: "writer", Reason: "SF_VALIDATION"}
	people := func() (who []string) {
		for _, task := range p.Records(org, "Task") {
			who = append(who, task["WhoId"].(string))
		}
		slices.Sort(who)
		return who
	}

	// At the writer, twice: the same bytes. Her old lead is not there any more.
	for range 2 {
		report, err := p.replay(refused, true, from(replay.AtWriter))
		require.NoError(t, err)
		require.Equal(t, 3, report.Replayed, report.Problems)
		p.Quiet()
		require.Len(t, people(), 1)
	}
	require.Contains(t, p.Ended(org, events[0].ID), "writer FAILED(SF_RECORD_GONE)")
	require.Contains(t, p.Ended(org, events[2].ID), "writer "+erasedSkipped)

	// At identity, twice: looked up anew.
	for range 2 {
		report, err := p.replay(replay.Filter{Workspace: org, Event: events[0].ID, Reason: "SF_RECORD_GONE"}, true, from(replay.AtIdentity))
		require.NoError(t, err)
		require.Positive(t, report.Replayed)
		require.Zero(t, report.Unreadable, report.Problems)
		p.Quiet()
		require.Len(t, people(), 2)
		require.Contains(t, people(), again, "her new lead has the to-do")
	}
	report, err := p.replay(refused, true, from(replay.AtIdentity)) // and everything once more, from there
	require.NoError(t, err)
	require.Equal(t, 3, report.Replayed)
	p.Quiet()
	require.Len(t, people(), 2, "nothing is doubled, and who was erased stays erased")
	require.Contains(t, p.Ended(org, events[2].ID), "identity "+erasedSkipped)
	require.Len(t, p.Records(org, "Engagement__c"), 3, "what had been written beside it is as it was")

	// All of it went in bulk.
	bulk := 0
	for _, rec := range p.Topic(topic.Writes) {
		if string(rec.Key) != string(topic.ConnectionKey(org, rig.Connection)) {
			continue
		}
		if string(rec.Header(topic.HeaderClass)) == topic.ClassBulk {
			bulk++
		}
	}
	require.GreaterOrEqual(t, bulk, 3+3+1)
}

// testReplayOfRefusedEvents: events came before their workspace was there. Once it is, a replay brings them in, from the door on, and in
// bulk, while what happens now is not.
func testReplayOfRefusedEvents(t *testing.T, p *platform) {
	t.Attr("requirement", "XC-7")
	const org, viewer = "early", "mia@viewer.example"
	early := rig.Closed(org, viewer)
	p.Send(early)
	p.Quiet()
	filter := replay.Filter{Stage: "ingest", Reason: "BAD_TENANT", Event: early.ID}
	found, err := p.replay(filter, false)
	require.NoError(t, err)
	require.Equal(t, 1, found.Matched)
	p.customer(rig.Customer{ID: org, Leads: []string{viewer}})
	for range 2 {
		report, err := p.replay(filter, true)
		require.NoError(t, err)
		require.Equal(t, 1, report.Replayed, report.Problems)
		p.Quiet()
		require.Len(t, p.Records(org, "Task"), 1)
		require.Len(t, p.Records(org, "Engagement__c"), 1)
	}
	now := rig.Closed(org, viewer)
	p.Send(now)
	p.Quiet()
	classes := map[string]map[streamv1.Priority]bool{early.ID: {}, now.ID: {}}
	for _, rec := range p.Topic(topic.Writes) {
		w := &streamv1.Write{}
		require.NoError(t, proto.Unmarshal(rec.Value, w))
		if seen := classes[w.GetEventId()]; seen != nil {
			seen[w.GetPriority()] = true
		}
	}
	require.Equal(t, map[string]map[streamv1.Priority]bool{
		early.ID: {streamv1.Priority_PRIORITY_BULK: true}, now.ID: {streamv1.Priority_PRIORITY_REAL_TIME: true},
	}, classes)
}
