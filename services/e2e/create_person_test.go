package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/simulator"
)

// testCreatedPersons lets one org make Leads, the other person accounts, of viewers it does not know: one each, whatever they look
// at, and what they look at afterwards is linked to it.
func testCreatedPersons(t *testing.T, p *platform) {
	t.Attr("requirement", "XC-41")
	for object, address := range map[string]string{"Lead": "Email", "Account": "PersonEmail"} {
		workspace := map[string]string{"Lead": "makes-leads", "Account": "makes-persons"}[object]
		p.customer(rig.Customer{ID: workspace, Recipes: []string{"document-close-task"}, Org: withKey(t, object)})
		fields := []*configv1.FieldMapping{
			{Field: address, Source: &configv1.FieldMapping_Path{Path: "viewer.email"}},
			{Field: "LastName", Source: &configv1.FieldMapping_Expression{Expression: "viewer.name != '' ? viewer.name : viewer.email"}},
		}
		if object == "Lead" {
			fields = append(fields, &configv1.FieldMapping{Field: "Company", Source: &configv1.FieldMapping_Constant{
				Constant: &configv1.Constant{Value: &configv1.Constant_Text{Text: "Unknown"}},
			}})
		}
		p.Put(&configv1.Integration{
			Workspace: workspace, Id: "make", Name: "Make people", Connection: rig.Connection, Enabled: true,
			Trigger: configv1.Trigger_TRIGGER_VISIT_CLOSED, EffectiveFrom: timestamppb.New(time.Now().Add(-time.Hour)),
			Actions: []*configv1.Action{{
				Name: "person", Object: object, Operation: configv1.ActionOperation_ACTION_OPERATION_UPSERT, ExternalIdField: "Key__c",
				Scope: configv1.Scope_SCOPE_PERSON, Fields: fields,
			}},
		})
		p.process.AwaitSettings()
		p.Eventually(func() bool { return len(p.changes(workspace, object)) > 0 }, "the org is subscribed to")

		other := rig.Closed(workspace, "mia@viewer.example")
		other.Content = "other"
		p.Send(rig.Closed(workspace, "mia@viewer.example"), other, rig.Closed(workspace, "mia@viewer.example"))
		p.Quiet()
		made := 0
		for _, row := range p.Records(workspace, object) {
			if row[address] == "mia@viewer.example" {
				made++
			}
		}
		require.Equal(t, 1, made, "once per person")

		people := "Contact" // of the pair
		if object == "Lead" {
			people = "Lead"
		}
		require.Len(t, p.Records(workspace, people), 1)
		person := p.Records(workspace, people)[0]["Id"]
		p.Eventually(func() bool {
			p.Send(rig.Closed(workspace, "mia@viewer.example"))
			p.Quiet()
			for _, task := range p.Records(workspace, "Task") {
				if task["WhoId"] == person {
					return true
				}
			}
			return false
		}, "later visits are linked to them")
		require.Len(t, p.Records(workspace, people), 1)
	}
}

// withKey gives an object of the org an external id field; an org whose accounts are people has person accounts.
func withKey(t *testing.T, object string) func(*simulator.Org) {
	t.Helper()
	scenario, err := simulator.ParseScenario([]byte("orgs: [{key: any, objects: [{name: " + object +
		", fields: [{name: Key__c, type: string, length: 80, external_id: true, unique: true, case_sensitive: true}]}]}]"))
	require.NoError(t, err)
	return func(o *simulator.Org) {
		o.Objects = append(o.Objects, scenario.Orgs[0].Objects...)
		o.PersonAccounts = object == "Account"
	}
}
