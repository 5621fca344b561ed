package delivery

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

func TestARefusalDoesNotQuoteTheRecord(t *testing.T) {
	t.Parallel()
	p := &parcel{fields: salesforce.Fields{
		{Name: "Creator_Name__c", Value: "Ada"},
		{Name: "Title__c", Value: "Ada's  plan\nfor June"},
		{Name: "Viewer__c", Value: "鈴木"},
		{Name: "Kind__c", Value: "v"},
		{Name: "Count__c", Value: 3.0},
		{Name: "Empty__c", Value: nil},
	}}
	for text, want := range map[string]string{
		"Ask Ada about it.": "Ask [value] about it.",
		"“Ada's plan for June” is not a valid title": "“[value]” is not a valid title",
		"鈴木様の項目が不正です":                                "[value]様の項目が不正です",
		"Canada and Adana are no creators; Ada is":   "Canada and Adana are no creators; [value] is",
		"Ada, Ada":              "[value], [value]",
		"v is fine, 3 is not":   "v is fine, 3 is not",
		"Nothing of the record": "Nothing of the record",
	} {
		refusal := &salesforce.Error{Code: "FIELD_CUSTOM_VALIDATION_EXCEPTION", Detail: text}
		require.Equal(t, want, p.unquoted(refusal).Detail)
		require.Equal(t, text, refusal.Detail, "the answer is for other records too")
	}
}
