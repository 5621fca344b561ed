package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

const springCampaign = "701SM0000012abCYAQ"

// joining is a rule that adds viewers to a campaign.
func joining(campaign, status string) *configv1.Integration {
	text := func(field, value string) *configv1.FieldMapping {
		return &configv1.FieldMapping{Field: field, Source: &configv1.FieldMapping_Constant{
			Constant: &configv1.Constant{Value: &configv1.Constant_Text{Text: value}},
		}}
	}
	i := rule("acme")
	i.Enabled, i.Trigger = true, configv1.Trigger_TRIGGER_VISIT_CLOSED
	i.Actions = []*configv1.Action{{
		Name: "member", Object: "CampaignMember", Operation: configv1.ActionOperation_ACTION_OPERATION_INSERT,
		Scope: configv1.Scope_SCOPE_ENGAGEMENT, Fields: []*configv1.FieldMapping{text("CampaignId", campaign)},
	}}
	if status != "" {
		i.Actions[0].Fields = append(i.Actions[0].Fields, text("Status", status))
	}
	return i
}

func TestCampaignsNamedByARuleMustBeThere(t *testing.T) {
	t.Parallel()
	put := func(b *testBundle, i *configv1.Integration) (*configv1.PutIntegrationResponse, error) {
		return b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: i})
	}
	id := func(saved *configv1.PutIntegrationResponse) string {
		return saved.GetIntegration().GetActions()[0].GetFields()[0].GetConstant().GetText()
	}

	t.Run("TheCampaignsNameIsToldForConfirmation", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-38")
		t.Attr("requirement", "IMM-40") // and that it is inactive, which keeps nobody from joining it
		for _, pasted := range []string{
			springCampaign, "https://acme.my.salesforce.com/" + springCampaign, "https://acme.my.salesforce.com/" + springCampaign[:15],
			"https://acme.lightning.force.com/lightning/r/Campaign/" + springCampaign + "/view",
		} {
			b := setup(t)
			b.workspace(t, "acme")
			saved, err := put(b, joining(pasted, ""))
			require.NoError(t, err, pasted)
			require.Equal(t, springCampaign, id(saved), pasted)
			require.Equal(t, []string{"campaign " + springCampaign + ` is "春の資料"; it is inactive, members are added all the same`}, saved.GetNotes())
		}
	})

	t.Run("WhatIsNoCampaignOfThisOrgIsRefused", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-38")
		b := setup(t)
		b.workspace(t, "acme")
		for campaign, says := range map[string]string{
			"701SM0000012abDYAQ":  `no campaign 701SM0000012abDYAQ that it lets us see`, // in another org
			springCampaign[:15]:   "use " + springCampaign,
			"00QSM000000pQrS2AU":  "this is the id of a Lead; a campaign's begins with 701",
			"a0BSM000000pQrS2AU":  "another object, whose ids begin with a0B",
			"701SM0000012abCYAX":  "do not fit",
			"701SM0000012abCYAQ0": "this has 19",
			"https://acme.my.salesforce.com/00QSM000000pQrS2AU":                                "id of a Lead",
			"https://acme.lightning.force.com/lightning/r/Opportunity/006SM000000pQrSYAU/view": "id of an Opportunity",
		} {
			_, err := put(b, joining(campaign, ""))
			require.Equal(t, []string{"integration.actions[0].fields[0]"}, fieldsOf(t, err), campaign)
			require.ErrorContains(t, err, "BAD_CAMPAIGN_ID", campaign)
			require.ErrorContains(t, err, says, campaign)
		}
		all, err := b.admin.ListIntegrations(t.Context(), &configv1.ListIntegrationsRequest{Workspace: "acme"})
		require.NoError(t, err)
		require.Empty(t, all.GetIntegrations(), "nothing was saved")
	})

	t.Run("AStatusMustBeAmongTheCampaigns", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-40")
		b := setup(t)
		b.workspace(t, "acme")
		_, err := put(b, joining(springCampaign, "閲覧"))
		require.Equal(t, []string{"integration.actions[0].fields[1]"}, fieldsOf(t, err))
		require.ErrorContains(t, err, "送付済み, 資料閲覧")
		_, err = put(b, joining(springCampaign, "資料閲覧"))
		require.NoError(t, err)
	})

	t.Run("AUserWithoutTheRightCannotSwitchItOn", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-40")
		b := setup(t)
		b.workspace(t, "acme")
		b.org.mu.Lock()
		b.org.noMembers = true
		b.org.mu.Unlock()
		_, err := put(b, joining(springCampaign, ""))
		require.Equal(t, []string{"integration.actions[0].object"}, fieldsOf(t, err))
		require.ErrorContains(t, err, "SF_NO_PERMISSION")
	})

	t.Run("WhatIsSwitchedOffIsNotAsked", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.workspace(t, "acme")
		off := joining("701SM0000012abDYAQ", "")
		off.Enabled = false
		saved, err := put(b, off)
		require.NoError(t, err)
		require.Empty(t, saved.GetNotes())
		require.Zero(t, b.org.count())
	})

	t.Run("AnOrgThatCannotBeAskedKeepsNobodyFromSaving", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.workspace(t, "acme")
		b.org.refuseWith("invalid_grant")
		saved, err := put(b, joining(springCampaign, ""))
		require.NoError(t, err)
		require.Contains(t, saved.GetNotes()[0], "could not be asked")
	})
}

func TestAnActionWhoseCampaignWasDeletedIsFlagged(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-40")
	b, broker := setupRunLog(t)
	b.workspace(t, "acme")
	saved, err := b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: joining(springCampaign, "")})
	require.NoError(t, err)
	catalogue := configv1.NewCatalogueServiceClient(b.dial(t, acmeViewer))
	broken := func() []*configv1.BrokenIntegration {
		resp, err := catalogue.ListBroken(t.Context(), &configv1.ListBrokenRequest{Workspace: "acme", Connection: "main"})
		require.NoError(t, err)
		return resp.GetBroken()
	}
	gone := func(n int, version int64, campaign string) *streamv1.Outcome {
		o := written("acme", n)
		o.Status, o.Reason, o.RecordId = streamv1.Status_STATUS_FAILED, streamv1.Reason_REASON_CAMPAIGN_GONE, ""
		o.Integration, o.IntegrationVersion, o.Object, o.Connection = "rule", version, "CampaignMember", "main"
		o.Detail = "the campaign " + campaign + " was deleted, or the integration user cannot see it"
		return o
	}
	broker.Append(topic.Outcomes, 0, record(t, gone(1, 7, springCampaign)), record(t, gone(2, 1, "701SM0000012abDYAQ")))
	b.awaitCount(t, "acme", 2)
	require.Empty(t, broken(), "another version, another campaign")
	broker.Append(topic.Outcomes, 0, record(t, gone(3, 1, springCampaign)), record(t, gone(4, 1, springCampaign)))
	b.awaitCount(t, "acme", 4)
	flagged := broken()
	require.Len(t, flagged, 1)
	require.Equal(t, "rule", flagged[0].GetIntegration())
	require.Equal(t, epoch.Add(3*time.Second), flagged[0].GetFoundAt().AsTime())
	require.Len(t, flagged[0].GetProblems(), 1)
	require.Equal(t, "actions[0].fields[0]", flagged[0].GetProblems()[0].GetField())
	require.Contains(t, flagged[0].GetProblems()[0].GetDescription(), "CAMPAIGN_GONE: the campaign "+springCampaign)

	other := saved.GetIntegration()
	other.Actions[0].Disabled = true
	_, err = b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: other})
	require.NoError(t, err)
	require.Empty(t, broken(), "somebody has seen to it")
}
