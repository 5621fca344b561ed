package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
)

// rule is a valid integration with one action and the given fields.
func rule(fields ...*configv1.FieldMapping) *configv1.Integration {
	return &configv1.Integration{
		Workspace: "acme", Id: "rule", Connection: "main", Enabled: true, Version: 4,
		Trigger: configv1.Trigger_TRIGGER_ENGAGEMENT_CHANGED,
		Actions: []*configv1.Action{{
			Name: "row", Object: "Engagement__c", Operation: configv1.ActionOperation_ACTION_OPERATION_UPSERT,
			ExternalIdField: "External_Id__c", Scope: configv1.Scope_SCOPE_ENGAGEMENT, Fields: fields,
		}},
	}
}

// task is a valid integration that inserts a Task with an assignment.
func task(a *configv1.Assignment, fields ...*configv1.FieldMapping) *configv1.Integration {
	i := rule(fields...)
	i.Trigger = configv1.Trigger_TRIGGER_VISIT_CLOSED
	i.Actions[0] = &configv1.Action{
		Name: "task", Object: "Task", Operation: configv1.ActionOperation_ACTION_OPERATION_INSERT,
		MarkerField: "Description", Scope: configv1.Scope_SCOPE_VISIT, Assignment: a, Fields: fields,
	}
	return i
}

func path(field, p string) *configv1.FieldMapping {
	return &configv1.FieldMapping{Field: field, Source: &configv1.FieldMapping_Path{Path: p}}
}

func expression(field, e string) *configv1.FieldMapping {
	return &configv1.FieldMapping{Field: field, Source: &configv1.FieldMapping_Expression{Expression: e}}
}

func constant(field, text string) *configv1.FieldMapping {
	return &configv1.FieldMapping{Field: field, Source: &configv1.FieldMapping_Constant{
		Constant: &configv1.Constant{Value: &configv1.Constant_Text{Text: text}},
	}}
}

// template takes texts as language, text, language, text …
func template(field string, texts ...string) *configv1.FieldMapping {
	byLanguage := map[string]string{}
	for i := 0; i < len(texts); i += 2 {
		byLanguage[texts[i]] = texts[i+1]
	}
	return &configv1.FieldMapping{Field: field, Source: &configv1.FieldMapping_Template{
		Template: &configv1.Template{Texts: byLanguage},
	}}
}

func compile(t *testing.T, i *configv1.Integration) *integration.Program {
	t.Helper()
	p, err := integration.Compile(i)
	require.NoError(t, err)
	return p
}

// write runs a rule that must make exactly one record, and returns its fields.
func write(t *testing.T, i *configv1.Integration, in *integration.Input) (map[string]any, integration.Record) {
	t.Helper()
	d := compile(t, i).Evaluate(in)
	require.Empty(t, d.Refusals)
	require.Len(t, d.Records, 1)
	return integrationtest.Fields(d.Records[0].Fields), d.Records[0]
}

// refused runs a rule that must make no record, for one reason.
func refused(t *testing.T, i *configv1.Integration, in *integration.Input) integration.Refusal {
	t.Helper()
	d := compile(t, i).Evaluate(in)
	require.Empty(t, d.Records)
	require.Len(t, d.Refusals, 1)
	return d.Refusals[0]
}
