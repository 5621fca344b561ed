package config_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/simulator"
)

func (b *testBundle) diagnosis(t *testing.T) *configv1.Diagnosis {
	t.Helper()
	resp, err := b.connects(t, acmeToken).DiagnoseConnection(t.Context(), &configv1.DiagnoseConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	return resp.GetDiagnosis()
}

// probeOf returns the answer to one question.
func probeOf(t *testing.T, d *configv1.Diagnosis, name string) *configv1.ProbeResult {
	t.Helper()
	i := slices.IndexFunc(d.GetResults(), func(r *configv1.ProbeResult) bool { return r.GetProbe() == name })
	require.GreaterOrEqual(t, i, 0, "%s was not asked", name)
	return d.GetResults()[i]
}

func demanding(source string, change ...func(*configv1.ConnectSettings)) func(*configv1.ConnectOptions) {
	return func(o *configv1.ConnectOptions) {
		o.Settings = &configv1.ConnectSettings{Source: source}
		if source == "zoom" {
			o.Settings.Phone = &configv1.PhoneAccount{Role: configv1.PhoneRole_PHONE_ROLE_ADMIN, ThirdPartyDialling: true}
			o.Settings.AnyAddress = true
		}
		for _, f := range change {
			f(o.Settings)
		}
	}
}

func withLimits(change func(*simulator.Org)) func(*simulator.Scenario) {
	return func(sc *simulator.Scenario) { change(&sc.Orgs[0]) }
}

func profile(p simulator.Profile) func(*simulator.Scenario) {
	return withLimits(func(o *simulator.Org) {
		p.Name = "Integration"
		o.Profiles, o.Users[0].Profile = []simulator.Profile{p}, p.Name
	})
}

// TestConnectingNamesWhatIsInTheWay connects orgs that have something wrong with them, each by the whole way through a browser.
func TestConnectingNamesWhatIsInTheWay(t *testing.T) {
	t.Attr("requirement", "LOOM-5")
	t.Attr("requirement", "LOOM-6")
	t.Attr("requirement", "IMM-1")
	t.Attr("requirement", "ZOOM-2")
	t.Parallel()
	for name, c := range map[string]struct {
		org           func(*simulator.Scenario)
		options       func(*configv1.ConnectOptions)
		state         configv1.ConnectionState
		reason        streamv1.Reason
		probe, detail string
		status        configv1.ProbeStatus
	}{
		"EditionOfLoom": {
			withLimits(func(o *simulator.Org) { o.Edition = "Professional Edition" }), demanding("loom"),
			degraded, streamv1.Reason_REASON_SF_EDITION_UNSUPPORTED, "edition", "Professional Edition", configv1.ProbeStatus_PROBE_STATUS_BLOCKED,
		},
		"EditionOfImmedio": {
			withLimits(func(o *simulator.Org) { o.Edition = "Professional Edition" }), demanding("immedio"),
			ready, 0, "edition", "Professional Edition", configv1.ProbeStatus_PROBE_STATUS_OK,
		},
		"DeveloperEditionOfZoom": {
			withLimits(func(o *simulator.Org) { o.Edition = "Developer Edition" }), demanding("zoom"),
			degraded, streamv1.Reason_REASON_SF_EDITION_UNSUPPORTED, "edition", "Developer Edition", configv1.ProbeStatus_PROBE_STATUS_BLOCKED,
		},
		"NoAPI": {
			withLimits(func(o *simulator.Org) { o.Edition, o.API.Disabled = "Professional Edition", true }), demanding("immedio"),
			degraded, streamv1.Reason_REASON_SF_API_DISABLED, "api", "API_DISABLED_FOR_ORG", configv1.ProbeStatus_PROBE_STATUS_BLOCKED,
		},
		"ProfileWithoutAPI": {
			profile(simulator.Profile{APIDisabled: true}), demanding(""),
			degraded, streamv1.Reason_REASON_SF_API_DISABLED, "api", "API_CURRENTLY_DISABLED", configv1.ProbeStatus_PROBE_STATUS_BLOCKED,
		},
		"NoTasks": {
			profile(simulator.Profile{Objects: map[string][]string{"Task": {"read"}}}), demanding("immedio"),
			degraded, streamv1.Reason_REASON_SF_NO_PERMISSION, "tasks", "Task", configv1.ProbeStatus_PROBE_STATUS_BLOCKED,
		},
		"NoTasksAndNoNeed": {
			profile(simulator.Profile{Objects: map[string][]string{"Task": {"read"}}}), demanding(""),
			ready, 0, "tasks", "Task", configv1.ProbeStatus_PROBE_STATUS_BLOCKED,
		},
		"HiddenField": {
			profile(simulator.Profile{HiddenFields: []string{"Lead.Email"}}), demanding(""),
			degraded, streamv1.Reason_REASON_SF_NO_PERMISSION, "object_Lead", "Lead.Email", configv1.ProbeStatus_PROBE_STATUS_BLOCKED,
		},
		"ReadOnlyField": {
			profile(simulator.Profile{ReadOnlyFields: []string{"Task.ActivityDate"}}), demanding("immedio"),
			degraded, streamv1.Reason_REASON_SF_NO_PERMISSION, "tasks", "Task.ActivityDate", configv1.ProbeStatus_PROBE_STATUS_BLOCKED,
		},
		"ProbabilisticEncryption": {
			withLimits(func(o *simulator.Org) { o.Encrypted = map[string]string{"Contact.Email": "probabilistic"} }), demanding(""),
			degraded, streamv1.Reason_REASON_FIELD_ENCRYPTED_PROBABILISTIC, "email_encryption", "Contact.Email", configv1.ProbeStatus_PROBE_STATUS_BLOCKED,
		},
		"DeterministicEncryption": {
			withLimits(func(o *simulator.Org) { o.Encrypted = map[string]string{"Contact.Email": "deterministic"} }), demanding(""),
			ready, 0, "email_encryption", "", configv1.ProbeStatus_PROBE_STATUS_OK,
		},
		"NotAllData": {
			profile(simulator.Profile{NoModifyAll: true}), demanding("walkme"),
			degraded, streamv1.Reason_REASON_SF_NO_PERMISSION, "full_access", "PermissionsModifyAllData", configv1.ProbeStatus_PROBE_STATUS_BLOCKED,
		},
		"AllData": {
			withLimits(func(*simulator.Org) {}), demanding("walkme"),
			ready, 0, "full_access", "PermissionsModifyAllData", configv1.ProbeStatus_PROBE_STATUS_OK,
		},
		"NotAllDataAndNoNeed": {
			profile(simulator.Profile{NoModifyAll: true}), demanding("loom"),
			ready, 0, "edition", "Enterprise Edition", configv1.ProbeStatus_PROBE_STATUS_OK,
		},
		"NoAdministratorForZoom": {
			profile(simulator.Profile{NoModifyAll: true}), demanding("zoom"),
			degraded, streamv1.Reason_REASON_SF_NO_PERMISSION, "full_access", "PermissionsModifyAllData", configv1.ProbeStatus_PROBE_STATUS_BLOCKED,
		},
		"NoPackage": {
			withLimits(func(*simulator.Org) {}), demanding("loom", func(s *configv1.ConnectSettings) { s.NeedsPackage = true }),
			noPackage, 0, "package", "Content__c", configv1.ProbeStatus_PROBE_STATUS_BLOCKED,
		},
		"WithPackage": {
			withLimits(func(o *simulator.Org) { o.Package = true }), demanding("loom", func(s *configv1.ConnectSettings) { s.NeedsPackage = true }),
			ready, 0, "package", "", configv1.ProbeStatus_PROBE_STATUS_OK,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connectable(t)
			sim := newSimulator(t, b, c.org)
			started := b.startConnect(t, options(sim.login("acme"), c.options))
			w := b.browser(t)
			w.header.Set("Accept-Language", "ja")
			page := w.connect(started.GetLink())
			require.Equal(t, http.StatusOK, page.code, page.text)

			s := b.status(t)
			require.Equal(t, c.state, s.GetState(), s)
			require.Equal(t, c.reason, s.GetReason())
			require.Equal(t, "diagnosis", s.GetActor())
			if c.reason != 0 {
				require.Equal(t, c.probe, s.GetCause())
			}
			last, err := b.connects(t, acmeViewer).GetDiagnosis(t.Context(), &configv1.GetDiagnosisRequest{Workspace: "acme", Connection: "main"})
			require.NoError(t, err)
			r := probeOf(t, last.GetDiagnosis(), c.probe)
			require.Equal(t, c.status, r.GetStatus())
			require.Contains(t, r.GetDetail(), c.detail)
			require.Contains(t, page.text, r.GetJa().GetFinding(), "shown on the page, too")
			require.Equal(t, b.clock.Now(), last.GetDiagnosis().GetAt().AsTime())
			require.NotEmpty(t, b.org18(t), "the org is known even if its API is closed")
		})
	}
}

// TestARefreshAtOnceShowsAnAddressRestriction: the browser's address was welcome, and ours is not.
func TestARefreshAtOnceShowsAnAddressRestriction(t *testing.T) {
	t.Attr("requirement", "IMM-3")
	t.Parallel()
	b := connectable(t, func(b *testBundle) { b.cfg.Connect.OutgoingAddresses = []string{"203.0.113.0/28"} })
	sim := newSimulator(t, b)
	sim.refuses("invalid_grant", "ip restricted or invalid login hours")
	started := b.startConnect(t, options(sim.login("acme")))
	require.Equal(t, []string{"203.0.113.0/28"}, started.GetFlow().GetOutgoingAddresses())
	page := b.browser(t).connect(started.GetLink())
	require.Equal(t, http.StatusOK, page.code)
	require.Contains(t, page.text, "Login IP Ranges")
	require.Contains(t, page.text, "203.0.113.0/28", "what to allow")
	s := b.status(t)
	require.Equal(t, degraded, s.GetState())
	require.Equal(t, streamv1.Reason_REASON_SF_IP_RESTRICTED, s.GetReason())
	require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_BLOCKED, probeOf(t, b.diagnosis(t), "policy_ip").GetStatus())

	sim.refuses("", "")
	require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_OK, probeOf(t, b.diagnosis(t), "authorisation").GetStatus())
	require.Equal(t, ready, b.status(t).GetState(), "lifted, and looked at again on demand")
}

func TestAnOrgThatDoesNotAnswerIsNeitherGoodNorBad(t *testing.T) {
	t.Attr("requirement", "LOOM-6")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	require.Equal(t, http.StatusOK, b.browser(t).connect(b.startConnect(t, options(sim.login("acme"))).GetLink()).code)
	sim.away()
	b.clock.Advance(30 * time.Minute) // its token is still good
	d := b.diagnosis(t)
	require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK, probeOf(t, d, "api").GetStatus())
	require.Equal(t, ready, d.GetStatus().GetState())
	b.clock.Advance(2 * time.Hour)
	d = b.diagnosis(t)
	require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK, probeOf(t, d, "authorisation").GetStatus())
	require.Equal(t, ready, d.GetStatus().GetState(), "unreachable is not revoked")
	_, err := b.connects(t, acmeViewer).GetDiagnosis(t.Context(), &configv1.GetDiagnosisRequest{Workspace: "acme", Connection: "none"})
	require.Equal(t, codes.NotFound, status.Code(err))
}

func TestASessionThatEndedIsNotABlockedApp(t *testing.T) {
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	require.Equal(t, http.StatusOK, b.browser(t).connect(b.startConnect(t, options(sim.login("acme"))).GetLink()).code)
	sim.endSessions(t, "acme", false)
	require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_OK, probeOf(t, b.diagnosis(t), "api").GetStatus())
	require.Equal(t, ready, b.status(t).GetState())
}

func TestConnectionsAreDiagnosedDailyAndSoonerInTrouble(t *testing.T) {
	t.Attr("requirement", "LOOM-6")
	t.Parallel()
	b := connectable(t, func(b *testBundle) { b.cfg.Connect.Diagnosis.Tick = 5 * time.Millisecond })
	sim := newSimulator(t, b)
	require.Equal(t, http.StatusOK, b.browser(t).connect(b.startConnect(t, options(sim.login("acme"))).GetLink()).code)
	awaitDiagnosis := func(state configv1.ConnectionState) {
		t.Helper()
		require.Eventually(t, func() bool {
			resp, err := b.connects(t, acmeViewer).GetDiagnosis(t.Context(), &configv1.GetDiagnosisRequest{Workspace: "acme", Connection: "main"})
			return err == nil && resp.GetDiagnosis().GetAt().AsTime().Equal(b.clock.Now()) && resp.GetDiagnosis().GetStatus().GetState() == state
		}, time.Minute, 5*time.Millisecond)
	}
	awaitDiagnosis(ready)

	sim.refuses("app_blocked", "this app is blocked by admin")
	b.clock.Advance(27 * time.Hour) // a day and its jitter
	awaitDiagnosis(degraded)
	require.Equal(t, streamv1.Reason_REASON_SF_APP_BLOCKED, b.status(t).GetReason(), "found without anybody asking")

	sim.refuses("", "")
	b.clock.Advance(b.cfg.Connect.Diagnosis.RecheckMin)
	awaitDiagnosis(ready)
}

func TestNothingIsSwitchedOnThatTheUserMayNotDo(t *testing.T) {
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b, profile(simulator.Profile{
		Objects: map[string][]string{"Task": {"read"}},
	}))
	require.Equal(t, http.StatusOK, b.browser(t).connect(b.startConnect(t, options(sim.login("acme"))).GetLink()).code)
	require.Equal(t, ready, b.status(t).GetState(), "nobody needs tasks yet")
	_, err := b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: rule("acme")})
	require.Equal(t, []string{"integration.actions[0].object"}, fieldsOf(t, err))
	require.ErrorContains(t, err, "SF_NO_PERMISSION")
	require.ErrorContains(t, err, "Edit Tasks", "and where it is changed")
	off := rule("acme")
	off.Enabled = false
	_, err = b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: off})
	require.NoError(t, err, "it may be prepared")
}

func TestARightThatIsThereByNowRefusesNobody(t *testing.T) {
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b, profile(simulator.Profile{HiddenFields: []string{"Task.WhoId"}}))
	require.Equal(t, http.StatusOK, b.browser(t).connect(b.startConnect(t, options(sim.login("acme"))).GetLink()).code)
	require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_BLOCKED, probeOf(t, b.diagnosis(t), "tasks").GetStatus())
	_, err := b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: rule("acme")})
	require.NoError(t, err, "this rule does not set the field")
	require.Equal(t, ready, b.diagnosis(t).GetStatus().GetState(), "and so it is not in its way")
}
