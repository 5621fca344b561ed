package settings_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/addrtest"
	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/leaktest"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// watchServer serves Watch only: the newest snapshot at once and after every change.
type watchServer struct {
	configv1.UnimplementedConfigServiceServer

	mu       sync.Mutex
	snapshot *configv1.Snapshot
	changed  chan struct{}
	tokens   []string
	from     []int64
}

func (s *watchServer) set(snapshot *configv1.Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snapshot = snapshot
	if s.changed != nil {
		close(s.changed)
	}
	s.changed = make(chan struct{})
}

func (s *watchServer) Watch(req *configv1.WatchRequest, stream grpc.ServerStreamingServer[configv1.WatchResponse]) error {
	md, _ := metadata.FromIncomingContext(stream.Context())
	s.mu.Lock()
	s.tokens = append(s.tokens, md.Get("authorization")...)
	s.from = append(s.from, req.GetRevision())
	s.mu.Unlock()
	sent := req.GetRevision()
	for {
		s.mu.Lock()
		snapshot, changed := s.snapshot, s.changed
		s.mu.Unlock()
		if snapshot.GetRevision() != sent {
			if err := stream.Send(&configv1.WatchResponse{Snapshot: snapshot}); err != nil {
				return err
			}
			sent = snapshot.GetRevision()
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

type clientBundle struct {
	server  *watchServer
	builder *settingstest.Builder
	cfg     settings.Config
	deps    settings.Deps
	addr    string
}

func setupClient(t *testing.T) *clientBundle {
	t.Helper()
	b := &clientBundle{server: &watchServer{}, builder: settingstest.New(t).Workspace("acme")}
	b.server.set(b.builder.Snapshot())
	b.addr = addrtest.Free(t)
	b.cfg = settings.Config{
		Target: b.addr, Token: secret.New("t0ken"), SavePath: filepath.Join(t.TempDir(), "data", "settings"),
		RetryMin: time.Millisecond, RetryMax: 20 * time.Millisecond,
	}
	b.deps = settings.Deps{Installation: b.builder.Installation()}
	return b
}

// serve runs the config service until the returned function is called.
func (b *clientBundle) serve(t *testing.T) (stop func()) {
	t.Helper()
	return b.serveOther(t, b.server)
}

func (b *clientBundle) serveOther(t *testing.T, server configv1.ConfigServiceServer) (stop func()) {
	t.Helper()
	lis, err := net.Listen("tcp", b.addr)
	require.NoError(t, err)
	srv := grpc.NewServer()
	configv1.RegisterConfigServiceServer(srv, server)
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(lis) }()
	stop = sync.OnceFunc(func() { srv.Stop(); <-done })
	t.Cleanup(stop)
	return stop
}

// run starts a client and returns it with a function that stops it and waits.
func (b *clientBundle) run(t *testing.T) (*settings.Client, func()) {
	t.Helper()
	c, err := settings.NewClient(b.cfg, b.deps)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop := sync.OnceFunc(func() { cancel(); require.NoError(t, <-done) })
	t.Cleanup(stop)
	return c, stop
}

func waitRevision(t *testing.T, c *settings.Client, revision int64) {
	t.Helper()
	require.Eventually(t, func() bool { v := c.View(); return v != nil && v.Revision() == revision },
		2*time.Minute, time.Millisecond)
}

func TestClientFollowsChanges(t *testing.T) {
	t.Parallel()
	b := setupClient(t)
	b.serve(t)
	c, _ := b.run(t)

	view, err := c.WaitReady(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(1), view.Revision())
	require.NoError(t, c.Ready())

	b.server.set(b.builder.Revision(2).Workspace("globex").Snapshot())
	waitRevision(t, c, 2)
	_, ok := view.Workspace("globex")
	require.False(t, ok, "a view in use never changes")
	b.server.mu.Lock()
	defer b.server.mu.Unlock()
	require.Equal(t, []string{"Bearer t0ken"}, b.server.tokens)
}

func TestClientReconnectsWithItsRevision(t *testing.T) {
	t.Attr("requirement", "XC-22")
	t.Parallel()
	b := setupClient(t)
	stop := b.serve(t)
	c, _ := b.run(t)
	waitRevision(t, c, 1)

	stop()
	b.server.set(b.builder.Revision(9).Snapshot())
	require.Equal(t, int64(1), c.View().Revision(), "goes on with what it has")
	b.serve(t)
	waitRevision(t, c, 9)
	b.server.mu.Lock()
	defer b.server.mu.Unlock()
	require.Equal(t, []int64{0, 1}, b.server.from)
}

func TestClientStartsFromTheSavedSnapshot(t *testing.T) {
	t.Attr("requirement", "XC-23")
	t.Parallel()
	b := setupClient(t)
	stopServer := b.serve(t)
	c, stopClient := b.run(t)
	waitRevision(t, c, 1)
	stopClient()
	stopServer()

	again, _ := b.run(t)
	view, err := again.WaitReady(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(1), view.Revision())
	_, ok := view.Workspace("acme")
	require.True(t, ok)

	saved, err := os.ReadFile(b.cfg.SavePath)
	require.NoError(t, err)
	require.NotContains(t, string(saved), "acme")
	entries, err := os.ReadDir(filepath.Dir(b.cfg.SavePath))
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file stays behind")
}

func TestClientWaitsWithoutConfigAndWithoutASavedSnapshot(t *testing.T) {
	t.Attr("requirement", "XC-23")
	t.Parallel()
	b := setupClient(t)
	c, _ := b.run(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.WaitReady(ctx)
	require.ErrorIs(t, err, settings.ErrNoSettings)
	require.ErrorIs(t, c.Ready(), settings.ErrNoSettings)
	require.Nil(t, c.View())

	b.serve(t)
	waitRevision(t, c, 1)
}

// inParts serves pieces as they are given, whatever they are.
type inParts struct {
	configv1.UnimplementedConfigServiceServer

	mu       sync.Mutex
	requests []*configv1.WatchRequest
	answer   func(n int) []*configv1.SnapshotPart
}

func (s *inParts) Watch(req *configv1.WatchRequest, stream grpc.ServerStreamingServer[configv1.WatchResponse]) error {
	s.mu.Lock()
	s.requests = append(s.requests, req)
	parts := s.answer(len(s.requests))
	s.mu.Unlock()
	for _, p := range parts {
		if err := stream.Send(&configv1.WatchResponse{Part: p}); err != nil {
			return err
		}
	}
	if parts != nil {
		return nil // the stream ends, whether or not the pieces were all
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}

// asked waits until the client has asked n times and returns what it asked last.
func (s *inParts) asked(t *testing.T, n int) *configv1.WatchRequest {
	t.Helper()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.requests) >= n
	}, time.Minute, time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[n-1]
}

func TestClientTakesOnlyPiecesThatBelongTogether(t *testing.T) {
	t.Parallel()
	b := setupClient(t)
	snapshot := b.builder.Connection("main").Workspace("globex").Snapshot()
	acme, globex := snapshot.GetWorkspaces()[0], snapshot.GetWorkspaces()[1]
	begin := &configv1.WorkspaceSnapshot{Workspace: acme.GetWorkspace(), SealedKeys: acme.GetSealedKeys()}
	rest := &configv1.WorkspaceSnapshot{Connections: acme.GetConnections()}
	piece := func(p *configv1.SnapshotPart, ws ...*configv1.WorkspaceSnapshot) *configv1.SnapshotPart {
		p.Lineage, p.Workspaces = "db", ws
		return p
	}
	server := &inParts{answer: func(n int) []*configv1.SnapshotPart {
		switch n {
		case 1: // breaks off before the last piece
			return []*configv1.SnapshotPart{piece(&configv1.SnapshotPart{Revision: 5}, begin)}
		case 2: // another revision's piece between
			return []*configv1.SnapshotPart{
				piece(&configv1.SnapshotPart{Revision: 5}, begin), piece(&configv1.SnapshotPart{Revision: 6, Last: true}, rest),
			}
		case 3: // continues nothing
			return []*configv1.SnapshotPart{piece(&configv1.SnapshotPart{Revision: 5, Last: true}, rest)}
		case 4: // adds to what the client has not got
			return []*configv1.SnapshotPart{piece(&configv1.SnapshotPart{Revision: 5, Since: 4, Last: true}, begin)}
		case 5:
			return []*configv1.SnapshotPart{
				piece(&configv1.SnapshotPart{Revision: 5}, begin), piece(&configv1.SnapshotPart{Revision: 5, Last: true}, rest, globex),
			}
		case 6:
			return []*configv1.SnapshotPart{{Revision: 7, Since: 5, Removed: []string{"globex"}, Last: true, Lineage: "db"}}
		}
		return nil
	}}
	b.serveOther(t, server)
	c, stop := b.run(t)
	for n := range 5 {
		require.Zero(t, server.asked(t, n+1).GetRevision(), "nothing was taken so far")
	}
	require.Equal(t, int64(5), server.asked(t, 6).GetRevision())
	require.Equal(t, "db", server.asked(t, 6).GetLineage())
	require.Equal(t, int64(7), server.asked(t, 7).GetRevision())
	require.Len(t, c.View().Workspaces(), 1)
	ws, ok := c.View().Workspace("acme")
	require.True(t, ok)
	require.Len(t, ws.Connections(), 1)

	stop()
	again, _ := b.run(t)
	request := server.asked(t, 8)
	require.Equal(t, int64(7), request.GetRevision(), "a saved snapshot is gone on from")
	require.Equal(t, "db", request.GetLineage())
	require.Len(t, again.View().Workspaces(), 1)
}

func TestClientRefusesMoreThanItsLimit(t *testing.T) {
	t.Parallel()
	b := setupClient(t)
	b.cfg.MaxSnapshotBytes = 1 << 20
	ws := b.builder.Snapshot().GetWorkspaces()[0]
	ws.Workspace.Name = strings.Repeat("x", 600<<10)
	server := &inParts{answer: func(int) []*configv1.SnapshotPart {
		return []*configv1.SnapshotPart{
			{Revision: 2, Workspaces: []*configv1.WorkspaceSnapshot{ws}},
			{Revision: 2, Workspaces: []*configv1.WorkspaceSnapshot{ws}, Last: true},
		}
	}}
	b.serveOther(t, server)
	c, _ := b.run(t)
	server.asked(t, 3)
	require.Nil(t, c.View())
}

// stopper ends a client at the moment at which settings have come and are not saved yet, and lets whatever ends by that end first.
type stopper struct {
	slog.Handler
	stop func()
}

func (stopper) Enabled(context.Context, slog.Level) bool { return true }

func (s stopper) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "settings received" {
		s.stop()
		for range 1000 {
			runtime.Gosched()
		}
	}
	return s.Handler.Handle(ctx, r)
}

func TestClientThatIsStoppedSavesWhatItGotLast(t *testing.T) {
	t.Attr("requirement", "XC-23")
	t.Parallel()
	b := setupClient(t)
	b.serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.deps.Logger = slog.New(stopper{slog.DiscardHandler, cancel})
	c, err := settings.NewClient(b.cfg, b.deps)
	require.NoError(t, err)
	require.NoError(t, c.Run(ctx))
	require.Equal(t, int64(1), c.View().Revision())
	require.FileExists(t, b.cfg.SavePath, "a restart while config is away has nothing else")
}

func TestClientIgnoresADamagedSavedSnapshot(t *testing.T) {
	t.Parallel()
	b := setupClient(t)
	require.NoError(t, os.MkdirAll(filepath.Dir(b.cfg.SavePath), 0o700))
	require.NoError(t, os.WriteFile(b.cfg.SavePath, []byte("garbage"), 0o600))
	b.serve(t)
	c, _ := b.run(t)
	waitRevision(t, c, 1)
}

func TestClientKeepsTheLastGoodViewWhenANewOneDoesNotOpen(t *testing.T) {
	t.Parallel()
	b := setupClient(t)
	b.serve(t)
	c, _ := b.run(t)
	waitRevision(t, c, 1)

	foreign := settingstest.New(t).Revision(2).Workspace("acme").Snapshot() // sealed by another installation
	b.server.set(foreign)
	require.Eventually(t, func() bool {
		b.server.mu.Lock()
		defer b.server.mu.Unlock()
		return len(b.server.from) > 2
	}, time.Minute, time.Millisecond, "tries again")
	require.Equal(t, int64(1), c.View().Revision())

	b.server.set(b.builder.Revision(3).Snapshot())
	waitRevision(t, c, 3)
}

func TestOneWorkspacesUnreadableKeysKeepNothingFromTheOthers(t *testing.T) {
	t.Parallel()
	b := setupClient(t)
	b.builder.Workspace("globex")
	b.serve(t)
	c, stop := b.run(t)
	waitRevision(t, c, 1)
	acme, _ := c.View().Workspace("acme")
	sealed, err := acme.Keys().Seal([]byte("aoi@example.jp"))
	require.NoError(t, err)
	var saved []byte
	require.Eventually(t, func() bool {
		saved, err = os.ReadFile(b.cfg.SavePath)
		return err == nil
	}, time.Minute, time.Millisecond, "is saved")

	damaged := proto.CloneOf(b.builder.Revision(2).Workspace("initech").Snapshot())
	damaged.Workspaces[0].SealedKeys = damaged.Workspaces[1].SealedKeys // keys of another workspace are none
	b.server.set(damaged)
	waitRevision(t, c, 2)
	_, ok := c.View().Workspace("initech")
	require.True(t, ok, "the others get what is new")
	acme, ok = c.View().Workspace("acme")
	require.True(t, ok, "its events are not refused as unknown")
	_, err = acme.Keys().Open(sealed)
	require.NoError(t, err)
	after, err := os.ReadFile(b.cfg.SavePath)
	require.NoError(t, err)
	require.Equal(t, saved, after, "a restart begins with keys that open")
	stop()

	c, _ = b.run(t)
	waitRevision(t, c, 2)
	_, ok = c.View().Workspace("acme")
	require.True(t, ok, "also after a restart")

	unknown := proto.CloneOf(b.builder.Revision(3).Workspace("umbrella").Snapshot())
	unknown.Workspaces[3].SealedKeys = nil
	b.server.set(unknown)
	require.Eventually(t, func() bool {
		b.server.mu.Lock()
		defer b.server.mu.Unlock()
		return len(b.server.from) > 4
	}, time.Minute, time.Millisecond, "tries again")
	require.Equal(t, int64(2), c.View().Revision(), "a view without a workspace would refuse its events")
}

func TestClientStress(t *testing.T) {
	t.Parallel()
	b := setupClient(t)
	b.serve(t)
	for range 50 {
		c, stop := b.run(t)
		_, err := c.WaitReady(t.Context())
		require.NoError(t, err)
		stop()
	}
}

func TestNewClientChecksItsConfig(t *testing.T) {
	t.Parallel()

	inst, err := seal.NewInstallation()
	require.NoError(t, err)
	for key, cfg := range map[string]settings.Config{
		"target":     {},
		"retry_max":  {Target: "127.0.0.1:1", RetryMin: time.Second, RetryMax: time.Millisecond},
		"tls.":       {Target: "config:9090"},
		"tls.ca":     {Target: "config:9090", TLS: settings.TLSConfig{CAFile: "/does/not/exist"}},
		"key_file":   {Target: "config:9090", TLS: settings.TLSConfig{CertFile: "x"}},
		"max_snapsh": {Target: "127.0.0.1:1", MaxSnapshotBytes: 1},
	} {
		_, err := settings.NewClient(cfg, settings.Deps{Installation: inst})
		require.ErrorContains(t, err, key)
	}
	_, err = settings.NewClient(settings.Config{Target: "127.0.0.1:1"}, settings.Deps{})
	require.ErrorContains(t, err, "installation's key")
}
