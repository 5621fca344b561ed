package config_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/plan"
)

// enforcing makes plans count from a year ago.
func enforcing(b *testBundle) { b.cfg.Plans.EnforceFrom = epoch.Add(-365 * day) }

func (b *testBundle) plans(t *testing.T, token string) configv1.PlanServiceClient {
	t.Helper()
	return configv1.NewPlanServiceClient(b.dial(t, token))
}

// setPlan records a plan of acme.
func (b *testBundle) setPlan(t *testing.T, source plan.Source, name string, from time.Time) {
	t.Helper()
	_, err := b.plans(t, adminToken).SetPlan(t.Context(), &configv1.SetPlanRequest{Workspace: "acme", Plan: &configv1.Plan{
		Source: source, Name: name, EffectiveFrom: timestamppb.New(from),
	}})
	require.NoError(t, err)
}

func (b *testBundle) entitlement(t *testing.T, source plan.Source) *configv1.Entitlement {
	t.Helper()
	resp, err := b.plans(t, acmeViewer).GetEntitlements(t.Context(), &configv1.GetEntitlementsRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Len(t, resp.GetEntitlements(), len(plan.Sources()))
	for _, e := range resp.GetEntitlements() {
		if e.GetSource() == source {
			return e
		}
	}
	require.Fail(t, "not told of")
	return nil
}

// reasonOf is the reason and the metadata that a refusal carries.
func reasonOf(t *testing.T, err error) (string, map[string]string) {
	t.Helper()
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason(), info.GetMetadata()
		}
	}
	require.Fail(t, "no reason", "%v", err)
	return "", nil
}

// of makes the options be for a source product. What is known of a phone account is right.
func of(product string) func(*configv1.ConnectOptions) {
	return func(o *configv1.ConnectOptions) {
		demanding(product)(o)
		if product == "zoom" {
			o.Settings.AnyAddress, o.ExpectedEmail = false, "Hana@acme.example"
		}
	}
}

func TestAConnectionTakesThePlan(t *testing.T) {
	t.Attr("requirement", "LOOM-1")
	t.Attr("requirement", "ZOOM-1")
	t.Attr("requirement", "HOPIN-1")
	t.Parallel()
	for product, c := range map[string]struct {
		source       plan.Source
		needed, less string
		enough       string
	}{
		"loom":  {plan.Video, "enterprise", "business", "Enterprise"},
		"zoom":  {plan.Phone, "pro,business,enterprise", "basic", "pro"},
		"hopin": {plan.Events, "business,enterprise", "pro", "business"},
	} {
		t.Run(product, func(t *testing.T) {
			t.Parallel()
			b := connectable(t, enforcing)
			sim := newSimulator(t, b)
			refused := func(when string) {
				_, err := b.connects(t, acmeToken).StartConnect(t.Context(), &configv1.StartConnectRequest{Options: options(sim.login("acme"), of(product))})
				require.Equal(t, codes.FailedPrecondition, status.Code(err), when)
				reason, about := reasonOf(t, err)
				require.Equal(t, "PLAN_NOT_ENTITLED", reason)
				require.Equal(t, c.needed, about["needed"])
				_, err = b.connects(t, acmeToken).CreateSetupLink(t.Context(), &configv1.CreateSetupLinkRequest{Options: options(sim.login("acme"), of(product))})
				require.Equal(t, codes.FailedPrecondition, status.Code(err), when)
				entered := b.connection("acme")
				entered.Settings = options("", of(product)).GetSettings()
				_, err = b.client(t, acmeToken).PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: entered})
				require.Equal(t, codes.FailedPrecondition, status.Code(err), when)
				_, err = b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
				require.Equal(t, codes.NotFound, status.Code(err), "nothing was made")
			}
			refused("no plan is recorded")
			e := b.entitlement(t, c.source)
			require.False(t, e.GetEntitled(), "a screen can show the card, disabled")
			require.NotEmpty(t, e.GetNeeded())
			b.setPlan(t, c.source, c.less, epoch)
			refused("another plan")
			require.Equal(t, c.less, b.entitlement(t, c.source).GetPlan())
			b.setPlan(t, c.source, c.enough, epoch.Add(time.Hour))
			refused("from an hour from now")
			require.Equal(t, epoch.Add(time.Hour), b.entitlement(t, c.source).GetChangesAt().AsTime())

			b.clock.Advance(time.Hour)
			require.True(t, b.entitlement(t, c.source).GetEntitled())
			page := b.browser(t).connect(b.startConnect(t, options(sim.login("acme"), of(product))).GetLink())
			require.Equal(t, http.StatusOK, page.code, page.text)
			require.Equal(t, []string{"main"}, b.entitlement(t, c.source).GetConnections())
		})
	}
}

func TestWithoutRulesEverybodyIsEntitled(t *testing.T) {
	t.Attr("requirement", "LOOM-1")
	t.Parallel()
	b := connectable(t)
	b.setPlan(t, plan.Video, "free", epoch)
	require.True(t, b.entitlement(t, plan.Video).GetEntitled())
	sim := newSimulator(t, b)
	require.Equal(t, http.StatusOK, b.browser(t).connect(b.startConnect(t, options(sim.login("acme"), of("loom"))).GetLink()).code)
}

func TestNobodyUpgradesTheirOwnWorkspace(t *testing.T) {
	t.Attr("requirement", "LOOM-1")
	t.Attr("requirement", "HOPIN-1")
	t.Parallel()
	b := connectable(t, enforcing)
	b.setPlan(t, plan.Video, "business", epoch)
	_, err := b.plans(t, acmeToken).SetPlan(t.Context(), &configv1.SetPlanRequest{
		Workspace: "acme", Plan: &configv1.Plan{Source: plan.Video, Name: "enterprise"},
	})
	require.Equal(t, codes.PermissionDenied, status.Code(err))

	got, err := b.admin.GetWorkspace(t.Context(), &configv1.GetWorkspaceRequest{Workspace: "acme"})
	require.NoError(t, err)
	ws := got.GetWorkspace()
	ws.Name, ws.Plans[0].Name = "Acme K.K.", "enterprise"
	saved, err := b.client(t, acmeToken).PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: ws})
	require.NoError(t, err)
	require.Equal(t, "Acme K.K.", saved.GetWorkspace().GetName())
	require.Equal(t, "business", b.entitlement(t, plan.Video).GetPlan(), "with other settings it is not saved")
	version := saved.GetWorkspace().GetVersion()
	b.setPlan(t, plan.Video, "free", epoch)
	history := configv1.NewSettingHistoryServiceClient(b.dial(t, acmeToken))
	_, err = history.RollBackSetting(t.Context(), &configv1.RollBackSettingRequest{
		Workspace: "acme", Kind: configv1.SettingKind_SETTING_KIND_WORKSPACE, Id: "acme", ToVersion: version, ExpectedVersion: version + 1,
	})
	require.NoError(t, err)
	require.Equal(t, "free", b.entitlement(t, plan.Video).GetPlan(), "nor does an old version bring it back")

	_, err = b.plans(t, adminToken).SetPlan(t.Context(), &configv1.SetPlanRequest{Workspace: "initech", Plan: &configv1.Plan{Source: plan.Video}})
	require.Equal(t, codes.NotFound, status.Code(err))
	_, err = b.plans(t, adminToken).SetPlan(t.Context(), &configv1.SetPlanRequest{Workspace: "acme", Plan: &configv1.Plan{Name: "enterprise"}})
	require.Equal(t, []string{"plan.source"}, fieldsOf(t, err))
	written := b.audit(t, adminToken, &configv1.ListAuditEntriesRequest{Workspace: "acme", Action: "SetPlan"})
	changes := 0
	for _, e := range written {
		if e.GetKind() != "refused" {
			changes++
		}
	}
	require.Equal(t, 2, changes)
}

func TestAfterADowngradeTheSetUpIsKeptAndAnUpgradeGoesOn(t *testing.T) {
	t.Attr("requirement", "LOOM-1")
	t.Attr("requirement", "HOPIN-1")
	t.Parallel()
	b := connectable(t, enforcing, func(b *testBundle) { b.cfg.Access.Audit.Every = time.Second })
	sim := newSimulator(t, b)
	b.setPlan(t, plan.Video, "enterprise", epoch)
	b.setPlan(t, plan.Events, "enterprise", epoch)
	require.Equal(t, http.StatusOK, b.browser(t).connect(b.startConnect(t, options(sim.login("acme"), of("loom"))).GetLink()).code)
	other := options(sim.login("acme"), of("hopin"), func(o *configv1.ConnectOptions) { o.Connection = "events" })
	require.Equal(t, http.StatusOK, b.browser(t).connect(b.startConnect(t, other).GetLink()).code)
	b.admitRule(t)
	down := epoch.Add(10 * day)
	b.setPlan(t, plan.Video, "business", down)

	watcher := b.watch(t, 0)
	told := receive(t, watcher).GetWorkspaces()[0]
	require.Nil(t, plan.Lapsed(lapsesOf(told, "main"), down.Add(-time.Nanosecond)), "services know beforehand")
	require.NotNil(t, plan.Lapsed(lapsesOf(told, "main"), down))
	require.Nil(t, plan.Lapsed(lapsesOf(told, "events"), down), "another source's plan")
	require.Len(t, told.GetWorkspace().GetLapses(), 4, "before and after of two, and a source without a plan")

	b.clock.Advance(10*day + 89*day)
	got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	require.False(t, got.GetConnection().GetEntitlement().GetEntitled())
	require.Equal(t, down.Add(90*day), got.GetConnection().GetEntitlement().GetKeptUntil().AsTime())
	renamed := got.GetConnection()
	renamed.Name = "Videos"
	_, err = b.client(t, acmeToken).PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: renamed})
	require.NoError(t, err, "settings may be changed meanwhile")
	require.NoError(t, b.token(t), "no new login")
	b.setPlan(t, plan.Video, "enterprise", b.clock.Now())
	require.True(t, b.entitlement(t, plan.Video).GetEntitled())
	require.NoError(t, b.token(t))

	again := b.clock.Now().Add(day)
	b.setPlan(t, plan.Video, "", again)
	b.clock.Advance(day + 90*day)
	require.Eventually(t, func() bool {
		got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
		return err == nil && got.GetConnection().GetStatus().GetState() == disconnected
	}, time.Minute, 10*time.Millisecond)
	require.Equal(t, "plan", b.status(t).GetActor())
	require.Eventually(t, func() bool { return status.Code(b.token(t)) == codes.FailedPrecondition }, time.Minute, 10*time.Millisecond)
	require.Eventually(t, func() bool { return sim.revoked.Load() > 0 }, time.Minute, 10*time.Millisecond)
	require.Equal(t, 1, sim.refreshTokens(t, "acme"), "of the other connection")
	rules, err := b.admin.ListIntegrations(t.Context(), &configv1.ListIntegrationsRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Len(t, rules.GetIntegrations(), 1, "what was set up stays")
	listed, err := b.admin.ListConnections(t.Context(), &configv1.ListConnectionsRequest{Workspace: "acme"})
	require.NoError(t, err)
	for _, c := range listed.GetConnections() {
		require.Equal(t, c.GetId() == "events", c.GetRefreshToken() != nil, "key and secret are gone where the plan ended")
	}
}

// admitRule saves an integration that writes through the connection main.
func (b *testBundle) admitRule(t *testing.T, change ...func(*configv1.Integration)) *configv1.Integration {
	t.Helper()
	i := rule("acme")
	for _, f := range change {
		f(i)
	}
	resp, err := b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: i})
	require.NoError(t, err)
	return resp.GetIntegration()
}

func lapsesOf(ws *configv1.WorkspaceSnapshot, connection string) []*configv1.Lapse {
	for _, c := range ws.GetConnections() {
		if c.GetId() == connection {
			return c.GetLapses()
		}
	}
	return nil
}

func TestWithoutAPlanAConnectionIsKeptButNotMadeAnew(t *testing.T) {
	t.Attr("requirement", "LOOM-1")
	t.Parallel()
	b := connectable(t, enforcing)
	b.setPlan(t, plan.Video, "enterprise", epoch)
	c := b.connection("acme")
	c.Settings = &configv1.ConnectSettings{Source: "loom"}
	saved, err := b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: c})
	require.NoError(t, err)
	b.setPlan(t, plan.Video, "business", epoch)
	enter := func() error {
		got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
		require.NoError(t, err)
		got.GetConnection().GetClientCredentials().ClientSecret = "consumer-secret"
		_, err = b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: got.GetConnection()})
		return err
	}
	require.NoError(t, enter(), "the same file is applied again")
	require.EqualValues(t, 1, saved.GetConnection().GetVersion())
	b.disconnect(t, false)
	require.Equal(t, codes.FailedPrecondition, status.Code(enter()), "to connect it again takes the plan")
	general := b.connection("acme")
	general.Id = "general"
	made, err := b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: general})
	require.NoError(t, err, "documents are in every plan")
	other := made.GetConnection()
	other.Settings = &configv1.ConnectSettings{Source: "loom"}
	_, err = b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: other})
	require.Equal(t, codes.FailedPrecondition, status.Code(err), "nor is there a way around by another source")
}

func TestOtherRulesReachServicesThatMissedNoChange(t *testing.T) {
	t.Attr("requirement", "HOPIN-1")
	t.Parallel()
	b := connectable(t, enforcing)
	b.setPlan(t, plan.Events, "pro", epoch)
	first := receive(t, b.watch(t, 0))
	b.stop()

	b.cfg.Plans.Events = append(b.cfg.Plans.Events, "pro") // the list is configuration
	b.start(t)
	second := receive(t, b.watch(t, 0))
	require.Equal(t, first.GetRevision(), second.GetRevision(), "nothing was saved")
	require.NotEqual(t, first.GetLineage(), second.GetLineage(), "and yet a service that follows gets it")
	of := func(s *configv1.Snapshot) *configv1.Lapse {
		return plan.Lapsed(b.cfg.Plans.ForConnection(s.GetWorkspaces()[0].GetWorkspace().GetLapses(), plan.Events), epoch)
	}
	require.NotNil(t, of(first))
	require.Nil(t, of(second))
	require.True(t, b.entitlement(t, plan.Events).GetEntitled())
}
