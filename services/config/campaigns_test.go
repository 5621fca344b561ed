package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
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
		b := setup(t)
		b.workspace(t, "acme")
		for campaign, says := range map[string]string{
			"701SM0000012abDYAQ":  `no campaign 701SM0000012abDYAQ that it lets us see`, // in another org
			springCampaign[:15]:   "use " + springCampaign,
			"00QSM000000pQrS2AU":  "701",
			"701SM0000012abCYAX":  "do not fit",
			"701SM0000012abCYAQ0": "this has 19",
			"https://acme.my.salesforce.com/00QSM000000pQrS2AU": "BAD_CAMPAIGN_ID",
		} {
			_, err := put(b, joining(campaign, ""))
			require.Equal(t, []string{"integration.actions[0].fields[0]"}, fieldsOf(t, err), campaign)
			require.ErrorContains(t, err, "BAD_CAMPAIGN_ID", campaign)
			require.ErrorContains(t, err, says, campaign)
		}
	})

	t.Run("AStatusMustBeAmongTheCampaigns", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.workspace(t, "acme")
		_, err := put(b, joining(springCampaign, "閲覧"))
		require.Equal(t, []string{"integration.actions[0].fields[1]"}, fieldsOf(t, err))
		require.ErrorContains(t, err, "送付済み, 資料閲覧")
		_, err = put(b, joining(springCampaign, "資料閲覧"))
		require.NoError(t, err)
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
