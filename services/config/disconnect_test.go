package config_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

func (b *testBundle) disconnect(t *testing.T, forget bool) *configv1.DisconnectResponse {
	t.Helper()
	resp, err := b.connects(t, acmeToken).Disconnect(t.Context(), &configv1.DisconnectRequest{
		Workspace: "acme", Connection: "main", ForgetApp: forget,
	})
	require.NoError(t, err)
	return resp
}

func TestDisconnectingEndsItOnBothSides(t *testing.T) {
	t.Attr("requirement", "LOOM-15")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	w := b.browser(t)
	require.Equal(t, http.StatusOK, w.connect(b.startConnect(t, options(sim.login("acme"))).GetLink()).code)
	require.NoError(t, b.token(t))
	watcher := b.watch(t, 0)
	receive(t, watcher)

	resp := b.disconnect(t, false)
	require.True(t, resp.GetRevoked())
	require.Equal(t, disconnected, resp.GetConnection().GetStatus().GetState())
	require.Equal(t, disconnected, receive(t, watcher).GetWorkspaces()[0].GetConnections()[0].GetStatus().GetState(), "services hear of it")
	require.Equal(t, codes.FailedPrecondition, status.Code(b.token(t)))
	require.Equal(t, disconnected, b.status(t).GetState(), "having no token is not a revocation")
	require.Zero(t, sim.refreshTokens(t, "acme"), "nothing is left at Salesforce")
	require.True(t, b.disconnect(t, false).GetRevoked(), "twice is as once")

	// The app is remembered: it takes one consent to go on.
	require.Equal(t, http.StatusOK, w.connect(b.startConnect(t, &configv1.ConnectOptions{Workspace: "acme", Connection: "main"}).GetLink()).code)
	require.NoError(t, b.token(t))
	b.disconnect(t, true)
	_, err := b.connects(t, acmeToken).StartConnect(t.Context(), &configv1.StartConnectRequest{
		Options: &configv1.ConnectOptions{Workspace: "acme", Connection: "main"},
	})
	require.Equal(t, []string{"options.client_id"}, fieldsOf(t, err), "key and secret are gone")
}

func TestATokenIsForgottenEvenIfSalesforceIsAway(t *testing.T) {
	t.Attr("requirement", "LOOM-15")
	t.Parallel()
	b := connectable(t, func(b *testBundle) { b.cfg.Connect.SweepEvery = 5 * time.Millisecond })
	sim := newSimulator(t, b)
	require.Equal(t, http.StatusOK, b.browser(t).connect(b.startConnect(t, options(sim.login("acme"))).GetLink()).code)
	sim.away()
	require.False(t, b.disconnect(t, false).GetRevoked())
	require.Equal(t, disconnected, b.status(t).GetState())
	require.Equal(t, codes.FailedPrecondition, status.Code(b.token(t)))
	sim.back()
	b.clock.Advance(time.Hour)
	require.Eventually(t, func() bool { return sim.revoked.Load() > 0 }, time.Minute, 5*time.Millisecond)
	require.Zero(t, sim.refreshTokens(t, "acme"), "revoked as soon as that was possible")
}

func TestCredentialsThatAreNoTokenAreErasedToo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.workspace(t, "acme")
	require.NoError(t, b.token(t))
	require.True(t, b.disconnect(t, false).GetRevoked())
	require.Equal(t, codes.FailedPrecondition, status.Code(b.token(t)))
	require.Equal(t, 1, b.org.count(), "nobody asks Salesforce")
	got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	c := got.GetConnection()
	c.GetClientCredentials().ClientSecret = "consumer-secret"
	_, err = b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: c})
	require.NoError(t, err)
	require.Equal(t, authorised, b.status(t).GetState(), "entered again")
	require.NoError(t, b.token(t))
	_, err = b.connects(t, acmeToken).Disconnect(t.Context(), &configv1.DisconnectRequest{Workspace: "acme", Connection: "other"})
	require.Equal(t, codes.NotFound, status.Code(err))
}
