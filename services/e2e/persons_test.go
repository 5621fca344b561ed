package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/internal/recipe"
	"github.com/throughline-dev/throughline/services/simulator"
)

// sellerOfPersons owns the person accounts; everything else is the Seller's.
const sellerOfPersons = "005000000000102AAA"

// testPersons has an org in which some people are person accounts and others contacts of a business.
func testPersons(t *testing.T, p *platform) {
	t.Attr("requirement", "XC-41")
	p.customer(rig.Customer{ID: "persons", Recipes: []string{"document-engagement"}, Org: func(o *simulator.Org) {
		o.PersonAccounts = true
		o.Users = append(o.Users, simulator.User{ID: sellerOfPersons, Username: "persons@persons.example", LastName: "Second"})
		o.Records = []simulator.Rows{
			{Object: "Account", Rows: []map[string]any{
				{"ref": "business", "Name": "Business", "OwnerId": rig.Seller},
				{"LastName": "Suzuki", "FirstName": "Jiro", "PersonEmail": "Jiro@viewer.example", "OwnerId": sellerOfPersons},
			}},
			{Object: "Contact", Rows: []map[string]any{
				{"LastName": "Roe", "Email": "roe@viewer.example", "AccountId": "@business", "OwnerId": rig.Seller},
			}},
		}
	}})
	task, err := recipe.Build("document-close-task", recipe.Params{
		Workspace: "persons", ID: "document-close-task", Connection: rig.Connection, PackageInstalled: true,
	})
	require.NoError(t, err)
	task.Actions[0].Fields = append(task.Actions[0].Fields, &configv1.FieldMapping{
		Field: "WhatId", Source: &configv1.FieldMapping_Path{Path: "person.account_id"},
	})
	task.EffectiveFrom = timestamppb.New(time.Now().Add(-time.Hour))
	p.Put(task)
	p.process.AwaitSettings()

	jiro := rig.Closed("persons", "jiro@viewer.example")
	p.Send(jiro, rig.Closed("persons", "roe@viewer.example"))
	p.Quiet()
	accounts, contacts := map[string]any{}, map[string]any{}
	for _, a := range p.Records("persons", "Account") {
		accounts[a["Name"].(string)] = a["Id"]
	}
	for _, c := range p.Records("persons", "Contact") {
		contacts[c["LastName"].(string)] = c["Id"]
	}
	type links struct{ who, what, account, owner any }
	var tasks []links
	for _, task := range p.Records("persons", "Task") {
		tasks = append(tasks, links{task["WhoId"], task["WhatId"], task["AccountId"], task["OwnerId"]})
	}
	person, business := accounts["Jiro Suzuki"], accounts["Business"]
	require.NotNil(t, person)
	require.ElementsMatch(t, []links{
		{contacts["Suzuki"], person, person, sellerOfPersons},
		{contacts["Roe"], business, business, rig.Seller},
	}, tasks)
	var rows [][2]any
	for _, row := range p.Records("persons", "Engagement__c") {
		rows = append(rows, [2]any{row["Contact__c"], row["Account__c"]})
	}
	require.ElementsMatch(t, [][2]any{{contacts["Suzuki"], person}, {contacts["Roe"], business}}, rows)

	_, text := p.follow("persons", jiro.ID)
	require.Contains(t, text, "person account "+person.(string))
	require.Contains(t, text, "XC-41")
}
