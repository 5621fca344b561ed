package config_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// The set-up of the event flows begins with a login, in production or a sandbox. What was entered before the window was closed is
// there again afterwards, and a login that is denied connects nothing.
func TestTheEventSetUpBeginsWithALogin(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "HOPIN-3")
	b := connectable(t)
	sim := newSimulator(t, b)
	drafts := configv1.NewDraftServiceClient(b.dial(t, acmeToken))
	entered := &configv1.Draft{Workspace: "acme", Kind: "event-setup", Id: "acme", Content: `{"export": {"object": "Guest__c"}}`}
	_, err := drafts.PutDraft(t.Context(), &configv1.PutDraftRequest{Draft: entered})
	require.NoError(t, err)
	kept := func() string {
		got, err := drafts.GetDraft(t.Context(), &configv1.GetDraftRequest{Workspace: "acme", Kind: "event-setup", Id: "acme"})
		require.NoError(t, err)
		return got.GetDraft().GetContent()
	}
	sandbox := func(o *configv1.ConnectOptions) {
		o.Settings = &configv1.ConnectSettings{Source: "hopin", Environment: configv1.Environment_ENVIRONMENT_SANDBOX}
	}
	w := b.browser(t)

	closed := b.startConnect(t, options(sim.login("uat"), sandbox))
	w.depart(closed.GetLink()) // and then the window is closed
	b.clock.Advance(16 * time.Minute)
	require.Equal(t, entered.GetContent(), kept())

	w.answer = "deny"
	require.Equal(t, http.StatusBadRequest, w.connect(b.startConnect(t, options(sim.login("uat"), sandbox)).GetLink()).code)
	require.Equal(t, notConnected, b.status(t).GetState())
	require.Equal(t, entered.GetContent(), kept())

	w.answer = "allow"
	require.NotEqual(t, http.StatusOK, w.connect(b.startConnect(t, options(sim.login("acme"), sandbox)).GetLink()).code, "a production org where a sandbox was chosen")
	require.Equal(t, http.StatusOK, w.connect(b.startConnect(t, options(sim.login("uat"), sandbox)).GetLink()).code)
	require.Equal(t, ready, b.status(t).GetState())
	require.Equal(t, entered.GetContent(), kept(), "the set-up goes on where it was left")
	checked, err := configv1.NewEventSetupServiceClient(b.dial(t, acmeToken)).CheckEventSetup(t.Context(), &configv1.CheckEventSetupRequest{
		Setup: &configv1.EventSetup{Workspace: "acme", Connection: "main", Export: &configv1.RegistrationExport{Object: "Guest__c"}},
	})
	require.NoError(t, err)
	require.Equal(t, configv1.EventScreenState_EVENT_SCREEN_STATE_INCOMPLETE, checked.GetScreens()[0].GetState())
}
