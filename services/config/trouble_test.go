package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
)

// setupTrouble is a service that hears of outcomes, and a connection that is READY.
func setupTrouble(t *testing.T) (*catalogueBundle, *stagetest.Broker) {
	t.Helper()
	broker := stagetest.NewBroker()
	broker.Create(topic.Outcomes, 1)
	broker.Create(deadLetters, 1)
	b := prepareCatalogue(t)
	b.deps.Broker = broker
	b.cfg.Connect.Diagnosis.Tick = 5 * time.Millisecond
	b.cfg.RunLog.Stage.BatchWait, b.cfg.RunLog.Stage.DeadLetterTopic = 5*time.Millisecond, deadLetters
	b.start(t)
	b.connect(t, "acme")
	// By asking for it, so that no look is under way any more that would put off the one that trouble brings forward.
	require.Eventually(t, func() bool { return b.diagnosis(t).GetStatus().GetState() == ready }, time.Minute, 5*time.Millisecond)
	return b, broker
}

// stateChanges lists the states that the connection has had, newest first.
func (b *testBundle) stateChanges(t *testing.T) []*configv1.StateChange {
	t.Helper()
	resp, err := b.connects(t, acmeViewer).ListConnectionHistory(t.Context(), &configv1.ListConnectionHistoryRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	return resp.GetChanges()
}

// TestARightThatIsLostIsToldOnce: the outcomes of refused writes have the connection looked at, and however many there are, it
// changes its state once.
func TestARightThatIsLostIsToldOnce(t *testing.T) {
	t.Attr("requirement", "IMM-2")
	t.Attr("requirement", "LOOM-8")
	t.Parallel()
	b, broker := setupTrouble(t)
	_, err := b.put(t, rule("acme"))
	require.NoError(t, err)
	before := len(b.stateChanges(t))

	b.clock.Advance(time.Minute)
	b.live.change(t, stageField, ", objects: {Task: [read]}")
	for n := range 20 {
		o := refused("Task", n, b.clock.Now())
		o.Reason = streamv1.Reason_REASON_SF_NO_PERMISSION
		broker.Append(topic.Outcomes, 0, record(t, o))
	}
	require.Eventually(t, func() bool { return b.state(t) == degraded }, time.Minute, 5*time.Millisecond, "nobody waits for the daily look")
	b.awaitCount(t, "acme", 20)
	require.Equal(t, streamv1.Reason_REASON_SF_NO_PERMISSION, b.status(t).GetReason())
	require.Equal(t, "tasks", b.status(t).GetCause(), "what is in the way is named")
	require.Contains(t, probeOf(t, b.diagnosis(t), "tasks").GetEn().GetWhere(), "Edit Tasks")
	b.clock.Advance(b.cfg.Connect.Diagnosis.RecheckMin)
	broker.Append(topic.Outcomes, 0, record(t, refused("Task", 99, b.clock.Now())))
	b.awaitCount(t, "acme", 21)
	b.diagnosis(t)
	require.Len(t, b.stateChanges(t), before+1, "told once")

	b.live.change(t, stageField, "")
	b.clock.Advance(b.cfg.Connect.Diagnosis.RecheckMin)
	require.Eventually(t, func() bool { return b.state(t) == ready }, time.Minute, 5*time.Millisecond)
}

// TestAFieldThatIsEncryptedLaterIsNamed by the first look-up that it fails, without waiting for the daily look.
func TestAFieldThatIsEncryptedLaterIsNamed(t *testing.T) {
	t.Attr("requirement", "ZOOM-4")
	t.Parallel()
	b, broker := setupTrouble(t)
	b.clock.Advance(time.Minute)
	b.live.encrypt(t, "Contact.Email")
	broker.Append(topic.Outcomes, 0, record(t, &streamv1.Outcome{
		Workspace: "acme", Connection: "main", Stage: "identity", Status: streamv1.Status_STATUS_PARKED, EventId: "e",
		Reason: streamv1.Reason_REASON_FIELD_ENCRYPTED_PROBABILISTIC, DecidedAt: timestamppb.New(b.clock.Now()),
	}))
	require.Eventually(t, func() bool { return b.state(t) == degraded }, time.Minute, 5*time.Millisecond)
	require.Equal(t, streamv1.Reason_REASON_FIELD_ENCRYPTED_PROBABILISTIC, b.status(t).GetReason())
	require.Equal(t, "Contact.Email", probeOf(t, b.diagnosis(t), "email_encryption").GetDetail())
}

func TestPeopleAreNotLookedForByFieldsThatCannotBeSearched(t *testing.T) {
	t.Attr("requirement", "ZOOM-4")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b, withLimits(func(o *simulator.Org) {
		o.Encrypted = map[string]string{"Lead.Website": "probabilistic", "Lead.Company": "deterministic", "Contact.Email": "probabilistic"}
	}))
	save := func(policy *configv1.MatchPolicy) error {
		got, err := b.admin.GetWorkspace(t.Context(), &configv1.GetWorkspaceRequest{Workspace: "acme"})
		require.NoError(t, err)
		ws := got.GetWorkspace()
		ws.MatchPolicy = policy
		_, err = b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: ws})
		return err
	}
	leads := &configv1.MatchPolicy{Objects: []string{"Lead"}}
	require.NoError(t, save(leads))
	b.connected(t, sim)
	require.Equal(t, ready, b.status(t).GetState(), "the encrypted field of contacts is not asked for")

	err := save(&configv1.MatchPolicy{Objects: []string{"Lead"}, LeadEmailFields: []string{"Website"}})
	require.Equal(t, []string{"workspace.match_policy.lead_email_fields"}, fieldsOf(t, err))
	require.ErrorContains(t, err, "FIELD_ENCRYPTED_PROBABILISTIC: Lead.Website")
	err = save(&configv1.MatchPolicy{Objects: []string{"Lead", "Contact"}})
	require.Equal(t, []string{"workspace.match_policy.objects"}, fieldsOf(t, err))
	require.ErrorContains(t, err, "Contact.Email")
	require.NoError(t, save(&configv1.MatchPolicy{Objects: []string{"Lead"}, LeadEmailFields: []string{"Company"}}), "deterministic is fine")

	sim.away()
	b.clock.Advance(24 * time.Hour)
	require.NoError(t, save(&configv1.MatchPolicy{Objects: []string{"Lead"}, OrderBy: []string{"CreatedDate DESC"}}), "an org that is away keeps nobody from saving")
}

// TestConnectingIsBlockedByAnEncryptedMatchField: the workspace's further fields count as much as Email.
func TestConnectingIsBlockedByAnEncryptedMatchField(t *testing.T) {
	t.Attr("requirement", "ZOOM-4")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b, withLimits(func(o *simulator.Org) { o.Encrypted = map[string]string{"Lead.Website": "probabilistic"} }))
	got, err := b.admin.GetWorkspace(t.Context(), &configv1.GetWorkspaceRequest{Workspace: "acme"})
	require.NoError(t, err)
	got.GetWorkspace().MatchPolicy = &configv1.MatchPolicy{LeadEmailFields: []string{"Website"}}
	_, err = b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: got.GetWorkspace()})
	require.NoError(t, err, "there is no org to ask yet")
	b.connected(t, sim)
	require.Equal(t, degraded, b.status(t).GetState())
	require.Equal(t, streamv1.Reason_REASON_FIELD_ENCRYPTED_PROBABILISTIC, b.status(t).GetReason())
	require.Equal(t, "Lead.Website", probeOf(t, b.diagnosis(t), "email_encryption").GetDetail())
}

// TestTheRightsOfToDosAreNamedBeforeOneIsSwitchedOn, field by field.
func TestTheRightsOfToDosAreNamedBeforeOneIsSwitchedOn(t *testing.T) {
	t.Attr("requirement", "IMM-2")
	t.Parallel()
	for name, c := range map[string]struct {
		profile simulator.Profile
		detail  string
	}{
		"Object":      {simulator.Profile{Objects: map[string][]string{"Task": {"read"}}}, "Task"},
		"WhoId":       {simulator.Profile{ReadOnlyFields: []string{"Task.WhoId"}}, "Task.WhoId"},
		"OwnerId":     {simulator.Profile{ReadOnlyFields: []string{"Task.OwnerId"}}, "Task.OwnerId"},
		"Subject":     {simulator.Profile{HiddenFields: []string{"Task.Subject"}}, "Task.Subject"},
		"Description": {simulator.Profile{HiddenFields: []string{"Task.Description"}}, "Task.Description"},
		"DueDate":     {simulator.Profile{ReadOnlyFields: []string{"Task.ActivityDate"}}, "Task.ActivityDate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connectable(t)
			sim := newSimulator(t, b, profile(c.profile))
			b.connected(t, sim, demanding("immedio"))
			r := probeOf(t, b.diagnosis(t), "tasks")
			require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_BLOCKED, r.GetStatus())
			require.Equal(t, c.detail, r.GetDetail(), "named before anything is switched on")
			require.Equal(t, degraded, b.status(t).GetState())

			todo := filled(t, "document-close-task")
			_, err := b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: todo})
			require.ErrorContains(t, err, "SF_", "refused with the reason")
			require.ErrorContains(t, err, c.detail[len("Task")+min(1, len(c.detail)-len("Task")):])
			todo.Enabled = false
			_, err = b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: todo})
			require.NoError(t, err, "it may be prepared")
		})
	}
}
