package config_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/plan"
	"github.com/throughline-dev/throughline/services/simulator"
)

func TestAPhoneAccountIsConnectedByItsOwnerOrAdministrator(t *testing.T) {
	t.Attr("requirement", "ZOOM-1")
	t.Parallel()
	b := connectable(t, enforcing)
	b.setPlan(t, plan.Phone, "business", epoch)
	sim := newSimulator(t, b)
	for name, c := range map[string]struct {
		account *configv1.PhoneAccount
		code    codes.Code
		reason  string
	}{
		"nothing is said":      {nil, codes.PermissionDenied, "PHONE_ROLE"},
		"somebody else":        {&configv1.PhoneAccount{Role: configv1.PhoneRole_PHONE_ROLE_MEMBER, ThirdPartyDialling: true}, codes.PermissionDenied, "PHONE_ROLE"},
		"dialling not allowed": {&configv1.PhoneAccount{Role: configv1.PhoneRole_PHONE_ROLE_OWNER}, codes.FailedPrecondition, "THIRD_PARTY_DIALLING"},
	} {
		o := options(sim.login("acme"), of("zoom"))
		o.Settings.Phone = c.account
		_, err := b.connects(t, acmeToken).StartConnect(t.Context(), &configv1.StartConnectRequest{Options: o})
		require.Equal(t, c.code, status.Code(err), name)
		reason, _ := reasonOf(t, err)
		require.Equal(t, c.reason, reason, name)
		entered := b.connection("acme")
		entered.Settings = &configv1.ConnectSettings{Source: "zoom", Phone: c.account, AnyAddress: true}
		_, err = b.client(t, acmeToken).PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: entered})
		require.Equal(t, c.code, status.Code(err), name)
	}
	for _, role := range []configv1.PhoneRole{configv1.PhoneRole_PHONE_ROLE_OWNER, configv1.PhoneRole_PHONE_ROLE_ADMIN} {
		o := options(sim.login("acme"), of("zoom"))
		o.Settings.Phone.Role = role
		require.Equal(t, http.StatusOK, b.browser(t).connect(b.startConnect(t, o).GetLink()).code)
	}

	got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	c := got.GetConnection()
	require.Equal(t, configv1.PhoneRole_PHONE_ROLE_ADMIN, c.GetSettings().GetPhone().GetRole(), "what was said is kept")
	require.True(t, c.GetSettings().GetPhone().GetThirdPartyDialling())
	c.Settings.Phone.Role = configv1.PhoneRole_PHONE_ROLE_MEMBER
	_, err = b.client(t, acmeToken).PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: c})
	require.NoError(t, err)
	require.NoError(t, b.token(t), "a role that is lost later stops nothing")
	require.Equal(t, ready, b.status(t).GetState())
}

// quietLog remembers what was logged.
type quietLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *quietLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *quietLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestBothAdministratorsHaveTheSameAddress(t *testing.T) {
	t.Attr("requirement", "ZOOM-3")
	t.Parallel()
	log := &quietLog{}
	b := connectable(t, func(b *testBundle) {
		b.deps.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	sim := newSimulator(t, b, func(sc *simulator.Scenario) { sc.Orgs[1].Users[0].Email = "hana@acme.example.invalid" })
	start := func(org, address string) (*configv1.StartConnectResponse, shownPage) {
		started := b.startConnect(t, options(sim.login(org), of("zoom"), func(o *configv1.ConnectOptions) { o.ExpectedEmail = address }))
		return started, b.browser(t).connect(started.GetLink())
	}

	started, page := start("acme", "Taro@phone.example")
	require.Equal(t, http.StatusBadRequest, page.code)
	require.Contains(t, page.text, "Taro@phone.example", "both are shown to whoever can correct one of them")
	require.Contains(t, page.text, "hana@acme.example")
	flow := b.flow(t, started.GetFlow().GetId())
	require.Equal(t, "EMAIL_MISMATCH", flow.GetResult().GetCode())
	require.NotContains(t, flow.String(), "@")
	require.Equal(t, notConnected, b.status(t).GetState(), "not activated")
	require.Equal(t, codes.FailedPrecondition, status.Code(b.token(t)))
	require.Zero(t, sim.refreshTokens(t, "acme"))
	require.NotContains(t, strings.ToLower(log.String()), "taro@phone.example")
	require.NotContains(t, log.String(), "hana@acme.example")

	_, err := b.connects(t, acmeToken).StartConnect(t.Context(), &configv1.StartConnectRequest{
		Options: options(sim.login("acme"), of("zoom"), func(o *configv1.ConnectOptions) { o.ExpectedEmail = "" }),
	})
	require.Equal(t, []string{"options.expected_email"}, fieldsOf(t, err))
	entered := b.connection("acme")
	entered.Id, entered.Settings = "entered", options("", of("zoom")).GetSettings()
	_, err = b.client(t, acmeToken).PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: entered})
	require.Equal(t, []string{"connection.settings.any_address"}, fieldsOf(t, err), "credentials cannot show whose they are")

	_, page = start("acme", " HANA@acme.example")
	require.Equal(t, http.StatusOK, page.code, page.text)
	warning := func() *configv1.ProbeResult {
		resp, err := b.connects(t, acmeToken).DiagnoseConnection(t.Context(), &configv1.DiagnoseConnectionRequest{Workspace: "acme", Connection: "main"})
		require.NoError(t, err)
		for _, r := range resp.GetDiagnosis().GetResults() {
			if r.GetProbe() == "address" {
				return r
			}
		}
		return nil
	}
	require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_OK, warning().GetStatus())
	b.changeAddress(t, "moved@acme.example")
	w := warning()
	require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_BLOCKED, w.GetStatus(), "a warning,")
	require.False(t, w.GetRequired())
	require.Equal(t, ready, b.status(t).GetState(), "and no stop")
	require.NoError(t, b.token(t))
	require.NotContains(t, w.String(), "@")

	b.disconnect(t, true)
	uat := options(sim.login("uat"), of("zoom"), func(o *configv1.ConnectOptions) { o.Connection, o.ExpectedEmail = "uat", "Hana@Acme.example" })
	require.Equal(t, http.StatusOK, b.browser(t).connect(b.startConnect(t, uat).GetLink()).code, "a sandbox's address has an ending")
	free := options(sim.login("acme"), of("zoom"), func(o *configv1.ConnectOptions) {
		o.Connection, o.ExpectedEmail, o.Settings.AnyAddress = "any", "", true
	})
	require.Equal(t, http.StatusOK, b.browser(t).connect(b.startConnect(t, free).GetLink()).code, "where the connection says so")
	for _, address := range []string{"hana@acme.example", "taro@phone.example", "moved@acme.example"} {
		require.NotContains(t, strings.ToLower(log.String()), address)
	}
}

// changeAddress gives the connected user of the connection main another address, at Salesforce.
func (b *testBundle) changeAddress(t *testing.T, address string) {
	t.Helper()
	access, err := b.service.GetAccessToken(t.Context(), &configv1.GetAccessTokenRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	body, err := json.Marshal(map[string]string{"Email": address})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch,
		access.GetInstanceUrl()+"/services/data/v66.0/sobjects/User/"+got.GetConnection().GetConsent().GetUserId(), bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+access.GetAccessToken())
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusNoContent, res.StatusCode)
}
