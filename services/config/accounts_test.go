package config_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/internal/plan"
)

func (b *testBundle) listed(t *testing.T, req *configv1.ListAccountsRequest) []*configv1.Account {
	t.Helper()
	req.Workspace = "acme"
	resp, err := b.accounts(t, acmeViewer).ListAccounts(t.Context(), req)
	require.NoError(t, err)
	return resp.GetAccounts()
}

func accountIDs(accounts []*configv1.Account) []string {
	out := []string{}
	for _, a := range accounts {
		out = append(out, a.GetConnection())
	}
	return out
}

// connect makes a connection by a login.
func (b *testBundle) connect(t *testing.T, id, login string, change ...func(*configv1.ConnectOptions)) {
	t.Helper()
	page := b.browser(t).connect(b.startConnect(t, options(login, append(change, func(o *configv1.ConnectOptions) { o.Connection = id })...)).GetLink())
	require.Equal(t, http.StatusOK, page.code, page.text)
}

const (
	production = configv1.Environment_ENVIRONMENT_PRODUCTION
	sandbox    = configv1.Environment_ENVIRONMENT_SANDBOX
)

func TestAccountsAreListedWithWhoMadeThem(t *testing.T) {
	t.Attr("requirement", "WALK-5")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	require.Empty(t, b.listed(t, &configv1.ListAccountsRequest{}))
	b.connect(t, "main", sim.login("acme"))
	b.connect(t, "uat", sim.login("uat"))
	b.startConnect(t, options(sim.login("acme"), func(o *configv1.ConnectOptions) { o.Connection, o.Name = "waiting", "Not yet" }))
	b.admitRule(t)
	b.clock.Advance(time.Hour)
	got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	c := got.GetConnection()
	c.Name = "Sales"
	_, err = b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: c})
	require.NoError(t, err)

	all := b.listed(t, &configv1.ListAccountsRequest{})
	require.Equal(t, []string{"main", "uat", "waiting"}, accountIDs(all))
	first := all[0]
	require.Equal(t, production, first.GetEnvironment())
	require.Equal(t, "Sales", first.GetName())
	require.Equal(t, "Acme K.K.", first.GetAccountName())
	require.Equal(t, "hana@acme.example", first.GetUsername())
	require.Equal(t, epoch, first.GetCreatedAt().AsTime())
	require.Equal(t, "aoi", first.GetCreatedBy())
	require.Equal(t, epoch.Add(time.Hour), first.GetModifiedAt().AsTime())
	require.Equal(t, "root", first.GetModifiedBy())
	require.Equal(t, configv1.LoginStatus_LOGIN_STATUS_LOGGED_IN, first.GetLogin())
	require.Equal(t, configv1.ActivityStatus_ACTIVITY_STATUS_ACTIVE, first.GetActivity())
	require.EqualValues(t, 1, first.GetIntegrations())
	require.Equal(t, sandbox, all[1].GetEnvironment())
	require.Equal(t, configv1.ActivityStatus_ACTIVITY_STATUS_INACTIVE, all[1].GetActivity(), "nothing writes through it")
	require.Equal(t, configv1.LoginStatus_LOGIN_STATUS_LOGGED_OUT, all[2].GetLogin())
	require.Empty(t, all[2].GetAccountName())

	for search, want := range map[string][]string{
		"acme k.k.": {"main"}, "ACME": {"main", "uat", "waiting"}, "hana@": {"main", "uat"}, "/orgs/UAT": {"uat"}, "not yet": {"waiting"}, "nobody": {},
	} {
		require.Equal(t, want, accountIDs(b.listed(t, &configv1.ListAccountsRequest{Search: search})), search)
	}
	require.Equal(t, []string{"uat"}, accountIDs(b.listed(t, &configv1.ListAccountsRequest{Environment: sandbox})))

	got, err = b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	c = got.GetConnection()
	c.Paused = true
	_, err = b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: c})
	require.NoError(t, err)
	require.Equal(t, configv1.ActivityStatus_ACTIVITY_STATUS_PAUSED, b.listed(t, &configv1.ListAccountsRequest{})[0].GetActivity())
	_, err = b.connects(t, adminToken).OverrideState(t.Context(), &configv1.OverrideStateRequest{
		Workspace: "acme", Connection: "main", State: degraded, Reason: streamv1.Reason_REASON_SF_IP_RESTRICTED, Note: "the firewall",
	})
	require.NoError(t, err)
	require.Equal(t, configv1.LoginStatus_LOGIN_STATUS_NOT_AVAILABLE, b.listed(t, &configv1.ListAccountsRequest{})[0].GetLogin())
}

func TestOnlyAnAdministratorBeginsAConnection(t *testing.T) {
	t.Attr("requirement", "LOOM-2")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	_, err := b.connects(t, acmeViewer).StartConnect(t.Context(), &configv1.StartConnectRequest{Options: options(sim.login("acme"))})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	_, err = b.connects(t, acmeViewer).CreateSetupLink(t.Context(), &configv1.CreateSetupLinkRequest{Options: options(sim.login("acme"))})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	refused := 0
	for _, e := range b.audit(t, acmeToken, &configv1.ListAuditEntriesRequest{Workspace: "acme", Actor: "ren"}) {
		require.Equal(t, "refused", e.GetKind())
		refused++
	}
	require.Equal(t, 2, refused, "who tried is written down")
	require.Empty(t, b.listed(t, &configv1.ListAccountsRequest{}), "and nothing was begun")

	// Two press the button at the same moment: one attempt begins, and both see which.
	tokens, starts, errs := []string{acmeToken, adminToken}, make([]*configv1.StartConnectResponse, 2), make([]error, 2)
	var both sync.WaitGroup
	for n, token := range tokens {
		client := b.connects(t, token)
		both.Go(func() {
			starts[n], errs[n] = client.StartConnect(t.Context(), &configv1.StartConnectRequest{Options: options(sim.login("acme"))})
		})
	}
	both.Wait()
	first, second := 0, 1
	if errs[0] != nil {
		first, second = 1, 0
	}
	require.NoError(t, errs[first])
	require.Equal(t, codes.FailedPrecondition, status.Code(errs[second]), "%v", errs[second])
	reason, about := reasonOf(t, errs[second])
	require.Equal(t, "CONNECT_PENDING", reason)
	require.Equal(t, starts[first].GetFlow().GetId(), about["flow"])
	require.Equal(t, configv1.FlowStatus_FLOW_STATUS_WAITING, b.flow(t, about["flow"]).GetStatus(), "others see where it stands")
	require.Equal(t, []string{"main"}, accountIDs(b.listed(t, &configv1.ListAccountsRequest{})))
	require.Equal(t, awaiting, b.status(t).GetState())
}

func TestARoleThatWasTakenAwayMeanwhileBeginsNothing(t *testing.T) {
	t.Attr("requirement", "LOOM-2")
	t.Parallel()
	b, issuer := withIssuer(t)
	root := b.access(t, adminToken)
	require.NoError(t, put(t.Context(), root, member("mio", configv1.Role_ROLE_ADMIN, 0)))
	client := b.connects(t, issuer.Token(t, "sub-mio", epoch, nil))
	start := func() codes.Code {
		_, err := client.StartConnect(t.Context(), &configv1.StartConnectRequest{Options: options("https://login.salesforce.com")})
		return status.Code(err)
	}
	require.Equal(t, codes.FailedPrecondition, start(), "she may; this service has no pages")
	require.NoError(t, put(t.Context(), root, member("mio", configv1.Role_ROLE_VIEWER, 1)))
	require.Equal(t, codes.PermissionDenied, start(), "in the same session")
	_, err := client.GetDiagnosis(t.Context(), &configv1.GetDiagnosisRequest{Workspace: "acme", Connection: "none"})
	require.Equal(t, codes.NotFound, status.Code(err), "she may still look")
}

func TestUsageReportsAreForThoseWithTheIntegrationRole(t *testing.T) {
	t.Attr("requirement", "WALK-1")
	t.Parallel()
	b, _ := withIssuerAnd(t, walkers()...)
	for _, c := range []struct {
		role config.Role
		may  bool
	}{
		{config.RoleOwner, true}, {config.RoleAdmin, true}, {config.RoleIntegrationEditor, true}, {config.RoleViewer, false}, {config.RolePrivacyOfficer, false},
	} {
		for _, where := range []string{"acme", "globex"} {
			token := walkToken(c.role, where)
			_, err := b.accounts(t, token).ListAccounts(t.Context(), &configv1.ListAccountsRequest{Workspace: "acme"})
			require.Equal(t, where == "acme", err == nil, "%s of %s looks for accounts: %v", c.role, where, err)
			i := rule("acme")
			i.Id = "by-" + strings.ReplaceAll(string(c.role), "_", "-")
			_, err = b.client(t, token).PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: i})
			if c.may && where == "acme" {
				require.NoError(t, err, c.role)
				continue
			}
			require.Equal(t, codes.PermissionDenied, status.Code(err), "%s of %s", c.role, where)
			i.Workspace = "does-not-exist"
			_, unknown := b.client(t, token).PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: i})
			require.Equal(t, status.Convert(unknown).Message(), status.Convert(err).Message(), "nobody learns what there is")
		}
	}
	_, err := b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{Id: "fresh", Name: "Fresh"}})
	require.NoError(t, err)
	none, err := b.accounts(t, adminToken).ListAccounts(t.Context(), &configv1.ListAccountsRequest{Workspace: "fresh"})
	require.NoError(t, err)
	require.Empty(t, none.GetAccounts(), "a wizard then begins with an account")
}

func TestAnAppForTheWholeOrganisationIsInstalledOnce(t *testing.T) {
	t.Attr("requirement", "HOPIN-2")
	t.Parallel()
	b := connectable(t, enforcing)
	sim := newSimulator(t, b)
	b.setPlan(t, plan.Events, "business", epoch)
	_, err := b.connects(t, acmeViewer).StartConnect(t.Context(), &configv1.StartConnectRequest{Options: options(sim.login("acme"), of("hopin"))})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	require.Empty(t, b.entitlement(t, plan.Events).GetConnections())
	b.connect(t, "events", sim.login("acme"), of("hopin"))
	require.Equal(t, []string{"events"}, b.entitlement(t, plan.Events).GetConnections())

	again := options(sim.login("acme"), of("hopin"), func(o *configv1.ConnectOptions) { o.Connection = "another" })
	_, err = b.connects(t, acmeToken).StartConnect(t.Context(), &configv1.StartConnectRequest{Options: again})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	reason, about := reasonOf(t, err)
	require.Equal(t, "ALREADY_INSTALLED", reason)
	require.Equal(t, "events", about["connection"], "whose settings a screen opens")
	entered := b.connection("acme")
	entered.Settings = &configv1.ConnectSettings{Source: "hopin"}
	_, err = b.client(t, acmeToken).PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: entered})
	reason, _ = reasonOf(t, err)
	require.Equal(t, "ALREADY_INSTALLED", reason, "by whichever way")

	b.connect(t, "events", sim.login("acme"), of("hopin")) // to log in again is no second installation
	b.connect(t, "events-uat", sim.login("uat"), of("hopin"), func(o *configv1.ConnectOptions) { o.Settings.Environment = sandbox })

	// All events of the organisation are in, but those that are excluded one by one.
	_, err = b.client(t, acmeToken).PutContentSetting(t.Context(), &configv1.PutContentSettingRequest{
		Setting: &configv1.ContentSetting{Workspace: "acme", ContentId: "event-7", Tracking: false},
	})
	require.NoError(t, err)
	_, err = b.client(t, acmeViewer).PutContentSetting(t.Context(), &configv1.PutContentSettingRequest{
		Setting: &configv1.ContentSetting{Workspace: "acme", ContentId: "event-8", Tracking: false},
	})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	told := receive(t, b.watch(t, 0)).GetWorkspaces()[0].GetContentSettings()
	require.Len(t, told, 1)
	require.Equal(t, "event-7", told[0].GetContentId())
}

func TestSeveralAccountsPerEnvironment(t *testing.T) {
	t.Attr("requirement", "WALK-2")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	in := func(e configv1.Environment) func(*configv1.ConnectOptions) {
		return func(o *configv1.ConnectOptions) {
			o.Settings = &configv1.ConnectSettings{Source: "walkme", Environment: e}
		}
	}
	b.connect(t, "east", sim.login("acme"), in(production))
	b.connect(t, "west", sim.login("acme"), in(production))
	b.connect(t, "test", sim.login("uat"), in(sandbox))
	require.Equal(t, []string{"east", "west"}, accountIDs(b.listed(t, &configv1.ListAccountsRequest{Environment: production})))
	require.Equal(t, []string{"test"}, accountIDs(b.listed(t, &configv1.ListAccountsRequest{Environment: sandbox})))

	w := b.browser(t)
	w.answer = "deny"
	denied := b.startConnect(t, options(sim.login("acme"), in(production), func(o *configv1.ConnectOptions) { o.Connection = "east" }))
	page := w.connect(denied.GetLink())
	require.Contains(t, page.text, "You did not allow access")
	late := b.startConnect(t, options(sim.login("acme"), in(production), func(o *configv1.ConnectOptions) { o.Connection = "west" }))
	back := b.browser(t)
	address := back.depart(late.GetLink())
	b.clock.Advance(3 * time.Hour)
	require.Contains(t, back.consent(address).text, "NOT_IN_TIME", "who comes back after a long time is told so")
	for _, a := range b.listed(t, &configv1.ListAccountsRequest{}) {
		require.Equal(t, configv1.LoginStatus_LOGIN_STATUS_LOGGED_IN, a.GetLogin(), "the list is unchanged")
	}
}

func TestAnAccountOfTheWrongEnvironmentIsRefused(t *testing.T) {
	t.Attr("requirement", "WALK-4")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	meant := func(o *configv1.ConnectOptions) {
		o.Settings = &configv1.ConnectSettings{Source: "walkme", Environment: sandbox}
	}
	started := b.startConnect(t, options(sim.login("acme"), meant))
	require.Equal(t, http.StatusBadRequest, b.browser(t).connect(started.GetLink()).code)
	require.Equal(t, "ENVIRONMENT_MISMATCH", b.flow(t, started.GetFlow().GetId()).GetResult().GetCode())
	require.Equal(t, configv1.LoginStatus_LOGIN_STATUS_LOGGED_OUT, b.listed(t, &configv1.ListAccountsRequest{})[0].GetLogin())
}

func TestARevocationFromEitherSideKeepsTheNextRunFromStarting(t *testing.T) {
	t.Attr("requirement", "WALK-6")
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, b *testBundle, sim *theSimulator){
		"by us": func(t *testing.T, b *testBundle, _ *theSimulator) { b.disconnect(t, false) },
		"by the Salesforce administrator": func(t *testing.T, b *testBundle, sim *theSimulator) {
			require.NotZero(t, sim.refreshTokens(t, "acme"))
			b.clock.Advance(3 * time.Hour) // no token that was issued before is still good
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connectable(t)
			sim := newSimulator(t, b)
			b.connect(t, "main", sim.login("acme"))
			b.connect(t, "spare", sim.login("uat"))
			b.admitRule(t)
			require.NoError(t, b.token(t))

			end(t, b, sim)
			require.Equal(t, codes.FailedPrecondition, status.Code(b.token(t)), "nothing can begin")
			account := b.listed(t, &configv1.ListAccountsRequest{Search: "main"})[0]
			require.Equal(t, configv1.LoginStatus_LOGIN_STATUS_LOGGED_OUT, account.GetLogin(), "and the list says so")
			require.EqualValues(t, 1, account.GetIntegrations(), "what was set up stays stored")
			require.Equal(t, configv1.LoginStatus_LOGIN_STATUS_LOGGED_IN, b.listed(t, &configv1.ListAccountsRequest{Search: "spare"})[0].GetLogin())
		})
	}
}
