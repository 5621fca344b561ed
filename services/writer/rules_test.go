package writer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/simulator"
)

// strict is a simulated org with a validation rule, a trigger that refuses, and a record that the user may not touch.
func strict(t *testing.T) *simBundle {
	t.Helper()
	b := setupSimulator(t)
	sc, err := simulator.ParseScenario([]byte(`
orgs:
  - key: rules
    apps: [{client_id: app, client_secret: secret, run_as: integration@rules.example}]
    users: [{username: integration@rules.example, last_name: Integration}]
    validation_rules: [{object: Lead, when: "Rating = 'Hot' AND Phone = null", message: Such leads need a number., field: Phone}]
faults:
  - {org: rules, route: "collections*", action: row_error, nth: [2], code: CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY, message: "LeadTrigger: execution of BeforeInsert: no region"}
  - {org: rules, route: "collections*", action: row_error, nth: [2], code: INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY, message: insufficient access rights on cross-reference id}
`))
	require.NoError(t, err)
	require.NoError(t, b.sim.Seed(t.Context(), sc))
	b.base = b.base[:len(b.base)-len("main")] + "rules"
	b.org = salesforce.NewClient(unhurried(), &grant{url: b.base}, salesforce.Deps{})
	b.client["main"] = b.org
	return b
}

func TestOneRecordIsRefusedInTheOrgsOwnWordsAndTheOthersAreWritten(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-39")
	b := strict(t)
	b.together(5)
	_, stop := b.start()
	defer stop()
	lead := func(key, rating string) *streamv1.Write {
		w := b.lead(key, key+"@toyo.example", streamv1.Duplicates_DUPLICATES_UNSPECIFIED)
		w.SealedFields = b.seal(map[string]string{"LastName": "山田", "Company": key, "Description": "Ref: " + key, "Rating": rating})
		return w
	}
	b.send(lead("first", "Cold"), lead("trigger", "Cold"), lead("denied", "Cold"), lead("rule", "Hot"), lead("last", "Cold"))
	b.ended(5)
	require.Equal(t, map[string]string{
		"first/1": "WRITTEN", "last/1": "WRITTEN",
		"trigger/1": "FAILED SF_VALIDATION", "rule/1": "FAILED SF_VALIDATION", "denied/1": "FAILED SF_NO_PERMISSION",
	}, b.final())
	for key, words := range map[string][2]string{
		"trigger": {"CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "LeadTrigger: execution of BeforeInsert: no region"},
		"denied":  {"INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "insufficient access rights on cross-reference id"},
		"rule":    {"FIELD_CUSTOM_VALIDATION_EXCEPTION", "Such leads need a number."},
	} {
		o := b.outcome(key)
		require.Equal(t, words[0], o.GetSalesforceCode(), key)
		require.Contains(t, o.GetDetail(), words[1], key)
		require.Contains(t, o.GetDetail(), "replay the dead letter", "and what to do")
	}
}
