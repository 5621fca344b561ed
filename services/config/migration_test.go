package config_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// TestARetiredVersionIsFoundAtStartUp, against the list of the org, and not a day later.
func TestARetiredVersionIsFoundAtStartUp(t *testing.T) {
	t.Attr("requirement", "XC-43")
	t.Parallel()
	b := prepareCatalogue(t)
	b.cfg.Connect.Diagnosis.Tick = 5 * time.Millisecond
	b.start(t)
	b.connect(t, "acme")
	got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	c := got.GetConnection()
	c.ApiVersion = "50.0"
	_, err = b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: c})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return b.diagnosis(t).GetStatus().GetState() == ready }, time.Minute, 5*time.Millisecond)

	changes := len(b.stateChanges(t))
	b.stop()
	b.clock.Advance(time.Minute)
	b.live.retire(t, "60")
	b.start(t)
	require.Eventually(t, func() bool { return b.state(t) == degraded }, time.Minute, 5*time.Millisecond)
	s := b.status(t)
	require.Equal(t, streamv1.Reason_REASON_SF_API_DISABLED, s.GetReason())
	require.Equal(t, "api_version", s.GetCause())
	require.Equal(t, "50.0", probeOf(t, b.diagnosis(t), "api_version").GetDetail())
	require.Len(t, b.stateChanges(t), changes+1, "told once")
}

// TestTheNewAddressOfAnOrgComesWithItsNextToken: what looks at an org follows it when it moves.
func TestTheNewAddressOfAnOrgComesWithItsNextToken(t *testing.T) {
	t.Attr("requirement", "XC-43")
	t.Parallel()
	b := setupCatalogue(t)
	require.Equal(t, ready, b.diagnosis(t).GetStatus().GetState())
	changes := len(b.stateChanges(t))
	u, err := url.Parse(b.live.server.URL)
	require.NoError(t, err)
	moved := "localhost:" + u.Port()
	require.NoError(t, b.live.sim.Move("acme", moved))
	_, err = b.catalogue.RefreshCatalogue(t.Context(), &configv1.RefreshCatalogueRequest{Workspace: "acme", Connection: "main", Objects: []string{"Task"}})
	require.NoError(t, err)
	access, err := b.service.GetAccessToken(t.Context(), &configv1.GetAccessTokenRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(access.GetInstanceUrl(), "http://"+moved), access.GetInstanceUrl())

	require.NoError(t, b.live.sim.Move("acme", ""))
	require.NoError(t, b.live.sim.Move("acme", u.Host))
	d := b.diagnosis(t)
	require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_OK, probeOf(t, d, "api").GetStatus(), "diagnosis follows as well")
	require.Len(t, b.stateChanges(t), changes, "nobody is told of a move")
}
