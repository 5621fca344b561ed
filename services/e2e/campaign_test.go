package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/internal/recipe"
	"github.com/throughline-dev/throughline/services/simulator"
)

// testCampaign lets a Lead, a Contact and a stranger read a document whose readers join a campaign. The Contact is a member
// already, and has responded.
func testCampaign(t *testing.T, p *platform) {
	const spring = "701SM0000012abCYAQ"
	p.customer(rig.Customer{
		ID: "campaign", Leads: []string{"mia@viewer.example"}, Contacts: []string{"ken@viewer.example"}, Recipes: []string{"document-engagement"},
		Org: func(o *simulator.Org) {
			contacts := o.Records[1].Rows
			contacts[0]["ref"] = "ken"
			o.Records = append(o.Records,
				simulator.Rows{Object: "Campaign", Rows: []map[string]any{{"id": spring[:15], "ref": "spring", "Name": "春の資料", "IsActive": true}}},
				simulator.Rows{Object: "CampaignMember", Rows: []map[string]any{{"CampaignId": "@spring", "ContactId": "@ken", "Status": "Responded"}}},
			)
		},
	})
	join := func(campaign string) (*configv1.PutIntegrationResponse, error) {
		i, err := recipe.Build("campaign-member", recipe.Params{
			Workspace: "campaign", ID: "join", Connection: rig.Connection, PackageInstalled: true, CampaignID: campaign,
		})
		require.NoError(t, err)
		i.EffectiveFrom = timestamppb.New(time.Now().Add(-time.Hour))
		return p.Config.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: i})
	}
	_, err := join("701SM0000012abDYAQ")
	require.Equal(t, codes.InvalidArgument, status.Code(err), "no such campaign in this org")
	saved, err := join("https://acme.lightning.force.com/lightning/r/Campaign/" + spring + "/view")
	require.NoError(t, err)
	require.Equal(t, []string{"campaign " + spring + ` is "春の資料"`}, saved.GetNotes())
	p.process.AwaitSettings()

	ends := map[string][]string{}
	for _, email := range []string{"mia@viewer.example", "ken@viewer.example", "stranger@viewer.example", "mia@viewer.example"} {
		events := read("campaign", "session-"+email+"-"+time.Now().String(), email)
		p.Send(events...)
		p.Quiet()
		ends[email] = append(ends[email], p.Ended("campaign", events[1].ID)...)
	}
	members := p.Records("campaign", "CampaignMember")
	require.Len(t, members, 2)
	for _, m := range members {
		require.Equal(t, spring, m["CampaignId"])
		if m["ContactId"] != nil {
			require.Equal(t, "Responded", m["Status"], "who is a member stays as they are")
		} else {
			require.Equal(t, "Sent", m["Status"], "the campaign's own default")
		}
	}
	require.Contains(t, ends["ken@viewer.example"], "writer WRITTEN")
	require.Contains(t, ends["stranger@viewer.example"], "mapping SKIPPED(NO_MATCH)")
	require.Contains(t, ends["mia@viewer.example"], "writer SKIPPED(DUPLICATE_EVENT)", "reading it again asks Salesforce nothing")
}
