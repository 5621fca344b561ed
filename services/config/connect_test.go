package config_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

func TestConnectingAnOrg(t *testing.T) {
	t.Attr("requirement", "IMM-11")
	t.Attr("requirement", "LOOM-4")
	t.Attr("requirement", "IMM-6")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	watcher := b.watch(t, 0)
	receive(t, watcher)

	started := b.startConnect(t, options(sim.login("acme")))
	require.Equal(t, callbackURL, started.GetFlow().GetCallbackUrl())
	require.Equal(t, epoch.Add(15*time.Minute), started.GetFlow().GetExpiresAt().AsTime())
	require.Equal(t, awaiting, b.status(t).GetState())
	require.Equal(t, "aoi", b.status(t).GetActor())

	w := b.browser(t)
	address := w.depart(started.GetLink())
	u, err := url.Parse(address)
	require.NoError(t, err)
	require.Equal(t, "own-app", u.Query().Get("client_id"), "spaces and line breaks are trimmed")
	require.Equal(t, "api refresh_token", u.Query().Get("scope"))
	require.Equal(t, "S256", u.Query().Get("code_challenge_method"))
	require.Equal(t, configv1.FlowStatus_FLOW_STATUS_AT_SALESFORCE, b.flow(t, started.GetFlow().GetId()).GetStatus())

	page := w.consent(address)
	require.Equal(t, http.StatusOK, page.code, page.text)
	for _, shown := range []string{"Acme K.K.", "00D", "Enterprise Edition", "Production", "hana@acme.example", "api refresh_token", sim.login("acme")} {
		require.Contains(t, page.text, shown)
	}

	require.Contains(t, page.text, "open to the user <span class=\"soft\">(Task)")
	require.Equal(t, ready, b.status(t).GetState())

	flow := b.flow(t, started.GetFlow().GetId())
	require.Equal(t, configv1.FlowStatus_FLOW_STATUS_DONE, flow.GetStatus(), flow)
	require.Equal(t, "Acme K.K.", flow.GetResult().GetOrg().GetName())
	got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	c := got.GetConnection()
	require.Equal(t, "Enterprise Edition", c.GetOrg().GetEdition())
	require.Equal(t, "hana@acme.example", c.GetConsent().GetUsername())
	require.Equal(t, "aoi", c.GetConsent().GetAskedBy())
	require.True(t, c.GetConsent().GetWithPkce())
	require.Equal(t, "own-app", c.GetRefreshToken().GetClientId())
	require.Empty(t, c.GetRefreshToken().GetClientSecret()+c.GetRefreshToken().GetRefreshToken(), "secrets never come back")
	require.NoError(t, b.token(t))
	for _, ws := range receive(t, watcher).GetWorkspaces() {
		for _, seen := range ws.GetConnections() {
			require.Nil(t, seen.GetConsent(), "services need not know who it was")
		}
	}
}

func TestPagesGiveNothingAway(t *testing.T) {
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	started := b.startConnect(t, options(sim.login("acme")))
	w := b.browser(t)
	for _, address := range []string{started.GetLink(), "https://pages.example/connect/wrong", callbackURL, "https://pages.example/"} {
		page := w.do(http.MethodGet, address, nil)
		require.Contains(t, page.header.Get("Content-Security-Policy"), "default-src 'none'")
		require.Contains(t, page.header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
		require.Equal(t, "nosniff", page.header.Get("X-Content-Type-Options"))
		require.Equal(t, "same-origin", page.header.Get("Referrer-Policy"))
		require.Equal(t, "no-store", page.header.Get("Cache-Control"))
		require.NotEmpty(t, page.header.Get("Strict-Transport-Security"))
		require.NotContains(t, page.text, "own-secret")
	}
	w.header.Set("Accept-Language", "ja,en;q=0.5")
	require.Contains(t, w.do(http.MethodGet, started.GetLink(), nil).text, "Salesforce へ進む")
	require.Contains(t, w.do(http.MethodGet, "https://pages.example/connect/wrong", nil).text, "このリンクは無効です")
	require.Contains(t, w.do(http.MethodGet, callbackURL+"?state=x&code=y", nil).text, "最初からやり直してください")
	page := w.do(http.MethodPost, started.GetLink(), nil)
	require.Contains(t, page.header.Get("Set-Cookie"), "HttpOnly; Secure; SameSite=Lax")
}

func TestAStateWorksOnceInOneBrowserForAWhile(t *testing.T) {
	t.Attr("requirement", "IMM-11")
	t.Attr("requirement", "LOOM-4")
	t.Attr("requirement", "IMM-6")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	started := b.startConnect(t, options(sim.login("acme")))
	w, stranger := b.browser(t), b.browser(t)
	address := w.depart(started.GetLink())
	u, err := url.Parse(address)
	require.NoError(t, err)
	state := u.Query().Get("state")

	page := stranger.do(http.MethodGet, callbackURL+"?code=aPrxStolen&state="+state, nil)
	require.Equal(t, http.StatusBadRequest, page.code)
	require.Contains(t, page.text, "OTHER_BROWSER")
	page = w.do(http.MethodGet, callbackURL+"?code=aPrxStolen&state=of-somebody-else", nil)
	require.Contains(t, page.text, "STATE_UNKNOWN")
	require.Equal(t, configv1.FlowStatus_FLOW_STATUS_AT_SALESFORCE, b.flow(t, started.GetFlow().GetId()).GetStatus(), "nothing happened to it")

	page = stranger.do(http.MethodPost, started.GetLink(), nil)
	require.Contains(t, page.text, "LINK_USED")
	done := w.consent(address)
	require.Equal(t, http.StatusOK, done.code, done.text)
	again := w.do(http.MethodGet, callbackURL+"?code=aPrxAgain&state="+state, nil)
	require.Contains(t, again.text, "STATE_UNKNOWN", "replayed")

	second := b.startConnect(t, options(sim.login("acme")))
	address = w.depart(second.GetLink())
	b.clock.Advance(15 * time.Minute)
	page = w.consent(address)
	require.Contains(t, page.text, "NOT_IN_TIME")
	require.Equal(t, configv1.FlowStatus_FLOW_STATUS_EXPIRED, b.flow(t, second.GetFlow().GetId()).GetStatus())
	require.Equal(t, ready, b.status(t).GetState(), "a working connection is left as it was")
	require.NoError(t, b.token(t))
}

func TestADeniedLoginLeavesEverythingAsItWas(t *testing.T) {
	t.Attr("requirement", "IMM-11")
	t.Attr("requirement", "LOOM-4")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	w := b.browser(t)
	w.answer = "deny"
	first := b.startConnect(t, options(sim.login("acme")))
	page := w.connect(first.GetLink())
	require.Equal(t, http.StatusBadRequest, page.code)
	require.Contains(t, page.text, "You did not allow access")
	require.Equal(t, "access_denied", b.flow(t, first.GetFlow().GetId()).GetResult().GetCode())
	require.Equal(t, notConnected, b.status(t).GetState())
	require.Equal(t, codes.FailedPrecondition, status.Code(b.token(t)))

	w.answer = "allow"
	require.Equal(t, http.StatusOK, w.connect(b.startConnect(t, options(sim.login("acme"))).GetLink()).code)
	w.answer = "deny"
	require.Equal(t, http.StatusBadRequest, w.connect(b.startConnect(t, options(sim.login("acme"))).GetLink()).code)
	require.Equal(t, ready, b.status(t).GetState())
	require.NoError(t, b.token(t))
}

func TestPKCE(t *testing.T) {
	t.Attr("requirement", "IMM-8")
	t.Parallel()
	app := func(id, secret string, mode configv1.PkceMode) func(*configv1.ConnectOptions) {
		return func(o *configv1.ConnectOptions) {
			o.ClientId, o.ClientSecret, o.Settings = id, secret, &configv1.ConnectSettings{Pkce: mode}
		}
	}
	for name, c := range map[string]struct {
		app      func(*configv1.ConnectOptions)
		want     string
		withPKCE bool
	}{
		"AutoWhereItIsRequired": {app("own-app", "own-secret", configv1.PkceMode_PKCE_MODE_AUTO), "", true},
		"AutoFallsBackOnce":     {app("no-pkce", "s", configv1.PkceMode_PKCE_MODE_AUTO), "", false},
		"OffWhereItIsRefused":   {app("no-pkce", "s", configv1.PkceMode_PKCE_MODE_OFF), "", false},
		"OnWhereItIsRefused":    {app("no-pkce", "s", configv1.PkceMode_PKCE_MODE_ON), "invalid_request", false},
		"OffWhereItIsRequired":  {app("own-app", "own-secret", configv1.PkceMode_PKCE_MODE_OFF), "PKCE_REQUIRED", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connectable(t)
			sim := newSimulator(t, b)
			started := b.startConnect(t, options(sim.login("acme"), c.app))
			w := b.browser(t)
			page := w.connect(started.GetLink())
			require.LessOrEqual(t, w.trips, 1, "it falls back once")
			flow := b.flow(t, started.GetFlow().GetId())
			require.Equal(t, c.want, flow.GetResult().GetCode(), page.text)
			require.Equal(t, c.withPKCE, flow.GetResult().GetConsent().GetWithPkce())
		})
	}
}
