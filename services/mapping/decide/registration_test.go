package decide_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
	"github.com/throughline-dev/throughline/services/mapping/decide"
)

// exporting is what the event set-up makes of its first flow.
func exporting() *configv1.Integration {
	return &configv1.Integration{
		Workspace: "acme", Id: "registrations.export", Connection: "main", Enabled: true, Trigger: configv1.Trigger_TRIGGER_REGISTRATION,
		Actions: []*configv1.Action{{
			Name: "registration", Object: "Lead", Operation: configv1.ActionOperation_ACTION_OPERATION_UPSERT, ExternalIdField: "Key__c",
			Scope: configv1.Scope_SCOPE_VISIT, WriteUnmatched: true, Fields: []*configv1.FieldMapping{
				{Field: "LastName", Source: &configv1.FieldMapping_Path{Path: "registrant.last_name"}},
				{Field: "Email", Source: &configv1.FieldMapping_Path{Path: "viewer.email"}},
			},
		}},
	}
}

// registration is one that is resolved.
func (b *testBundle) registration(t *testing.T) *streamv1.Resolved {
	t.Helper()
	in := integrationtest.Document()
	e := in.Resolved.GetEngagement()
	e.Content.Kind = streamv1.ContentKind_CONTENT_KIND_EVENT
	plain, err := proto.Marshal(&streamv1.Registrant{LastName: "Sato"})
	require.NoError(t, err)
	sealed, err := b.workspace.Keys().Seal(plain)
	require.NoError(t, err)
	e.Visit.Registration = &streamv1.Registration{
		RegistrationId: "r-1", Change: streamv1.RegistrationChange_REGISTRATION_CHANGE_CREATED, Sealed: sealed,
	}
	return b.seal(t, in)
}

func TestARegistrationBecomesOneRecordOfItsOwn(t *testing.T) {
	t.Parallel()
	b := setup(t, exporting(), build(t, "document-close-task"), build(t, "video-engagement"))
	resolved := b.registration(t)
	result := b.run(t, resolved)
	require.Empty(t, result.Outcomes)
	require.Len(t, result.Writes, 1, "what is about views takes no registrations")
	w := result.Writes[0]
	require.Equal(t, "r-1", w.GetExternalId(), "the source's own id")
	require.Equal(t, ids.WriteKey("acme", "registrations.export", "registration", "visit-1"), w.GetWriteKey())
	require.False(t, w.GetOnce(), "a change changes it")
	require.Equal(t, resolved.GetEngagement().GetRevision(), w.GetRevision())
	fields := integrationtest.Fields(b.open(t, w))
	require.Equal(t, map[string]any{"LastName": "Sato", "Email": integrationtest.Viewer}, fields)

	resolved.Resolution = &streamv1.Resolution{Reason: streamv1.Reason_REASON_NO_MATCH}
	require.Len(t, b.run(t, resolved).Writes, 1, "whether anybody is known or not")

	view := b.run(t, b.seal(t, integrationtest.Document()))
	require.Len(t, view.Writes, 1)
	require.Equal(t, "document-close-task", view.Writes[0].GetIntegration(), "and views are no registrations")
}

func TestARegistrationOfAFlowThatIsOffIsSkipped(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "HOPIN-5")
	off := exporting()
	off.Enabled = false
	for _, rules := range [][]*configv1.Integration{{build(t, "document-close-task")}, {off, build(t, "document-close-task")}} {
		b := setup(t, rules...)
		result := b.run(t, b.registration(t))
		require.Empty(t, result.Writes)
		require.Len(t, result.Outcomes, 1)
		require.Equal(t, streamv1.Reason_REASON_FLOW_SKIPPED, result.Outcomes[0].GetReason())
		require.Equal(t, streamv1.Status_STATUS_SKIPPED, result.Outcomes[0].GetStatus())
	}
}

func TestPreferencesKeepRegistrationsBackOnlyWhereThatIsWanted(t *testing.T) {
	t.Parallel()
	for wanted, sources := range map[bool][]string{false: nil, true: {"registration"}} {
		b := setup(t, exporting())
		b.workspace.Proto().Preferences = &configv1.PreferenceSettings{Sources: sources}
		resolved := b.registration(t)
		resolved.Resolution.Preferences = &streamv1.Preferences{OptedOutProcessing: true, Object: "Lead", RecordId: "00Q000000000001AAA"}
		result := b.run(t, resolved)
		require.Equal(t, wanted, len(result.Writes) == 0)
		require.Equal(t, wanted, len(result.Outcomes) == 1)
	}
}

func TestARegistrantThatDoesNotOpenIsAFault(t *testing.T) {
	t.Parallel()
	b := setup(t, exporting())
	resolved := b.registration(t)
	resolved.GetEngagement().GetVisit().GetRegistration().Sealed = []byte("other")
	_, err := b.mapper.Map(inputOf(b, resolved))
	require.ErrorContains(t, err, "registrant")
	require.NotContains(t, err.Error(), "Sato")
}

func inputOf(b *testBundle, resolved *streamv1.Resolved) decide.Input {
	return decide.Input{Workspace: b.workspace, Resolved: resolved, SettingsRevision: 7, TraceParent: traceParent, Now: now}
}
