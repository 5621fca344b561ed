package writer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/simulator"
)

// hidden is a simulated org that lets the integration user see less than our rules set.
func hidden(t *testing.T) *simBundle {
	t.Helper()
	b := setupSimulator(t)
	sc, err := simulator.ParseScenario([]byte(`
orgs:
  - key: hides
    apps: [{client_id: app, client_secret: secret, run_as: integration@hides.example}]
    profiles: [{name: Integration, hidden_fields: [Lead.Phone], read_only_fields: [Lead.Title, Lead.City]}]
    users: [{username: integration@hides.example, last_name: Integration, profile: Integration}]
`))
	require.NoError(t, err)
	require.NoError(t, b.sim.Seed(t.Context(), sc))
	b.base = b.base[:len(b.base)-len("main")] + "hides"
	b.org = salesforce.NewClient(unhurried(), &grant{url: b.base}, salesforce.Deps{})
	b.client["main"] = b.org
	return b
}

func TestFieldsWithoutRights(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-39")
	b := hidden(t)
	_, stop := b.start()
	defer stop()
	lead := func(key string, leaveOut bool, more ...string) *streamv1.Write {
		w := b.lead(key, key+"@toyo.example", streamv1.Duplicates_DUPLICATES_UNSPECIFIED)
		fields := map[string]string{"LastName": "山田", "Company": key, "Description": "Ref: " + key}
		for _, name := range more {
			fields[name] = "secret value"
		}
		w.SealedFields, w.LeaveOutFields = b.seal(fields), leaveOut
		return w
	}
	b.send(lead("strict", false, "Phone"), lead("lenient", true, "Phone", "Title", "City", "Website"), lead("whole", true, "Website"))
	b.ended(3)
	require.Equal(t, map[string]string{"strict/1": "FAILED SF_FIELD_GONE", "lenient/1": "WRITTEN", "whole/1": "WRITTEN"}, b.final())
	require.ElementsMatch(t, []string{"FIELD_LEFT_OUT City", "FIELD_LEFT_OUT Phone", "FIELD_LEFT_OUT Title"}, b.outcome("lenient").GetNotes(),
		"never silently")
	require.Empty(t, b.outcome("whole").GetNotes())
	leads, err := b.org.Query(t.Context(), "SELECT Website FROM Lead WHERE Company IN ('lenient','whole')")
	require.NoError(t, err)
	require.Len(t, leads, 2)
	require.Equal(t, "secret value", leads[0].String("Website"))

	// Known from now on: the next one needs one request.
	calls := b.org.Calls()
	b.send(lead("next", true, "Phone", "Title"))
	b.ended(4)
	require.ElementsMatch(t, []string{"FIELD_LEFT_OUT Phone", "FIELD_LEFT_OUT Title"}, b.outcome("next").GetNotes())
	require.EqualValues(t, 1, b.org.Calls()-calls)

	// What the record is recognised by is never left out.
	w := lead("marked", true, "Title")
	w.MarkerField, w.Marker = "Phone", "Ref: marked"
	w.SealedFields = b.seal(map[string]string{"LastName": "山田", "Company": "marked", "Phone": "Ref: marked"})
	b.send(w)
	b.ended(5)
	require.Equal(t, "FAILED SF_FIELD_GONE", b.final()["marked/1"])
}
