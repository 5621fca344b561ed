package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
)

// newPerson is a rule that makes people of an object whose address is in the field.
func newPerson(object, address string) *configv1.Integration {
	i := rule(path(address, "viewer.email"), constant("LastName", "Unknown"))
	a := i.Actions[0]
	a.Object, a.ExternalIdField, a.Scope = object, "Key__c", configv1.Scope_SCOPE_PERSON
	return i
}

func unmatched() *integration.Input {
	return changed(func(r *streamv1.Resolution) {
		noPerson(r)
		r.Candidates = nil
	})
}

func TestAPersonIsMadeOfSomebodyTheOrgDoesNotKnow(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-41")
	for object, field := range map[string]string{"Lead": "Email", "Contact": "Email", "Account": "PersonEmail"} {
		in := unmatched()
		fields, record := write(t, newPerson(object, field), in)
		require.Equal(t, integrationtest.Viewer, fields[field])
		require.True(t, record.Once, "from then on the person is the org's")
		require.Equal(t, "person/"+in.Resolved.GetEngagement().GetSubject().GetPersonKey(), record.Business, "one per person, whatever they look at")
	}

	d := compile(t, newPerson("Lead", "Email")).Evaluate(integrationtest.Document())
	require.True(t, d.Holds)
	require.Empty(t, d.Records, "somebody stands for the viewer already")
	require.Empty(t, d.Refusals)

	hidden := unmatched()
	hidden.Resolved.Resolution.Candidates = []*streamv1.Candidate{{Object: "Lead", Rule: "IMM-35 converted; its Contact is not visible"}}
	no := refused(t, newPerson("Lead", "Email"), hidden)
	require.Equal(t, streamv1.Reason_REASON_NO_MATCH, no.Reason)
	require.Contains(t, no.Detail, "its Contact is not visible", "another one would be a double")

	nobody := unmatched()
	nobody.Viewer = nil
	require.Equal(t, streamv1.Reason_REASON_IDENTITY_UNKNOWN, refused(t, newPerson("Lead", "Email"), nobody).Reason)

	assigned := newPerson("Lead", "Email")
	assigned.Actions[0].Assignment = chain(documentOwner)
	fields, _ := write(t, assigned, unmatched())
	require.Equal(t, integrationtest.OwnerUser, fields["OwnerId"])
}

func TestWhatMakesAPersonIsCheckedWhenSaved(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-41")
	for problem, change := range map[string]func(*configv1.Action){
		"actions[0].object":          func(a *configv1.Action) { a.Object = "Task" },
		"actions[0].operation":       func(a *configv1.Action) { a.Operation = configv1.ActionOperation_ACTION_OPERATION_INSERT },
		"actions[0].write_unmatched": func(a *configv1.Action) { a.WriteUnmatched = true },
		"actions[0].fields":          func(a *configv1.Action) { a.Fields = a.Fields[1:] },
		"actions[0].repeat":          func(a *configv1.Action) { a.Repeat = configv1.Repeat_REPEAT_ONCE_EVER },
	} {
		i := newPerson("Lead", "Email")
		change(i.Actions[0])
		_, err := integration.Compile(i)
		require.ErrorContains(t, err, problem)
	}
	_, err := integration.Compile(newPerson("Account", "Email"))
	require.ErrorContains(t, err, "PersonEmail")
}
