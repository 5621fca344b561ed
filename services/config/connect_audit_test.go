package config_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// audited is what the audit log tells of a kind: who, in which role, by which call, of what and why, newest first.
func (b *testBundle) audited(t *testing.T, token string, req *configv1.ListAuditEntriesRequest) [][]string {
	t.Helper()
	var out [][]string
	for _, e := range b.audit(t, token, req) {
		out = append(out, []string{e.GetActor(), e.GetRole(), e.GetAction(), e.GetTarget(), e.GetReason()})
	}
	return out
}

func TestEveryStepOfConnectingIsAudited(t *testing.T) {
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	why := metadata.AppendToOutgoingContext(t.Context(), reasonHeader, "spring cleaning")
	aoi := b.connects(t, acmeToken)
	o := options(sim.login("acme"), func(o *configv1.ConnectOptions) { o.ExpectedEmail = "hana@acme.example" })
	link, err := aoi.CreateSetupLink(why, &configv1.CreateSetupLinkRequest{Options: o})
	require.NoError(t, err)
	_, err = aoi.CancelConnectFlow(why, &configv1.CancelConnectFlowRequest{Workspace: "acme", Flow: link.GetFlow().GetId()})
	require.NoError(t, err)
	flow := b.startConnect(t, options(sim.login("acme")))
	require.Equal(t, http.StatusOK, b.browser(t).connect(flow.GetLink()).code)
	_, err = aoi.ReplaceAppSecret(why, &configv1.ReplaceAppSecretRequest{Workspace: "acme", Connection: "main", ClientSecret: "own-secret"})
	require.NoError(t, err)
	_, err = aoi.Disconnect(why, &configv1.DisconnectRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)

	require.Equal(t, [][]string{
		{"aoi", "admin", "StartConnect", "main", ""},
		{"aoi", "admin", "CancelConnectFlow", "main", "spring cleaning"},
		{"aoi", "admin", "CreateSetupLink", "main", "spring cleaning"},
	}, b.audited(t, acmeToken, &configv1.ListAuditEntriesRequest{Workspace: "acme", Kind: "connect_flow"}))
	require.Equal(t, [][]string{
		{"aoi", "admin", "Disconnect", "main", "spring cleaning"},
		{"aoi", "admin", "ReplaceAppSecret", "main", "spring cleaning"},
		{"aoi", "", "Consent", "main", "attempt " + flow.GetFlow().GetId()},
		{"aoi", "admin", "CreateSetupLink", "main", "spring cleaning"},
	}, b.audited(t, acmeToken, &configv1.ListAuditEntriesRequest{Workspace: "acme", Kind: "connection"}))
	for _, e := range b.audit(t, acmeToken, &configv1.ListAuditEntriesRequest{Workspace: "acme"}) {
		if e.GetKind() == "connection" || e.GetAction() == "StartConnect" {
			require.NotEmpty(t, e.GetChanges(), e.GetAction())
		}
		for _, secret := range []string{"own-secret", "hana@acme.example"} { // promise 8
			require.NotContains(t, e.String(), secret)
		}
	}
}

func TestALoginThatIsRefusedIsAudited(t *testing.T) {
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	flow := b.startConnect(t, options(sim.login("acme")))
	w := b.browser(t)
	require.Equal(t, http.StatusBadRequest, w.do(http.MethodGet, callbackURL+"?state=foreign&code=x", nil).code)
	require.Equal(t, http.StatusBadRequest, w.do(http.MethodGet, callbackURL+"?code=x", nil).code)
	// Somebody else's browser brings a state that is right.
	departed := w.depart(flow.GetLink())
	page := b.browser(t).consent(departed)
	require.Equal(t, http.StatusBadRequest, page.code, page.text)

	installation := &configv1.ListAuditEntriesRequest{Kind: "refused"}
	require.Equal(t, [][]string{{"browser", "", "Return", "", "STATE_UNKNOWN"}, {"browser", "", "Return", "", "STATE_UNKNOWN"}},
		b.audited(t, adminToken, installation))
	require.Equal(t, [][]string{{"browser", "", "Return", "main", "OTHER_BROWSER"}},
		b.audited(t, acmeToken, &configv1.ListAuditEntriesRequest{Workspace: "acme", Kind: "refused"}))
}
