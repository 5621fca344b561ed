package watch_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/watch"
	"github.com/throughline-dev/throughline/services/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// fakeStore has one workspace, a revision, and announcements that can be lost.
type fakeStore struct {
	mu        sync.Mutex
	revision  int64
	reads     int
	err       error
	deaf      bool
	gone      bool
	announced chan struct{}
}

func newFakeStore() *fakeStore { return &fakeStore{revision: 1, announced: make(chan struct{}, 100)} }

func (f *fakeStore) Revision(context.Context) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.revision, f.err
}

func (f *fakeStore) Snapshot(context.Context, int64) (store.Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	body, err := proto.Marshal(&configv1.Workspace{Id: "acme"})
	if f.gone {
		return store.Snapshot{Revision: f.revision, Lineage: "db", Known: f.revision}, f.err
	}
	return store.Snapshot{Revision: f.revision, Lineage: "db", Known: f.revision, Documents: []store.Document{{
		Key: store.Key{Workspace: "acme", Kind: store.KindWorkspace, ID: "acme"}, Body: body, Sealed: []byte("keys"),
	}}}, errors.Join(err, f.err)
}

func (f *fakeStore) Listen(ctx context.Context, changed func()) error {
	f.mu.Lock()
	deaf := f.deaf
	f.mu.Unlock()
	if deaf {
		return errors.New("the connection broke")
	}
	for {
		select {
		case <-f.announced:
			changed()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *fakeStore) save(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revision++
	f.err = err
	f.announced <- struct{}{}
}

func run(t *testing.T, f *fakeStore, poll time.Duration) *watch.Hub {
	t.Helper()
	hub := watch.New(watch.Config{PollEvery: poll, History: time.Hour, PartBytes: 1 << 20}, watch.Deps{
		Store: f, Clock: stagetest.NewClock(time.Unix(1e9, 0)), Logger: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); hub.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return hub
}

// follow waits until the hub has a revision.
func follow(t *testing.T, hub *watch.Hub, revision int64) *watch.State {
	t.Helper()
	for {
		state, changed := hub.Latest()
		if state != nil && state.Revision() >= revision {
			return state
		}
		select {
		case <-changed:
		case <-time.After(time.Minute):
			t.Fatal("the hub did not follow")
		}
	}
}

// whole decodes what a watcher gets that takes no pieces.
func whole(t *testing.T, state *watch.State) *configv1.Snapshot {
	t.Helper()
	encoded, err := proto.Marshal(state.Whole())
	require.NoError(t, err)
	resp := &configv1.WatchResponse{}
	require.NoError(t, proto.Unmarshal(encoded, resp))
	return resp.GetSnapshot()
}

func TestHubFollowsAnnouncements(t *testing.T) {
	t.Parallel()
	f := newFakeStore()
	hub := run(t, f, time.Hour)
	require.Equal(t, "keys", string(whole(t, follow(t, hub, 1)).GetWorkspaces()[0].GetSealedKeys()))
	for range 5 {
		f.save(nil)
	}
	follow(t, hub, 6)
}

func TestHubPollsWhileItCannotListen(t *testing.T) {
	t.Parallel()
	f := newFakeStore()
	f.deaf = true
	hub := run(t, f, time.Millisecond)
	follow(t, hub, 1)
	f.save(nil)
	follow(t, hub, 2)
}

func TestHubKeepsWhatItHasWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	f := newFakeStore()
	hub := run(t, f, time.Millisecond)
	follow(t, hub, 1)
	f.save(errors.New("the database is away"))
	_, _, err := hub.Current(t.Context())
	require.Error(t, err)
	require.Equal(t, int64(1), follow(t, hub, 1).Revision())
	f.save(nil)
	follow(t, hub, 3)
}

func TestHubReadsASnapshotOncePerRevision(t *testing.T) {
	t.Parallel()
	f := newFakeStore()
	hub := run(t, f, time.Hour)
	follow(t, hub, 1)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, _, err := hub.Current(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Equal(t, 1, f.reads)
}

// answers decodes what a watcher gets that takes pieces.
func answers(t *testing.T, responses []*configv1.WatchResponse) (parts []*configv1.SnapshotPart) {
	t.Helper()
	for _, r := range responses {
		encoded, err := proto.Marshal(r)
		require.NoError(t, err)
		resp := &configv1.WatchResponse{}
		require.NoError(t, proto.Unmarshal(encoded, resp))
		parts = append(parts, resp.GetPart())
	}
	for n, p := range parts {
		require.Equal(t, n == len(parts)-1, p.GetLast())
	}
	return parts
}

func TestOnlyAWatcherOfTheSameDatabaseIsToldOfChangesAlone(t *testing.T) {
	t.Parallel()
	f := newFakeStore()
	hub := run(t, f, time.Hour)
	first := follow(t, hub, 1)
	f.save(nil)
	second := follow(t, hub, 2)
	require.Empty(t, answers(t, second.Since(1, first.Lineage()))[0].GetWorkspaces(), "the bytes are the same: nothing changed")
	for name, parts := range map[string][]*configv1.SnapshotPart{
		"has nothing":              answers(t, second.Since(0, "")),
		"of another database":      answers(t, second.Since(1, "another")),
		"of a later revision":      answers(t, second.Since(3, first.Lineage())),
		"did not say which":        answers(t, second.Since(1, "")),
		"asks twice, from a cache": answers(t, second.Since(0, "")),
	} {
		require.Len(t, parts, 1, name)
		require.Zero(t, parts[0].GetSince(), name)
		require.Equal(t, int64(2), parts[0].GetRevision(), name)
		require.Len(t, parts[0].GetWorkspaces(), 1, name)
	}
}

func TestAWorkspaceThatIsGoneIsToldOf(t *testing.T) {
	t.Parallel()
	f := newFakeStore()
	hub := run(t, f, time.Hour)
	first := follow(t, hub, 1)
	f.mu.Lock()
	f.gone = true
	f.mu.Unlock()
	f.save(nil)
	part := answers(t, follow(t, hub, 2).Since(1, first.Lineage()))[0]
	require.Equal(t, []string{"acme"}, part.GetRemoved())
	require.Equal(t, int64(1), part.GetSince())
}
