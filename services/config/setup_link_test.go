package config_test

import (
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/simulator"
)

func (b *testBundle) setupLink(t *testing.T, o *configv1.ConnectOptions) *configv1.CreateSetupLinkResponse {
	t.Helper()
	resp, err := b.connects(t, acmeToken).CreateSetupLink(t.Context(), &configv1.CreateSetupLinkRequest{Options: o})
	require.NoError(t, err)
	return resp
}

var confirmToken = regexp.MustCompile(`name="token" value="([^"]+)"`)

// confirm answers the question whether it is the right org.
func (w *browser) confirm(page shownPage, answer string) shownPage {
	w.t.Helper()
	match := confirmToken.FindStringSubmatch(page.text)
	require.NotNil(w.t, match, page.text)
	return w.do(http.MethodPost, "https://pages.example/connect-confirm", url.Values{"token": {match[1]}, "answer": {answer}})
}

// progress reads how far a flow is, the way the workspace's administrator sees it.
func (b *testBundle) progress(t *testing.T, id string) configv1.FlowStatus {
	t.Helper()
	return b.flow(t, id).GetStatus()
}

func TestTwoAdministratorsShareTheWork(t *testing.T) {
	t.Attr("requirement", "LOOM-3")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	link := b.setupLink(t, options(sim.login("acme")))
	id := link.GetFlow().GetId()
	require.True(t, link.GetFlow().GetSetupLink())
	require.Equal(t, epoch.Add(7*24*time.Hour), link.GetFlow().GetExpiresAt().AsTime())
	require.Equal(t, awaiting, b.status(t).GetState())
	require.Equal(t, configv1.FlowStatus_FLOW_STATUS_WAITING, b.progress(t, id))

	// Days later, somebody without an account here opens it.
	b.clock.Advance(6 * 24 * time.Hour)
	w := b.browser(t)
	require.Contains(t, w.do(http.MethodGet, link.GetLink(), nil).text, "aoi")
	require.Equal(t, configv1.FlowStatus_FLOW_STATUS_WAITING, b.progress(t, id), "looking uses nothing up")
	address := w.press(link.GetLink())
	require.Equal(t, configv1.FlowStatus_FLOW_STATUS_AT_SALESFORCE, b.progress(t, id))
	page := w.consent(address)
	require.Contains(t, page.text, "Is this the right org?")
	require.Contains(t, page.text, "Acme K.K.")
	require.Equal(t, configv1.FlowStatus_FLOW_STATUS_CONFIRM, b.progress(t, id))
	require.Equal(t, codes.FailedPrecondition, status.Code(b.token(t)), "nothing is connected before it is confirmed")

	stranger := b.browser(t)
	require.Contains(t, stranger.confirm(page, "yes").text, "OTHER_BROWSER")
	done := w.confirm(page, "yes")
	require.Equal(t, http.StatusOK, done.code, done.text)
	require.Equal(t, configv1.FlowStatus_FLOW_STATUS_DONE, b.progress(t, id))
	require.NoError(t, b.token(t))
	history, err := b.connects(t, acmeViewer).ListConnectionHistory(t.Context(), &configv1.ListConnectionHistoryRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	var actors []string
	for _, c := range history.GetChanges() {
		actors = append(actors, c.GetTo().GetActor())
	}
	require.Contains(t, actors, "set-up link")
	require.Contains(t, w.confirm(page, "yes").text, "STATE_UNKNOWN", "confirmed once")
	require.Contains(t, w.do(http.MethodGet, link.GetLink(), nil).text, "used already")
}

func TestTheWrongOrgIsForgotten(t *testing.T) {
	t.Attr("requirement", "LOOM-3")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	link := b.setupLink(t, options(sim.login("acme")))
	w := b.browser(t)
	page := w.confirm(w.connect(link.GetLink()), "no")
	require.Contains(t, page.text, "forgotten and revoked")
	require.Equal(t, notConnected, b.status(t).GetState())
	require.Equal(t, configv1.FlowStatus_FLOW_STATUS_FAILED, b.progress(t, link.GetFlow().GetId()))
	require.Equal(t, codes.FailedPrecondition, status.Code(b.token(t)))
	require.Zero(t, sim.refreshTokens(t, "acme"))
}

func TestASetupLinkEnds(t *testing.T) {
	t.Attr("requirement", "LOOM-3")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	w := b.browser(t)
	link, err := b.connects(t, acmeToken).CreateSetupLink(t.Context(), &configv1.CreateSetupLinkRequest{
		Options: options(sim.login("acme")), Lifetime: durationpb.New(2 * time.Hour),
	})
	require.NoError(t, err)
	b.clock.Advance(2 * time.Hour)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		page := w.do(method, link.GetLink(), nil)
		require.Equal(t, http.StatusBadRequest, page.code)
		require.Contains(t, page.text, "The time of this link is over")
	}
	require.Equal(t, configv1.FlowStatus_FLOW_STATUS_EXPIRED, b.progress(t, link.GetFlow().GetId()))
	// A new one takes its place without a word.
	again := b.setupLink(t, options(sim.login("acme")))
	_, err = b.connects(t, acmeToken).CancelConnectFlow(t.Context(), &configv1.CancelConnectFlowRequest{Workspace: "acme", Flow: again.GetFlow().GetId()})
	require.NoError(t, err)
	require.Contains(t, w.do(http.MethodPost, again.GetLink(), nil).text, "withdrawn")
	require.Contains(t, w.do(http.MethodPost, again.GetLink()+"x", nil).text, "not valid", "tampered with")
	_, err = b.connects(t, acmeToken).CreateSetupLink(t.Context(), &configv1.CreateSetupLinkRequest{
		Options: options(sim.login("acme")), Lifetime: durationpb.New(8 * 24 * time.Hour),
	})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

func TestReconnectingTheSameOrgKeepsEverything(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "LOOM-14")
	b := connectable(t)
	sim := newSimulator(t, b, func(sc *simulator.Scenario) {
		sc.Orgs[0].Users = append(sc.Orgs[0].Users, simulator.User{
			Username: "kenji@acme.example", Password: "pw", LastName: "Kenji", Email: "kenji@acme.example",
		})
	})
	w := b.browser(t)
	require.Equal(t, http.StatusOK, w.connect(b.startConnect(t, options(sim.login("acme"))).GetLink()).code)
	got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	before := got.GetConnection()
	before.Parallelism, before.QuotaPercent = 7, 33
	_, err = b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: before})
	require.NoError(t, err)

	sim.endSessions(t, "acme", true) // the org's administrator revokes the app
	b.clock.Advance(2 * time.Hour)
	require.Equal(t, codes.FailedPrecondition, status.Code(b.token(t)))
	require.Equal(t, revoked, b.status(t).GetState())

	// Nothing is entered again: the app is known.
	started := b.startConnect(t, &configv1.ConnectOptions{Workspace: "acme", Connection: "main"})
	require.Equal(t, revoked, b.status(t).GetState())
	require.Equal(t, http.StatusOK, w.connect(started.GetLink()).code)
	got, err = b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	require.Equal(t, int32(7), got.GetConnection().GetParallelism())
	require.Equal(t, int32(33), got.GetConnection().GetQuotaPercent())
	require.Equal(t, before.GetOrg().GetId(), got.GetConnection().GetOrg().GetId())
	require.NoError(t, b.token(t))

	// Another user of the org may take its place: what that one may do is looked at anew.
	found := func() *configv1.Diagnosis {
		resp, err := b.connects(t, acmeToken).GetDiagnosis(t.Context(), &configv1.GetDiagnosisRequest{Workspace: "acme", Connection: "main"})
		require.NoError(t, err)
		return resp.GetDiagnosis()
	}
	looked := found().GetAt().AsTime()
	b.clock.Advance(time.Hour)
	other := b.browser(t)
	other.user = "kenji@acme.example"
	require.Equal(t, http.StatusOK, other.connect(b.startConnect(t, options(sim.login("acme"))).GetLink()).code)
	got, err = b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	require.Equal(t, "kenji@acme.example", got.GetConnection().GetConsent().GetUsername())
	require.Equal(t, int32(7), got.GetConnection().GetParallelism())
	require.Empty(t, got.GetConnection().GetFirstOrg(), "it is one org: what is remembered of it goes on")
	require.True(t, found().GetAt().AsTime().After(looked))
}

func TestAnotherOrgAsksFirst(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "LOOM-14")
	b := connectable(t)
	sim := newSimulator(t, b)
	w := b.browser(t)
	require.Equal(t, http.StatusOK, w.connect(b.startConnect(t, options(sim.login("acme"))).GetLink()).code)
	acme := b.org18(t)

	started := b.startConnect(t, options(sim.login("uat")))
	page := w.connect(started.GetLink())
	require.Contains(t, page.text, "another org")
	flow := b.flow(t, started.GetFlow().GetId())
	require.Equal(t, configv1.FlowStatus_FLOW_STATUS_CONFIRM, flow.GetStatus())
	require.Equal(t, "OTHER_ORG", flow.GetResult().GetCode())
	require.Equal(t, acme, b.org18(t), "not before it is accepted")
	require.NoError(t, b.token(t))

	accept := func(org string) error {
		_, err := b.connects(t, acmeToken).AcceptOtherOrg(t.Context(), &configv1.AcceptOtherOrgRequest{
			Workspace: "acme", Flow: flow.GetId(), OrgId: org,
		})
		return err
	}
	require.Equal(t, codes.FailedPrecondition, status.Code(accept(acme)), "the wrong one")
	require.NoError(t, accept(flow.GetResult().GetOrg().GetId()))
	require.Equal(t, flow.GetResult().GetOrg().GetId(), b.org18(t))
	require.NoError(t, b.token(t))
	require.Equal(t, flow.GetResult().GetOrg().GetId(), b.remembered(t), "what is remembered begins anew")
	require.Equal(t, codes.FailedPrecondition, status.Code(accept(flow.GetResult().GetOrg().GetId())), "once")

	// Accepted beforehand.
	back := b.startConnect(t, options(sim.login("acme"), func(o *configv1.ConnectOptions) { o.AcceptOtherOrg = true }))
	require.Equal(t, http.StatusOK, w.connect(back.GetLink()).code)
	require.Equal(t, acme, b.org18(t))
	require.Empty(t, b.remembered(t), "the first one is known again")
}

func TestAnotherOrgWaitsNotForEver(t *testing.T) {
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	w := b.browser(t)
	require.Equal(t, http.StatusOK, w.connect(b.startConnect(t, options(sim.login("acme"))).GetLink()).code)
	acme := b.org18(t)
	started := b.startConnect(t, options(sim.login("uat")))
	require.Contains(t, w.connect(started.GetLink()).text, "another org")
	waiting := b.flow(t, started.GetFlow().GetId())
	b.clock.Advance(waiting.GetExpiresAt().AsTime().Sub(b.clock.Now()))
	_, err := b.connects(t, acmeToken).AcceptOtherOrg(t.Context(), &configv1.AcceptOtherOrgRequest{
		Workspace: "acme", Flow: waiting.GetId(), OrgId: waiting.GetResult().GetOrg().GetId(),
	})
	require.Equal(t, codes.FailedPrecondition, status.Code(err), "a sweep may be revoking it at this moment")
	require.Equal(t, acme, b.org18(t))
}

// remembered names the org for what services remember, as they are told.
func (b *testBundle) remembered(t *testing.T) string {
	t.Helper()
	for _, ws := range receive(t, b.watch(t, 0)).GetWorkspaces() {
		for _, c := range ws.GetConnections() {
			if ws.GetWorkspace().GetId() == "acme" && c.GetId() == "main" {
				org, known := settings.OrgOf(c)
				require.True(t, known)
				return org
			}
		}
	}
	t.Fatal("no such connection")
	return ""
}

func (b *testBundle) org18(t *testing.T) string {
	t.Helper()
	got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	return got.GetConnection().GetOrg().GetId()
}

func TestThePlatformsOwnApp(t *testing.T) {
	t.Parallel()
	b := connectable(t, func(b *testBundle) {
		b.cfg.Connect.App = config.PlatformApp{ClientID: "platform-app", ClientSecret: secret.New("platform-secret")}
	})
	sim := newSimulator(t, b)
	started := b.startConnect(t, options(sim.login("acme"), func(o *configv1.ConnectOptions) { o.ClientId, o.ClientSecret = "", "" }))
	page := b.browser(t).connect(started.GetLink())
	require.Equal(t, http.StatusOK, page.code, page.text)
	require.True(t, b.flow(t, started.GetFlow().GetId()).GetResult().GetConsent().GetPlatformApp())
	b.clock.Advance(2 * time.Hour)
	require.NoError(t, b.token(t), "its secret is filled in for every refresh")
}

func TestANewSecretIsTriedFirst(t *testing.T) {
	t.Attr("requirement", "IMM-13")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	require.Equal(t, http.StatusOK, b.browser(t).connect(b.startConnect(t, options(sim.login("acme"))).GetLink()).code)
	replace := func(value string) error {
		_, err := b.connects(t, acmeToken).ReplaceAppSecret(t.Context(), &configv1.ReplaceAppSecretRequest{
			Workspace: "acme", Connection: "main", ClientSecret: value,
		})
		return err
	}
	err := replace("wrong-secret")
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.NotContains(t, err.Error(), "wrong-secret")
	require.Equal(t, ready, b.status(t).GetState(), "it says nothing about the connection")
	b.clock.Advance(2 * time.Hour)
	require.NoError(t, b.token(t), "the old one stays")
	require.NoError(t, replace("own-secret"))
	b.clock.Advance(2 * time.Hour)
	require.NoError(t, b.token(t), "what was rotated on the way was kept")
}

func TestWhatNobodyConfirmsIsRevoked(t *testing.T) {
	t.Attr("requirement", "LOOM-3")
	t.Parallel()
	b := connectable(t, func(b *testBundle) { b.cfg.Connect.SweepEvery = 5 * time.Millisecond })
	sim := newSimulator(t, b)
	link := b.setupLink(t, options(sim.login("acme")))
	w := b.browser(t)
	page := w.connect(link.GetLink())
	require.Contains(t, page.text, "Is this the right org?")
	b.clock.Advance(15 * time.Minute)
	require.Eventually(t, func() bool { return sim.revoked.Load() > 0 }, time.Minute, 5*time.Millisecond)
	require.Eventually(t, func() bool {
		resp, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
		return err == nil && resp.GetConnection().GetStatus().GetState() == notConnected
	}, time.Minute, 5*time.Millisecond)
	require.Equal(t, configv1.FlowStatus_FLOW_STATUS_EXPIRED, b.progress(t, link.GetFlow().GetId()))
	require.Zero(t, sim.refreshTokens(t, "acme"))
	require.Contains(t, w.confirm(page, "yes").text, "STATE_UNKNOWN", "too late")
}

// TestTheFifthApprovalIsWarnedOf: Salesforce keeps five grants of one user for one app, and a sixth ends the oldest.
func TestTheFifthApprovalIsWarnedOf(t *testing.T) {
	t.Attr("requirement", "XC-16")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	w := b.browser(t)
	for i, id := range []string{"main", "second", "third", "fourth", "fifth", "sixth"} {
		started := b.startConnect(t, options(sim.login("acme"), func(o *configv1.ConnectOptions) { o.Connection = id }))
		require.Equal(t, http.StatusOK, w.connect(started.GetLink()).code)
		notes := b.flow(t, started.GetFlow().GetId()).GetResult().GetNotes()
		require.Equal(t, i >= 4, len(notes) > 0, "%s: %v", id, notes)
		b.clock.Advance(time.Minute)
	}
	b.clock.Advance(2 * time.Hour)
	require.Equal(t, codes.FailedPrecondition, status.Code(b.token(t)))
	require.Equal(t, revoked, b.status(t).GetState(), "as it was warned")
	list, err := b.admin.ListConnections(t.Context(), &configv1.ListConnectionsRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Len(t, list.GetConnections(), 6, "several accounts of one environment, each with a state of its own")
}
