package retain_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/retain"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// fakePurger has rows that are all too old, and remembers before when it was asked to delete.
type fakePurger struct {
	entries, versions int64
	drafts            int64
	err               error
	asked             map[string]time.Time
	spared            []string
	workspaces        []*configv1.Workspace
	unknown           error
	swept             chan struct{}
}

func (f *fakePurger) take(what string, left *int64, before time.Time, limit int) (int64, error) {
	f.asked[what] = before
	n := min(*left, int64(limit))
	*left -= n
	return n, f.err
}

func (f *fakePurger) PurgeAudit(_ context.Context, p store.Purge) (int64, error) {
	f.spared = p.Except
	return f.take("audit", &f.entries, p.Before, p.Limit)
}

func (f *fakePurger) PurgeHistory(_ context.Context, p store.Purge) (int64, error) {
	return f.take("history", &f.versions, p.Before, p.Limit)
}

func (f *fakePurger) PurgeDrafts(_ context.Context, by time.Time, limit int) (int64, error) {
	return f.take("drafts", &f.drafts, by, limit)
}

func (f *fakePurger) PurgeSessions(_ context.Context, before time.Time) error {
	f.asked["sessions"] = before
	if f.swept != nil {
		f.swept <- struct{}{}
	}
	return nil
}

// Workspaces implements retain.Workspaces.
func (f *fakePurger) Workspaces(context.Context) ([]store.Document, error) {
	var docs []store.Document
	for _, ws := range f.workspaces {
		body, err := proto.Marshal(ws)
		if err != nil {
			return nil, err
		}
		docs = append(docs, store.Document{Key: store.Key{Workspace: ws.GetId()}, Body: body})
	}
	return docs, f.unknown
}

func cleaner(f *fakePurger) *retain.Cleaner {
	f.asked = map[string]time.Time{}
	cfg := retain.DefaultConfig()
	cfg.Batch, cfg.Every = 10, time.Millisecond
	return &retain.Cleaner{Config: cfg, Purger: f, Workspaces: f, Lapsed: f, Clock: stagetest.NewClock(epoch), Logger: slog.New(slog.DiscardHandler)}
}

// End implements retain.Lapsed.
func (f *fakePurger) End(_ context.Context, now time.Time) error {
	f.asked["lapsed"] = now
	return nil
}

func TestCleanerForgetsEverythingThatIsTooOldInBatches(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-24")
	t.Attr("requirement", "XC-30")
	f := &fakePurger{entries: 35, versions: 20, drafts: 15}
	require.NoError(t, cleaner(f).Clean(t.Context()))
	require.Zero(t, f.entries)
	require.Zero(t, f.versions)
	require.Zero(t, f.drafts)
	months := epoch.Add(-396 * 24 * time.Hour)
	require.Equal(t, map[string]time.Time{
		"audit": epoch.AddDate(0, 0, -731), "history": months, "sessions": epoch, "drafts": epoch, "lapsed": epoch,
	}, f.asked)
}

func TestNothingUnderALegalHoldIsForgotten(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-30")
	f := &fakePurger{entries: 1, workspaces: []*configv1.Workspace{
		{Id: "acme"}, {Id: "globex", Retention: &configv1.RetentionSettings{LegalHold: true}},
	}}
	require.NoError(t, cleaner(f).Clean(t.Context()))
	require.Equal(t, []string{"globex"}, f.spared)
	f = &fakePurger{entries: 1, unknown: errors.New("the database is away")}
	require.ErrorContains(t, cleaner(f).Clean(t.Context()), "away")
	require.EqualValues(t, 1, f.entries, "whoever is under a hold is not known")
}

func TestCleanerGoesOnWithTheRestAfterAFailure(t *testing.T) {
	t.Parallel()
	f := &fakePurger{entries: 35, err: errors.New("the database is away")}
	require.ErrorContains(t, cleaner(f).Clean(t.Context()), "away")
	require.Len(t, f.asked, 5)
}

func TestCleanerRunsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	f := &fakePurger{err: errors.New("the database is away"), swept: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	c := cleaner(f)
	go func() { defer close(done); c.Run(ctx) }()
	for range 3 {
		<-f.swept
	}
	cancel()
	for {
		select {
		case <-f.swept:
		case <-done:
			return
		}
	}
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	require.NoError(t, retain.DefaultConfig().Validate())
	for key, change := range map[string]func(*retain.Config){
		"entries":   func(c *retain.Config) { c.Entries = time.Hour },
		"24 months": func(c *retain.Config) { c.Entries = 732 * 24 * time.Hour },
		"versions":  func(c *retain.Config) { c.Versions = 366 * 24 * time.Hour },
		"every":     func(c *retain.Config) { c.Every = 0 },
		"batch":     func(c *retain.Config) { c.Batch = 0 },
	} {
		cfg := retain.DefaultConfig()
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), key)
	}
}
