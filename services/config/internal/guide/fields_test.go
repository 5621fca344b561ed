package guide_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/guide"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

func TestAFieldIsListedOnceForAllThatUseIt(t *testing.T) {
	t.Attr("requirement", "WALK-7")
	t.Parallel()
	targets := []integration.Target{
		{Path: "actions[0]", Object: "Order__c", ExternalIDField: "Key__c", Fields: []integration.TargetField{
			{Name: "acme__Last_Mood__c", Path: "actions[0].fields[0]", Kind: integration.ValueText, MaxLength: 40},
			{Name: "Here__c", Path: "actions[0].fields[1]", Kind: integration.ValueFlag},
			{Name: "OwnerId", Path: "actions[0].assignment", Own: true},
		}},
		{Path: "actions[1]", Object: "Order__c", MarkerField: "Notes__c", Fields: []integration.TargetField{
			{Name: "ACME__last_mood__c", Path: "actions[1].fields[0]", Kind: integration.ValueText, MaxLength: 80},
			{Name: "Key__c", Path: "actions[1].fields[1]", Kind: integration.ValueText},
		}},
		{Path: "actions[2]", Object: "Gone__c", Fields: []integration.TargetField{{Name: "Won__c", Path: "actions[2].fields[0]", Kind: integration.ValueFlag}}},
		{Path: "actions[3]", Object: "Unasked__c", Fields: []integration.TargetField{{Name: "X__c", Path: "actions[3].fields[0]"}}},
	}
	fields := guide.Missing(targets, map[string]*configv1.DescribedObject{
		"Order__c": {Name: "Order__c", Fields: []*configv1.DescribedField{{Name: "here__c"}}}, "Gone__c": nil,
	})
	var told []string
	for _, f := range fields {
		told = append(told, f.GetObject()+"."+f.GetField())
	}
	require.Equal(t, []string{"Gone__c.", "Gone__c.Won__c", "Order__c.Key__c", "Order__c.Notes__c", "Order__c.acme__Last_Mood__c"}, told,
		"what could not be asked for is not missing, and what Salesforce itself has is hidden at most")
	mood := fields[4]
	require.Equal(t, "Last Mood", mood.GetLabel())
	require.EqualValues(t, 80, mood.GetLength(), "long enough for both")
	require.Equal(t, []string{"actions[0].fields[0]", "actions[1].fields[0]"}, mood.GetUsedBy())
	require.True(t, fields[2].GetExternalId())
	require.Equal(t, "Checkbox", fields[1].GetType())
	require.Nil(t, guide.Ask(nil, ""))
	text := guide.Ask(fields, "")
	require.Contains(t, text.GetEn(), "the integration user")
	require.Contains(t, text.GetEn(), "Gone__c\tthe object itself\n")
	require.Contains(t, text.GetEn(), "Order__c\tKey__c\tKey\tText(255) (External ID) (Unique)\n")
}
