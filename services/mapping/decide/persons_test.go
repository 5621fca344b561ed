package decide_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
	"github.com/throughline-dev/throughline/services/internal/recipe"
)

// XC-41: a person account is written to as the pair it is.
func TestAPersonAccountIsLinkedAsAPair(t *testing.T) {
	t.Parallel()
	person := func(is bool) func() *integration.Input {
		return func() *integration.Input {
			in := integrationtest.Document()
			r := in.Resolved.GetResolution()
			r.Lead, r.Person = nil, r.GetContact()
			r.Contact.PersonAccount = is
			return in
		}
	}
	task := build(t, "document-close-task", withoutPackage, func(p *recipe.Params) { p.Condition = "person.person_account" })
	task.Actions[0].Fields = append(task.Actions[0].Fields, &configv1.FieldMapping{
		Field: "WhatId", Source: &configv1.FieldMapping_Path{Path: "person.account_id"},
	})
	b := setup(t, task, build(t, "document-engagement"))

	result := b.run(t, b.seal(t, person(true)()))
	require.Len(t, result.Writes, 2)
	todo, row := result.Writes[0], result.Writes[1]
	if todo.GetObject() != "Task" {
		todo, row = row, todo
	}
	fields := integrationtest.Fields(b.open(t, todo))
	require.Equal(t, integrationtest.ContactID, fields["WhoId"])
	require.Equal(t, integrationtest.AccountID, fields["WhatId"])
	require.Equal(t, integrationtest.RecordUser, fields["OwnerId"], "the owner of the account, who is the contact's")
	require.Equal(t, integrationtest.AccountID, todo.GetLockParent(), "Salesforce locks the person account")
	fields = integrationtest.Fields(b.open(t, row))
	require.Equal(t, integrationtest.ContactID, fields["Contact__c"])
	require.Equal(t, integrationtest.AccountID, fields["Account__c"])

	result = b.run(t, b.seal(t, person(false)()))
	require.Len(t, result.Writes, 1, "in a mixed org a condition tells them apart")
	require.Equal(t, 1, result.ConditionFalse)
}
