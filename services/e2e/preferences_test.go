package e2e_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/simulator"
)

// XC-32. What people told Salesforce decides: who opted out is not written about, whoever the Lead or the Contact says it of; who
// is to be forgotten is proposed to the workspace's officers; and everybody else is written about as ever, also in an org that has
// no privacy records.
func TestPeopleWhoOptedOutInSalesforceAreNotWrittenAbout(t *testing.T) {
	t.Attr("requirement", "XC-32")
	rig.Parallel(t)
	r := rig.New(t, rig.Options{})
	r.StartConfig()
	process := r.Start("all")
	people := []simulator.Rows{
		{Object: "Individual", Rows: []map[string]any{
			{"ref": "untracked", "LastName": "U", "HasOptedOutTracking": true},
			{"ref": "unprocessed", "LastName": "P", "HasOptedOutProcessing": true},
			{"ref": "forgotten", "LastName": "F", "ShouldForget": true},
			{"ref": "content", "LastName": "C"},
		}},
		{Object: "Lead", Rows: []map[string]any{
			{"LastName": "U", "Company": "C", "Email": "untracked@viewer.example", "OwnerId": rig.Seller, "IndividualId": "@untracked"},
			{"LastName": "B", "Company": "C", "Email": "both@viewer.example", "OwnerId": rig.Seller},
			{"LastName": "F", "Company": "C", "Email": "forgotten@viewer.example", "OwnerId": rig.Seller, "IndividualId": "@forgotten"},
			{"LastName": "C", "Company": "C", "Email": "content@viewer.example", "OwnerId": rig.Seller, "IndividualId": "@content"},
			{"LastName": "S", "Company": "C", "Email": "silent@viewer.example", "OwnerId": rig.Seller},
		}},
		{Object: "Contact", Rows: []map[string]any{
			{"LastName": "B", "Email": "both@viewer.example", "OwnerId": rig.Seller, "IndividualId": "@unprocessed"},
		}},
	}
	private := func(o *simulator.Org) { o.DataPrivacy, o.Records = true, people }
	r.Add(rig.Customer{ID: "acme", Org: private})
	r.Add(rig.Customer{ID: "ignores", Org: private, Workspace: func(ws *configv1.Workspace) {
		ws.Preferences = &configv1.PreferenceSettings{Ignore: true}
	}})
	r.Add(rig.Customer{ID: "without", Leads: []string{"silent@viewer.example"}})
	process.AwaitSettings()

	sent := map[string]*rig.Event{}
	for _, who := range []string{"untracked", "both", "forgotten", "content", "silent"} {
		sent[who] = rig.Closed("acme", who+"@viewer.example")
		r.Send(sent[who])
	}
	r.Send(rig.Closed("ignores", "untracked@viewer.example"), rig.Closed("without", "silent@viewer.example"))
	r.Quiet()
	for _, who := range []string{"untracked", "both", "forgotten"} {
		require.Contains(t, r.Ended("acme", sent[who].ID), "mapping SKIPPED(OPTED_OUT)", who)
	}
	addresses := func(org string) (all []any) {
		for _, row := range r.Records(org, "Engagement__c") {
			all = append(all, row["Viewer_Email__c"])
		}
		return all
	}
	require.ElementsMatch(t, []any{"content@viewer.example", "silent@viewer.example"}, addresses("acme"))
	require.Len(t, r.Records("acme", "Task"), 2)
	require.Equal(t, []any{"untracked@viewer.example"}, addresses("ignores"), "the workspace does not honour them")
	require.Equal(t, []any{"silent@viewer.example"}, addresses("without"), "the feature is off")

	proposed, err := r.Privacy().ListErasureProposals(t.Context(), &configv1.ListErasureProposalsRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Len(t, proposed.GetProposals(), 1)
	leads := r.Records("acme", "Lead")
	lead := slices.IndexFunc(leads, func(l map[string]any) bool { return l["Id"] == proposed.GetProposals()[0].GetRecordId() })
	require.Equal(t, "F", leads[lead]["LastName"])

	// The officer confirms; from then on the person is erased like any other.
	_, err = r.Privacy().ConfirmErasureProposal(t.Context(), &configv1.ConfirmErasureProposalRequest{
		Workspace: "acme", ProposalId: proposed.GetProposals()[0].GetId(), Confirm: true,
	})
	require.NoError(t, err)
	process.AwaitSettings()
	again := rig.Closed("acme", "forgotten@viewer.example")
	r.Send(again)
	r.Eventually(func() bool { return slices.Contains(r.Ended("acme", again.ID), "ingest "+erasedSkipped) }, "refused at the door")
}
