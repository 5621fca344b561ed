package config_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/addrtest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// flaky is a connection whose watches break after a few messages, wherever that is, and that reads what it lets through.
type flaky struct {
	grpc.ClientConnInterface
	random *rand.Rand

	mu sync.Mutex
	// had is the last revision that came whole, broken counts streams, largest is the size of the largest message.
	had     int64
	broken  int
	largest int
	wrong   error
}

func (f *flaky) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := f.ClientConnInterface.NewStream(ctx, desc, method, opts...)
	f.mu.Lock()
	defer f.mu.Unlock()
	// Streams last longer by and by: one that never lasts for all pieces of a revision brings none of it.
	return &flakyStream{ClientStream: stream, conn: f, cancel: cancel, left: f.random.IntN(6 + f.broken/4)}, err
}

func (f *flaky) seen() (largest, broken int, wrong error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.largest, f.broken, f.wrong
}

type flakyStream struct {
	grpc.ClientStream
	conn   *flaky
	cancel context.CancelFunc
	left   int
}

func (s *flakyStream) RecvMsg(m any) error {
	if err := s.ClientStream.RecvMsg(m); err != nil {
		s.cancel()
		return err
	}
	return s.conn.pass(s, m)
}

func (f *flaky) pass(s *flakyStream, m any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.left--; s.left < 0 {
		f.broken++
		s.cancel()
		return status.Error(codes.Unavailable, "the network broke")
	}
	resp, ok := m.(*configv1.WatchResponse)
	if !ok {
		return nil
	}
	part := resp.GetPart()
	f.largest = max(f.largest, proto.Size(resp))
	if part.GetSince() != 0 && part.GetSince() != f.had {
		f.wrong = fmt.Errorf("revision %d is to be added to %d, the watcher has %d", part.GetRevision(), part.GetSince(), f.had)
	}
	if part.GetRevision() <= f.had {
		f.wrong = fmt.Errorf("revision %d came after %d", part.GetRevision(), f.had)
	}
	if part.GetLast() {
		f.had = part.GetRevision()
	}
	return nil
}

// editor changes settings at random.
type editor struct {
	b            *testBundle
	random       *rand.Rand
	integrations map[string]*configv1.Integration
}

func (e *editor) edit(t *testing.T) {
	t.Helper()
	ws := fmt.Sprintf("ws-%d", e.random.IntN(4))
	if _, known := e.integrations[ws]; !known {
		e.b.workspace(t, ws)
		e.integrations[ws] = rule(ws)
	}
	switch e.random.IntN(6) {
	case 0:
		_, err := e.b.admin.CreateApiKey(t.Context(), &configv1.CreateApiKeyRequest{
			Key: &configv1.ApiKey{Workspace: ws, Id: fmt.Sprint("key-", e.random.Uint64())},
		})
		require.NoError(t, err)
		return
	case 1:
		e.b.clock.Advance(20 * 24 * time.Hour) // old versions of integrations go
	case 2, 3:
		_, err := e.b.admin.PutContentSetting(t.Context(), &configv1.PutContentSettingRequest{
			Setting: &configv1.ContentSetting{Workspace: ws, ContentId: fmt.Sprint("video-", e.random.Uint64())},
		})
		require.NoError(t, err)
		return
	}
	resp, err := e.b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: e.integrations[ws]})
	require.NoError(t, err)
	_, err = e.b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: e.integrations[ws]})
	require.Equal(t, codes.Aborted, status.Code(err), "a stale version")
	e.integrations[ws] = resp.GetIntegration()
}

// TestWatchersMissNothing lets watchers whose connections break at random moments, also between the pieces of one revision,
// follow random changes, while the service is restarted now and again. In the end each has what a new watcher gets.
func TestWatchersMissNothing(t *testing.T) {
	t.Attr("requirement", "XC-22")
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("Seed", seed), func(t *testing.T) {
			t.Parallel()
			missNothing(t, rand.New(rand.NewPCG(seed, 7))) //nolint:gosec // repeatable
		})
	}
}

func missNothing(t *testing.T, random *rand.Rand) {
	t.Helper()
	b := prepare(t)
	b.cfg.WatchPartBytes = 1 << 10
	b.cfg.PollEvery = config.DefaultConfig().PollEvery
	b.cfg.Listen = addrtest.Free(t) // the service goes away and comes back there
	b.start(t)
	e := &editor{b: b, random: random, integrations: map[string]*configv1.Integration{}}
	conns, clients := b.flakyWatchers(t, random, 3)
	for range 40 {
		e.edit(t)
		if random.IntN(12) == 0 {
			b.stop()
			b.start(t)
		}
	}
	_, err := b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{Id: "NOT AN ID", Name: "x"}})
	require.Equal(t, []string{"workspace.id"}, fieldsOf(t, err), "refused with the fields that are wrong")

	want, broken := receive(t, b.watch(t, 0)), 0
	for n, c := range clients {
		require.Eventually(t, func() bool { v := c.View(); return v != nil && v.Revision() >= want.GetRevision() },
			2*time.Minute, time.Millisecond, "watcher %d has %v of %d", n, c.View(), want.GetRevision())
		requireSame(t, b, want, c.View())
		largest, times, wrong := conns[n].seen()
		require.NoError(t, wrong)
		require.LessOrEqual(t, largest, 2*b.cfg.WatchPartBytes, "a large workspace comes in pieces")
		broken += times
	}
	require.Positive(t, broken, "connections did break")
}

// flakyWatchers run until the test ends.
func (b *testBundle) flakyWatchers(t *testing.T, random *rand.Rand, n int) ([]*flaky, []*settings.Client) {
	t.Helper()
	conns, clients := make([]*flaky, n), make([]*settings.Client, n)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, n)
	for i := range n {
		conns[i] = &flaky{
			ClientConnInterface: b.dial(t, serviceToken),
			random:              rand.New(rand.NewPCG(random.Uint64(), 1)), //nolint:gosec // repeatable
		}
		var err error
		clients[i], err = settings.NewClient(settings.Config{
			Target: b.svc.Addr(), RetryMin: time.Millisecond, RetryMax: 20 * time.Millisecond,
		}, settings.Deps{Installation: b.deps.Installation, Conn: conns[i]})
		require.NoError(t, err)
		go func() { done <- clients[i].Run(ctx) }()
	}
	t.Cleanup(func() {
		cancel()
		for range n {
			require.NoError(t, <-done)
		}
	})
	return conns, clients
}

// requireSame compares a view with what a new watcher gets.
func requireSame(t *testing.T, b *testBundle, want *configv1.Snapshot, got *settings.View) {
	t.Helper()
	fresh, err := settings.NewView(want, b.deps.Installation)
	require.NoError(t, err)
	require.Equal(t, fresh.Revision(), got.Revision())
	require.Len(t, got.Workspaces(), len(fresh.Workspaces()))
	for n, w := range fresh.Workspaces() {
		have := got.Workspaces()[n]
		require.True(t, proto.Equal(w.Proto(), have.Proto()), w.ID())
		require.Len(t, have.Connections(), len(w.Connections()))
		for i, c := range w.Connections() {
			require.True(t, proto.Equal(c, have.Connections()[i]), w.ID())
		}
		now := b.clock.Now()
		require.Len(t, have.IntegrationsAt(now), len(w.IntegrationsAt(now)))
		for i, rule := range w.IntegrationsAt(now) {
			require.True(t, proto.Equal(rule, have.IntegrationsAt(now)[i]), w.ID())
		}
		for _, k := range want.GetWorkspaces()[n].GetApiKeys() {
			key, ok := have.APIKey(k.GetId())
			require.True(t, ok && proto.Equal(k, key), w.ID())
		}
		for _, c := range want.GetWorkspaces()[n].GetContentSettings() {
			require.Equal(t, c.GetTracking(), have.Tracking(c.GetContentId()), c.GetContentId())
		}
	}
}

// TestManyIntegrationsPassGRPCsDefaultLimit has 10,000 integrations in one workspace.
func TestManyIntegrationsPassGRPCsDefaultLimit(t *testing.T) {
	t.Parallel()
	const many, defaultLimit = 10_000, 4 << 20
	b := setup(t)
	b.workspace(t, "acme")
	b.fill(t, many)
	plain, err := grpc.NewClient(b.svc.Addr(), insecureWith(serviceToken)...)
	require.NoError(t, err)
	defer func() { require.NoError(t, plain.Close()) }()
	stream, err := configv1.NewConfigServiceClient(plain).Watch(t.Context(), &configv1.WatchRequest{Parts: true})
	require.NoError(t, err)
	received := 0
	for last := false; !last; {
		resp, err := stream.Recv()
		require.NoError(t, err)
		require.Less(t, proto.Size(resp), defaultLimit)
		for _, ws := range resp.GetPart().GetWorkspaces() {
			received += len(ws.GetIntegrations())
		}
		last = resp.GetPart().GetLast()
	}
	require.Equal(t, many, received)

	old, err := configv1.NewConfigServiceClient(plain).Watch(t.Context(), &configv1.WatchRequest{})
	require.NoError(t, err)
	_, err = old.Recv()
	require.Equal(t, codes.ResourceExhausted, status.Code(err), "a watcher that takes no pieces must raise its limit")
	require.Len(t, receive(t, b.watch(t, 0)).GetWorkspaces()[0].GetIntegrations(), many, "as ours did")

	client, err := settings.NewClient(settings.Config{Target: b.svc.Addr()},
		settings.Deps{Installation: b.deps.Installation, Conn: plain})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- client.Run(ctx) }()
	view, err := client.WaitReady(t.Context())
	require.NoError(t, err)
	ws, ok := view.Workspace("acme")
	require.True(t, ok)
	require.Len(t, ws.IntegrationsAt(b.clock.Now()), many)
	cancel()
	require.NoError(t, errors.Join(<-done))
}
