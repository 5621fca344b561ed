package writer_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
)

// campaign makes a campaign in the simulated org.
func (b *simBundle) campaign(name string) string {
	b.t.Helper()
	id, err := b.org.Create(b.t.Context(), "Campaign", salesforce.Fields{{Name: "Name", Value: name}, {Name: "IsActive", Value: true}})
	require.NoError(b.t, err)
	return id
}

// member is the write that adds a Lead to a campaign.
func (b *simBundle) member(key, campaign, lead string) *streamv1.Write {
	b.t.Helper()
	w := b.write("main", key, 1)
	w.Object, w.Operation, w.ExternalIdField, w.ExternalId = "CampaignMember", streamv1.Operation_OPERATION_INSERT, "", ""
	w.Marker, w.MarkerField, w.MarkerScopeField, w.MarkerScopeValue = lead, "LeadId", "CampaignId", campaign
	w.LockParent = campaign
	w.PersonLinks = []*streamv1.PersonLink{{Field: "LeadId", ContactField: "ContactId"}}
	w.SealedFields = b.seal(map[string]string{"CampaignId": campaign, "LeadId": lead})
	return w
}

func (b *simBundle) members(campaign string) []salesforce.Record {
	b.t.Helper()
	members, err := b.org.Query(b.t.Context(),
		"SELECT Id, LeadId, ContactId, Status FROM CampaignMember WHERE CampaignId = "+salesforce.Quote(campaign)+" ORDER BY Id")
	require.NoError(b.t, err)
	return members
}

func TestCampaignMembers(t *testing.T) {
	t.Parallel()

	t.Run("AreMadeOnceHoweverManyAskForThem", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-39")
		b := setupSimulator(t)
		spring := b.campaign("Spring")
		_, stop := b.start()
		defer stop()
		b.send(b.member("a", spring, b.leads[0]), b.member("b", spring, b.leads[0]), b.member("c", spring, b.leads[1]))
		b.ended(3)
		require.Equal(t, map[string]string{"a/1": "WRITTEN", "b/1": "WRITTEN", "c/1": "WRITTEN"}, b.final())
		require.Len(t, b.members(spring), 2)
		require.Equal(t, "Sent", b.members(spring)[0].String("Status"), "the campaign's own default")
		require.Empty(t, b.broker.Records(topic.DeadLetters))
	})

	t.Run("AreLookedForInTheirOwnCampaignAfterALostAnswer", func(t *testing.T) {
		t.Parallel()
		b := setupSimulator(t)
		spring, autumn := b.campaign("Spring"), b.campaign("Autumn")
		_, err := b.sim.AddFaults(simulator.Fault{Route: "collections.*", Action: "drop_after", Nth: []int{1}})
		require.NoError(t, err)
		_, stop := b.start()
		defer stop()
		b.send(b.member("a", spring, b.leads[0]), b.member("b", autumn, b.leads[0]))
		b.ended(2)
		b.allHit()
		require.Equal(t, map[string]string{"a/1": "WRITTEN", "b/1": "WRITTEN"}, b.final())
		require.Len(t, b.members(spring), 1)
		require.Len(t, b.members(autumn), 1)
	})

	t.Run("AreTheContactsThatLeadsBecame", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-40")
		b := setupSimulator(t)
		spring := b.campaign("Spring")
		answer := httptest.NewRecorder()
		b.sim.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/_sim/convert?org=main&lead="+b.leads[0], nil))
		require.Equal(t, http.StatusOK, answer.Code, answer.Body)
		_, stop := b.start()
		defer stop()
		b.send(b.member("a", spring, b.leads[0]))
		b.ended(1)
		require.Equal(t, map[string]string{"a/1": "WRITTEN"}, b.final())
		require.NotEmpty(t, b.members(spring)[0].String("ContactId"))
	})

	t.Run("AreRefusedToWhomMayNotMakeThem", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-40")
		b := setupSimulator(t)
		spring := b.campaign("Spring")
		_, err := b.sim.AddFaults(simulator.Fault{
			Org: "main", Object: "CampaignMember", Action: "row_error", Code: "INSUFFICIENT_ACCESS_OR_READONLY", Message: "marketing user needed",
		})
		require.NoError(t, err)
		_, stop := b.start()
		defer stop()
		b.send(b.member("a", spring, b.leads[0]))
		b.ended(1)
		require.Equal(t, map[string]string{"a/1": "FAILED SF_NO_PERMISSION"}, b.final())
	})

	t.Run("OfAnInactiveCampaignAreMadeWithAWarning", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-40")
		b := setupSimulator(t)
		spring, autumn := b.campaign("Spring"), b.campaign("Autumn")
		require.NoError(t, b.org.Update(t.Context(), "Campaign", autumn, salesforce.Fields{{Name: "IsActive", Value: false}}))
		_, stop := b.start()
		defer stop()
		b.send(b.member("a", spring, b.leads[0]), b.member("b", autumn, b.leads[0]), b.member("c", autumn, b.leads[1]))
		b.ended(3)
		require.Equal(t, map[string]string{"a/1": "WRITTEN", "b/1": "WRITTEN", "c/1": "WRITTEN"}, b.final())
		require.Len(t, b.members(autumn), 2)
		require.Empty(t, b.told("a").GetNotes())
		require.Contains(t, b.told("b").GetNotes(), "CAMPAIGN_INACTIVE")
		require.Contains(t, b.told("c").GetNotes(), "CAMPAIGN_INACTIVE")
		b.send(b.member("d", autumn, b.leads[1])) // who is a member already
		b.ended(4)
		require.ElementsMatch(t, []string{"SF_ALREADY_MEMBER", "CAMPAIGN_INACTIVE"}, b.told("d").GetNotes())
	})

	t.Run("OfADeletedCampaignFail", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-40")
		b := setupSimulator(t)
		spring, autumn := b.campaign("Spring"), b.campaign("Autumn")
		b.remove("Campaign", spring)
		_, stop := b.start()
		defer stop()
		b.send(b.member("a", spring, b.leads[0]), b.member("b", autumn, b.leads[0]))
		b.ended(2)
		require.Equal(t, map[string]string{"a/1": "FAILED CAMPAIGN_GONE", "b/1": "WRITTEN"}, b.final())
	})
}

// remove deletes a record by a client of its own: the writer never deletes.
func (b *simBundle) remove(object, id string) {
	b.t.Helper()
	token, err := (&grant{url: b.base}).Token(b.t.Context())
	require.NoError(b.t, err)
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodDelete, b.base+"/services/data/v66.0/sobjects/"+object+"/"+id, nil)
	require.NoError(b.t, err)
	req.Header.Set("Authorization", "Bearer "+token.AccessToken.Reveal())
	res, err := http.DefaultClient.Do(req)
	require.NoError(b.t, err)
	defer res.Body.Close()
	require.Equal(b.t, http.StatusNoContent, res.StatusCode)
}
