package config_test

import (
	"context"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/throughline-dev/throughline/libs/addrtest"
	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

func (b *testBundle) watch(t *testing.T, revision int64) configv1.ConfigService_WatchClient {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	stream, err := b.service.Watch(ctx, &configv1.WatchRequest{Revision: revision})
	require.NoError(t, err)
	return stream
}

func receive(t *testing.T, stream configv1.ConfigService_WatchClient) *configv1.Snapshot {
	t.Helper()
	resp, err := stream.Recv()
	require.NoError(t, err)
	return resp.GetSnapshot()
}

func (b *testBundle) setContent(t *testing.T, id string) {
	t.Helper()
	_, err := b.admin.PutContentSetting(t.Context(), &configv1.PutContentSettingRequest{
		Setting: &configv1.ContentSetting{Workspace: "acme", ContentId: id},
	})
	require.NoError(t, err)
}

func TestWatch(t *testing.T) {
	t.Parallel()

	t.Run("BeginsWithEverything", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.Empty(t, receive(t, b.watch(t, 0)).GetWorkspaces(), "nothing is something to know, too")
		b.workspace(t, "acme")
		_, err := b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: rule("acme")})
		require.NoError(t, err)
		b.setContent(t, "v")
		snapshot := receive(t, b.watch(t, 0))
		require.Len(t, snapshot.GetWorkspaces(), 1)
		ws := snapshot.GetWorkspaces()[0]
		require.NotEmpty(t, ws.GetSealedKeys())
		require.Len(t, ws.GetConnections(), 1)
		require.Len(t, ws.GetIntegrations(), 1)
		require.Len(t, ws.GetContentSettings(), 1)
		_, err = settings.NewView(snapshot, b.deps.Installation)
		require.NoError(t, err)
	})

	t.Run("BringsChangesInOrder", func(t *testing.T) {
		t.Attr("requirement", "XC-22")
		t.Parallel()
		b := setup(t)
		b.workspace(t, "acme")
		stream := b.watch(t, 0)
		last := receive(t, stream)
		const saves = 50
		go func() {
			for i := range saves {
				_, _ = b.admin.PutContentSetting(context.Background(), &configv1.PutContentSettingRequest{
					Setting: &configv1.ContentSetting{Workspace: "acme", ContentId: strconv.Itoa(i)},
				})
			}
		}()
		for len(last.GetWorkspaces()[0].GetContentSettings()) < saves {
			next := receive(t, stream)
			require.Greater(t, next.GetRevision(), last.GetRevision())
			last = next
		}
	})

	t.Run("GoesOnFromARevision", func(t *testing.T) {
		t.Attr("requirement", "XC-22")
		t.Parallel()
		b := setup(t)
		b.workspace(t, "acme")
		now := receive(t, b.watch(t, 0)).GetRevision()
		stream := b.watch(t, now)
		b.setContent(t, "v")
		require.Equal(t, now+1, receive(t, stream).GetRevision(), "the first answer is the first that is newer")
	})

	t.Run("EndsWhenTheServiceStops", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		stream := b.watch(t, 0)
		receive(t, stream)
		b.stop()
		_, err := stream.Recv()
		require.Equal(t, codes.Unavailable, status.Code(err))
	})

	t.Run("LeavesOutVersionsNoEventNeedsAnyMore", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.workspace(t, "acme")
		i := rule("acme")
		for range 3 { // in force from day 0, 20 and 40
			resp, err := b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: i})
			require.NoError(t, err)
			i = resp.GetIntegration()
			b.clock.Advance(20 * 24 * time.Hour)
		}
		b.setContent(t, "v") // day 60: the history of 31 days begins at day 29
		var versions []int64
		for _, i := range receive(t, b.watch(t, 0)).GetWorkspaces()[0].GetIntegrations() {
			versions = append(versions, i.GetVersion())
		}
		require.Equal(t, []int64{2, 3}, versions)
	})
}

func TestASettingsClientFollowsTheService(t *testing.T) {
	t.Attr("requirement", "XC-23")
	t.Parallel()
	b := prepare(t)
	b.cfg.Listen = addrtest.Free(t) // the service goes away and comes back there
	b.start(t)
	b.workspace(t, "acme")
	client, err := settings.NewClient(settings.Config{
		Target: b.svc.Addr(), Token: secret.New(serviceToken), SavePath: filepath.Join(t.TempDir(), "settings"),
		RetryMin: time.Millisecond, RetryMax: 50 * time.Millisecond,
	}, settings.Deps{Installation: b.deps.Installation})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- client.Run(ctx) }()
	defer func() { cancel(); require.NoError(t, <-done) }()
	view, err := client.WaitReady(t.Context())
	require.NoError(t, err)
	_, ok := view.Workspace("acme")
	require.True(t, ok)

	b.stop()
	require.NoError(t, client.Ready(), "config is away, the view stays")
	b.start(t)
	b.setContent(t, "v")
	require.Eventually(t, func() bool {
		ws, ok := client.View().Workspace("acme")
		return ok && !ws.Tracking("v")
	}, time.Minute, time.Millisecond)
}

func TestServiceStress(t *testing.T) {
	t.Parallel()
	b := prepare(t)
	for range 20 {
		b.start(t)
		b.stop()
		b.stop()
	}
	svc, err := config.New(b.cfg, b.deps)
	require.NoError(t, err)
	require.Error(t, svc.Ready())
	require.NoError(t, svc.Close(), "a service that never ran")
	require.NoError(t, svc.Close())
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for key, change := range map[string]func(*config.Config){
		"database":          func(c *config.Config) { c.Database.SQLitePath = "" },
		"callers[0].role":   func(c *config.Config) { c.Callers[0].Role = "king" },
		"callers[4].worksp": func(c *config.Config) { c.Callers[4].Workspace = "acme" },
		"callers[0].token":  func(c *config.Config) { c.Callers[0].Token = secret.String{} },
		"shorter than 16":   func(c *config.Config) { c.Callers[0].Token = secret.New("short") },
		"tls: 0.0.0.0":      func(c *config.Config) { c.Listen = "0.0.0.0:1" },
		"tls.cert_file":     func(c *config.Config) { c.TLS.CertFile = "x" },
		"tls.client_ca":     func(c *config.Config) { c.TLS.ClientCAFile = "x" },
		"access_tokens.":    func(c *config.Config) { c.AccessTokens.Lease = 0 },
		"run_log.":          func(c *config.Config) { c.RunLog.Stage.BatchRecords = 0 },
		"run_log.retention": func(c *config.Config) { c.RunLog.Retention.Rows = 0 },
		"max_request_bytes": func(c *config.Config) { c.MaxRequestBytes = 0 },
		"poll_every":        func(c *config.Config) { c.PollEvery = time.Minute },
	} {
		b := prepare(t)
		change(&b.cfg)
		_, err := config.New(b.cfg, b.deps)
		require.ErrorContains(t, err, key)
	}
	b := prepare(t)
	b.deps.Installation = nil
	_, err := config.New(b.cfg, b.deps)
	require.ErrorContains(t, err, "installation")
}
