package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/simulator"
)

const (
	confirmed    = configv1.ProbeStatus_PROBE_STATUS_OK
	contradicted = configv1.ProbeStatus_PROBE_STATUS_BLOCKED
	unknown      = configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK
)

// state reads where the connection stands, once, while it may be changing.
func (b *testBundle) state(t *testing.T) configv1.ConnectionState {
	t.Helper()
	resp, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	return resp.GetConnection().GetStatus().GetState()
}

// TestAnAppThatEndsItsTokensIsNamed: one authorisation that ends may have been revoked by somebody. When the next ends as soon,
// the app's policy is not what it should be, and it is said while everything still works.
func TestAnAppThatEndsItsTokensIsNamed(t *testing.T) {
	t.Attr("requirement", "LOOM-12")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b)
	tokens := func() configv1.ProbeStatus { return probeOf(t, b.diagnosis(t), "policy_refresh_token").GetStatus() }
	ends := func(after time.Duration) {
		t.Helper()
		b.clock.Advance(after)
		sim.refuses("invalid_grant", "expired access/refresh token")
		require.Equal(t, contradicted, tokens(), "a token that ends so soon was not valid until revoked")
		require.Equal(t, revoked, b.status(t).GetState(), "nothing works, and somebody must log in again")
		sim.refuses("", "")
	}
	b.connected(t, sim)
	require.Equal(t, unknown, tokens())
	ends(48 * time.Hour)
	b.connected(t, sim)
	require.Equal(t, unknown, tokens(), "somebody may have revoked it")
	require.Equal(t, ready, b.status(t).GetState())
	ends(48 * time.Hour)

	b.connected(t, sim)
	require.Equal(t, degraded, b.status(t).GetState())
	require.Equal(t, "policy_refresh_token", b.status(t).GetCause(), "the policy is named")
	require.Equal(t, streamv1.Reason_REASON_UNSPECIFIED, b.status(t).GetReason(), "no reason to keep writes out yet")
	require.NoError(t, b.token(t))
	r := probeOf(t, b.diagnosis(t), "policy_refresh_token")
	require.Contains(t, r.GetEn().GetWhere(), "Refresh Token Policy")
	require.Contains(t, r.GetDetail(), "48h")

	b.clock.Advance(73 * time.Hour) // the policy was mended: this one lives on
	require.Equal(t, unknown, tokens())
	require.Equal(t, ready, b.status(t).GetState())
	b.clock.Advance(40 * 24 * time.Hour)
	require.Equal(t, confirmed, tokens())
}

func TestARefusedAddressAndAnUnapprovedUserNameTheirPolicies(t *testing.T) {
	t.Attr("requirement", "LOOM-12")
	t.Parallel()
	for name, c := range map[string]struct {
		code, says, probe string
		reason            streamv1.Reason
	}{
		"Address": {"invalid_grant", "ip restricted or invalid login hours", "policy_ip", streamv1.Reason_REASON_SF_IP_RESTRICTED},
		"User":    {"invalid_app_access", "user is not admin approved to access this app", "policy_users", streamv1.Reason_REASON_SF_APP_BLOCKED},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connectable(t)
			sim := newSimulator(t, b)
			b.connected(t, sim)
			require.Equal(t, confirmed, probeOf(t, b.diagnosis(t), "policy_ip").GetStatus(), "it was let in from here")
			b.clock.Advance(3 * time.Hour)
			sim.refuses(c.code, c.says)
			d := b.diagnosis(t)
			require.Equal(t, contradicted, probeOf(t, d, c.probe).GetStatus())
			require.Equal(t, degraded, d.GetStatus().GetState())
			require.Equal(t, c.reason, d.GetStatus().GetReason())
			require.Equal(t, c.probe, d.GetStatus().GetCause(), "the policy is named")
			b.clock.Advance(time.Hour)
			require.Equal(t, d.GetStatus().GetSince().AsTime(), b.diagnosis(t).GetStatus().GetSince().AsTime(), "told once")
		})
	}
}

// TestAUserMustBePowerfulEnough: the product demands it, unless the workspace would rather give as few rights as possible.
func TestAUserMustBePowerfulEnough(t *testing.T) {
	t.Attr("requirement", "WALK-3")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b, profile(simulator.Profile{NoModifyAll: true, Objects: map[string][]string{"Task": {"read"}}}))
	b.connected(t, sim, demanding("walkme"))
	require.Equal(t, degraded, b.status(t).GetState())
	require.Equal(t, streamv1.Reason_REASON_SF_NO_PERMISSION, b.status(t).GetReason())
	require.Equal(t, "full_access", b.status(t).GetCause())
	r := probeOf(t, b.diagnosis(t), "full_access")
	require.Equal(t, "PermissionsModifyAllData", r.GetDetail(), "the permission is named")
	require.Contains(t, r.GetEn().GetFinding(), "Modify All Data")

	got, err := b.admin.GetWorkspace(t.Context(), &configv1.GetWorkspaceRequest{Workspace: "acme"})
	require.NoError(t, err)
	ws := got.GetWorkspace()
	ws.AccessCheck = configv1.AccessCheck_ACCESS_CHECK_OBJECTS
	_, err = b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: ws})
	require.NoError(t, err)
	require.Equal(t, ready, b.diagnosis(t).GetStatus().GetState(), "no integration writes anything yet")
	_, err = b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: rule("acme")})
	require.ErrorContains(t, err, "SF_NO_PERMISSION", "the chosen object is asked about all the same")
}

// TestARightThatIsTakenAwayIsFoundByTheDailyLook and is told once.
func TestARightThatIsTakenAwayIsFoundByTheDailyLook(t *testing.T) {
	t.Attr("requirement", "WALK-3")
	t.Parallel()
	b := prepareCatalogue(t)
	b.cfg.Connect.Diagnosis.Tick = 5 * time.Millisecond
	b.start(t)
	b.connect(t, "acme")
	got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	c := got.GetConnection()
	c.Settings = &configv1.ConnectSettings{Source: "walkme"}
	_, err = b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: c})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return b.diagnosis(t).GetStatus().GetState() == ready }, time.Minute, 5*time.Millisecond)

	b.live.change(t, stageField, ", no_modify_all: true")
	b.clock.Advance(27 * time.Hour)
	require.Eventually(t, func() bool { return b.state(t) == degraded }, time.Minute, 5*time.Millisecond)
	since := b.status(t).GetSince().AsTime()
	require.Equal(t, "full_access", b.status(t).GetCause())
	b.clock.Advance(b.cfg.Connect.Diagnosis.RecheckMin)
	b.diagnosis(t)
	require.Equal(t, since, b.status(t).GetSince().AsTime(), "told once")
}
