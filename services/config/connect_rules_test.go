package config_test

import (
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/simulator"
)

func TestOnlyOnePersonConnectsAtATime(t *testing.T) {
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	started := b.startConnect(t, options(sim.login("acme")))
	_, err := b.connects(t, adminToken).StartConnect(t.Context(), &configv1.StartConnectRequest{Options: options(sim.login("acme"))})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.ErrorContains(t, err, "aoi began")
	info, ok := status.Convert(err).Details()[0].(*errdetails.ErrorInfo)
	require.True(t, ok)
	require.Equal(t, started.GetFlow().GetId(), info.GetMetadata()["flow"])

	again := b.startConnect(t, options(sim.login("acme"), func(o *configv1.ConnectOptions) { o.Restart = true }))
	require.Contains(t, b.browser(t).do(http.MethodGet, started.GetLink(), nil).text, "withdrawn")
	_, err = b.connects(t, acmeToken).CancelConnectFlow(t.Context(), &configv1.CancelConnectFlowRequest{Workspace: "acme", Flow: again.GetFlow().GetId()})
	require.NoError(t, err)
	require.Equal(t, notConnected, b.status(t).GetState())
}

func TestWhatMustNotBecomeAConnection(t *testing.T) {
	t.Attr("requirement", "IMM-7")
	t.Attr("requirement", "IMM-9")
	t.Parallel()
	for name, c := range map[string]struct {
		org, code, finds string
		change           func(*configv1.ConnectOptions)
	}{
		"ASandboxForProduction": {"uat", "ENVIRONMENT_MISMATCH", "sandbox", func(o *configv1.ConnectOptions) {
			o.Settings = &configv1.ConnectSettings{Environment: configv1.Environment_ENVIRONMENT_PRODUCTION}
		}},
		"ProductionForASandbox": {"acme", "ENVIRONMENT_MISMATCH", "sandbox", func(o *configv1.ConnectOptions) {
			o.Settings = &configv1.ConnectSettings{Environment: configv1.Environment_ENVIRONMENT_SANDBOX}
		}},
		"NoOfflineAccess": {"acme", "NO_OFFLINE_ACCESS", "refresh_token, offline_access", func(o *configv1.ConnectOptions) { o.ClientId, o.ClientSecret = "no-refresh", "s" }},
		"NoAPI":           {"acme", "MISSING_SCOPE", "(api)", func(o *configv1.ConnectOptions) { o.ClientId, o.ClientSecret = "no-api", "s" }},
		"AWrongSecret":    {"acme", "invalid_client", "consumer key or secret", func(o *configv1.ConnectOptions) { o.ClientSecret = "guess" }},
		"AnotherAddress": {"acme", "EMAIL_MISMATCH", "hana@acme.example", func(o *configv1.ConnectOptions) {
			o.ExpectedEmail = "taro@acme.example"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connectable(t)
			sim := newSimulator(t, b)
			started := b.startConnect(t, options(sim.login(c.org), c.change))
			page := b.browser(t).connect(started.GetLink())
			require.Equal(t, http.StatusBadRequest, page.code)
			require.Contains(t, page.text, c.finds)
			flow := b.flow(t, started.GetFlow().GetId())
			require.Equal(t, configv1.FlowStatus_FLOW_STATUS_FAILED, flow.GetStatus())
			require.Equal(t, c.code, flow.GetResult().GetCode())
			require.NotContains(t, flow.String(), "taro@", "the address is for the person in front of the page")
			require.Equal(t, notConnected, b.status(t).GetState())
			require.Equal(t, codes.FailedPrecondition, status.Code(b.token(t)))
			if c.code != "invalid_client" { // nothing was issued for that
				require.Zero(t, sim.refreshTokens(t, c.org), "what was authorised is revoked")
			}
		})
	}
}

func TestMoreThanEnoughIsAccepted(t *testing.T) {
	t.Attr("requirement", "IMM-7")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	// The app has more than it is asked for only if it is asked for everything: as after a refusal of a scope.
	started := b.startConnect(t, options(sim.login("acme"), func(o *configv1.ConnectOptions) { o.ClientId, o.ClientSecret = "full", "s" }))
	require.Equal(t, http.StatusOK, b.browser(t).connect(started.GetLink()).code)
	require.Equal(t, "api refresh_token", b.flow(t, started.GetFlow().GetId()).GetResult().GetConsent().GetScopes(), "and no more is asked for")

	only := b.startConnect(t, options(sim.login("acme"), func(o *configv1.ConnectOptions) { o.ClientId, o.ClientSecret = "only-full", "s" }))
	require.Equal(t, http.StatusOK, b.browser(t).connect(only.GetLink()).code)
	result := b.flow(t, only.GetFlow().GetId()).GetResult()
	require.Equal(t, "full refresh_token", result.GetConsent().GetScopes())
	require.Contains(t, result.GetNotes()[0], "api and refresh_token are enough")
}

func TestAnotherUserIsAskedToLogIn(t *testing.T) {
	t.Attr("requirement", "IMM-11")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	started := b.startConnect(t, options(sim.login("acme"), func(o *configv1.ConnectOptions) { o.OtherUser = true }))
	u, err := url.Parse(b.browser(t).depart(started.GetLink()))
	require.NoError(t, err)
	require.Equal(t, "login", u.Query().Get("prompt"))
}

// TestASecretNeverComesBack looks for the customer's consumer secret wherever somebody might.
func TestASecretNeverComesBack(t *testing.T) {
	t.Attr("requirement", "IMM-5")
	t.Parallel()
	const long = "ABCDEF0123456789ABCDEF0123456789"
	b := connectable(t)
	sim := newSimulator(t, b, func(sc *simulator.Scenario) { sc.Orgs[0].Apps[0].ClientSecret = long })
	started := b.startConnect(t, options(sim.login("acme"), func(o *configv1.ConnectOptions) { o.ClientSecret = " " + long + "\r\n" }))
	page := b.browser(t).connect(started.GetLink())
	require.Equal(t, http.StatusOK, page.code, page.text)
	flow := b.flow(t, started.GetFlow().GetId())
	got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	require.Equal(t, "6789", got.GetConnection().GetConsent().GetSecretHint())
	watched := receive(t, b.watch(t, 0))
	for _, text := range []string{page.text, flow.String(), got.String(), started.String(), watched.String()} {
		require.NotContains(t, text, long)
	}
	raw, err := os.ReadFile(b.cfg.Database.SQLitePath)
	require.NoError(t, err)
	log, err := os.ReadFile(b.cfg.Database.SQLitePath + "-wal")
	require.NoError(t, err)
	require.NotContains(t, string(raw)+string(log), long, "sealed")
	require.NotContains(t, string(raw)+string(log), strings.TrimPrefix(started.GetLink(), "https://pages.example/connect/"), "hashed")
}

func TestAnAppForApprovedUsersSaysSo(t *testing.T) {
	t.Attr("requirement", "LOOM-13")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	started := b.startConnect(t, options(sim.login("acme")))
	w := b.browser(t)
	u, err := url.Parse(w.depart(started.GetLink()))
	require.NoError(t, err)
	page := w.do(http.MethodGet, callbackURL+"?error=invalid_app_access&error_description=user+is+not+admin+approved&state="+url.QueryEscape(u.Query().Get("state")), nil)
	require.Equal(t, http.StatusBadRequest, page.code)
	require.Contains(t, page.text, "Permitted Users; then add your profile")
	require.Equal(t, "invalid_app_access", b.flow(t, started.GetFlow().GetId()).GetResult().GetCode())
	require.Equal(t, degraded, b.status(t).GetState())
	require.Equal(t, codes.FailedPrecondition, status.Code(b.token(t)), "refused before anything is stored")

	// Changed later, the policy silently cancels what was granted.
	require.Equal(t, http.StatusOK, w.connect(b.startConnect(t, options(sim.login("acme"))).GetLink()).code)
	sim.endSessions(t, "acme", true)
	b.clock.Advance(2 * time.Hour)
	d := b.diagnosis(t)
	require.Equal(t, revoked, d.GetStatus().GetState())
	require.Contains(t, probeOf(t, d, "authorisation").GetEn().GetFinding(), "policies were changed")
}

// TestABlockedAppIsNamedWhereverItShows: at the login, and later.
func TestABlockedAppIsNamedWhereverItShows(t *testing.T) {
	t.Attr("requirement", "LOOM-11")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	started := b.startConnect(t, options(sim.login("acme")))
	w := b.browser(t)
	u, err := url.Parse(w.depart(started.GetLink()))
	require.NoError(t, err)
	page := w.do(http.MethodGet, callbackURL+"?error=app_blocked&error_description=this+app+is+blocked+by+admin&state="+url.QueryEscape(u.Query().Get("state")), nil)
	require.Contains(t, page.text, "Connected Apps OAuth Usage")
	require.Equal(t, degraded, b.status(t).GetState())
	require.Equal(t, streamv1.Reason_REASON_SF_APP_BLOCKED, b.status(t).GetReason())
	require.Equal(t, "app_blocked", b.status(t).GetCause())

	again := b.startConnect(t, options(sim.login("acme")))
	require.Equal(t, awaiting, b.status(t).GetState(), "another try")
	require.Equal(t, http.StatusOK, w.connect(again.GetLink()).code)
	require.Equal(t, ready, b.status(t).GetState())

	sim.refuses("app_blocked", "this app is blocked by admin")
	b.clock.Advance(2 * time.Hour)
	require.Equal(t, codes.FailedPrecondition, status.Code(b.token(t)))
	require.Equal(t, streamv1.Reason_REASON_SF_APP_BLOCKED, b.status(t).GetReason())
	steps := probeOf(t, b.diagnosis(t), "authorisation").GetEn()
	require.Contains(t, steps.GetWhere(), "Connected Apps OAuth Usage › Install (or Unblock) › Manage App Policies")

	// What is refused at a new login leaves what was found before.
	denied := b.startConnect(t, options(sim.login("acme")))
	w.answer = "deny"
	require.Equal(t, http.StatusBadRequest, w.connect(denied.GetLink()).code)
	require.Equal(t, degraded, b.status(t).GetState())
}

// logged keeps the lines of a log.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) lines(containing string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, containing) {
			out = append(out, line)
		}
	}
	return out
}

// TestWhatMayBeAnAttackIsOnTheRecord: foreign, replayed and stolen states leave a trace, and change nothing.
func TestWhatMayBeAnAttackIsOnTheRecord(t *testing.T) {
	t.Attr("requirement", "LOOM-4")
	t.Attr("requirement", "IMM-6")
	t.Parallel()
	log := &logged{}
	b := connectable(t, func(b *testBundle) { b.deps.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	sim := newSimulator(t, b)
	started := b.startConnect(t, options(sim.login("acme")))
	w, thief := b.browser(t), b.browser(t)
	u, err := url.Parse(w.depart(started.GetLink()))
	require.NoError(t, err)
	state := u.Query().Get("state")
	thief.do(http.MethodGet, callbackURL+"?code=aPrxStolen&state="+state, nil)
	thief.do(http.MethodGet, callbackURL+"?code=aPrxStolen&state=made-up-0123456789", nil)
	thief.do(http.MethodGet, callbackURL+"?code=aPrxStolen", nil)
	require.Equal(t, http.StatusOK, w.consent(u.String()).code)
	w.do(http.MethodGet, callbackURL+"?code=aPrxAgain&state="+state, nil)

	trail := log.lines("security: a login was refused")
	require.Len(t, trail, 4)
	require.Contains(t, trail[0], "code=OTHER_BROWSER workspace=acme connection=main flow="+started.GetFlow().GetId())
	for _, line := range trail[1:] {
		require.Contains(t, line, "STATE_UNKNOWN")
	}
	for _, secret := range []string{state, "aPrx", "made-up", "own-secret", "5Aep861", strings.TrimPrefix(started.GetLink(), "https://pages.example")} {
		require.Empty(t, log.lines(secret), "promise 8: %s", secret)
	}
	raw, err := os.ReadFile(b.cfg.Database.SQLitePath + "-wal")
	require.NoError(t, err)
	require.NotContains(t, string(raw), "5Aep861", "tokens are stored encrypted")
	require.NotContains(t, string(raw), state)
}

// TestAnOrgMayBelongToTwoWorkspaces, and neither hears of the other (promise 9).
func TestAnOrgMayBelongToTwoWorkspaces(t *testing.T) {
	t.Attr("requirement", "LOOM-4")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	_, err := b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{Id: "globex", Name: "globex"}})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, b.browser(t).connect(b.startConnect(t, options(sim.login("acme"))).GetLink()).code)
	other := options(sim.login("acme"), func(o *configv1.ConnectOptions) { o.Workspace = "globex" })
	started, err := b.connects(t, adminToken).StartConnect(t.Context(), &configv1.StartConnectRequest{Options: other})
	require.NoError(t, err)
	w := b.browser(t)
	page := w.consent(w.press(started.GetLink()))
	require.Equal(t, http.StatusOK, page.code)
	require.NotContains(t, page.text, ">acme<")
	flow, err := b.connects(t, adminToken).GetConnectFlow(t.Context(), &configv1.GetConnectFlowRequest{Workspace: "globex", Flow: started.GetFlow().GetId()})
	require.NoError(t, err)
	require.Empty(t, flow.GetFlow().GetResult().GetNotes())
	_, err = b.connects(t, acmeToken).GetConnectFlow(t.Context(), &configv1.GetConnectFlowRequest{Workspace: "acme", Flow: started.GetFlow().GetId()})
	require.Equal(t, codes.NotFound, status.Code(err))
}

func TestTooManyRequestsAreTurnedAway(t *testing.T) {
	t.Parallel()
	b := connectable(t, func(b *testBundle) { b.cfg.Connect.RequestsPerSecond = 1 })
	w := b.browser(t)
	guess := func() int { return w.do(http.MethodGet, "https://pages.example/connect/guess", nil).code }
	require.Equal(t, http.StatusBadRequest, guess())
	// Many at a time, again and again: on a machine that stands still in between, a second passes soon.
	require.Eventually(t, func() bool {
		var refused atomic.Bool
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				if guess() == http.StatusTooManyRequests {
					refused.Store(true)
				}
			})
		}
		wg.Wait()
		return refused.Load()
	}, time.Minute, time.Millisecond)
}

func TestTheSandboxsAddressLosesItsEnding(t *testing.T) {
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b, func(sc *simulator.Scenario) { sc.Orgs[1].Users[0].Email = "hana@acme.example.invalid" })
	started := b.startConnect(t, options(sim.login("uat"), func(o *configv1.ConnectOptions) { o.ExpectedEmail = "Hana@Acme.example" }))
	require.Equal(t, http.StatusOK, b.browser(t).connect(started.GetLink()).code)
}

func TestOptionsThatCannotBe(t *testing.T) {
	t.Parallel()
	b := connectable(t)
	for field, change := range map[string]func(*configv1.ConnectOptions){
		"options.login_url":     func(o *configv1.ConnectOptions) { o.LoginUrl = "https://evil.example" },
		"options.client_id":     func(o *configv1.ConnectOptions) { o.ClientId, o.ClientSecret = "", "" },
		"options.client_secret": func(o *configv1.ConnectOptions) { o.ClientSecret = "two words" },
		"options.connection":    func(o *configv1.ConnectOptions) { o.Connection = "Main!" },
	} {
		_, err := b.connects(t, acmeToken).StartConnect(t.Context(), &configv1.StartConnectRequest{Options: options("", change)})
		require.Equal(t, codes.InvalidArgument, status.Code(err), field)
		require.Equal(t, []string{field}, fieldsOf(t, err))
	}
	_, err := b.connects(t, acmeToken).StartConnect(t.Context(), &configv1.StartConnectRequest{
		Options: options("", func(o *configv1.ConnectOptions) { o.Workspace = "globex" }),
	})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	plain := setup(t)
	plain.workspace(t, "acme")
	_, err = plain.connects(t, acmeToken).StartConnect(t.Context(), &configv1.StartConnectRequest{Options: options("")})
	require.ErrorContains(t, err, "connect.listen")
}
