package watch

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/plan"
)

// Store is what the hub reads.
type Store interface {
	Revision(ctx context.Context) (int64, error)
	// Snapshot may leave out workspaces that did not change after since.
	Snapshot(ctx context.Context, since int64) (store.Snapshot, error)
	Listen(ctx context.Context, changed func()) error
}

// Config bounds how late a watcher hears of a change.
type Config struct {
	// PollEvery is how often the revision is read besides listening for changes, in case an announcement was lost.
	PollEvery time.Duration
	// History is how long ago an integration version must have been replaced to be left out.
	History time.Duration
	// PartBytes is how large the pieces are that watchers get.
	PartBytes int
	// Plans say what workspaces are entitled to.
	Plans plan.Rules
}

// Deps is what a Hub works with; all of it is required.
type Deps struct {
	Store  Store
	Clock  interface{ Now() time.Time }
	Logger *slog.Logger
}

// Hub holds the newest settings. Safe for concurrent use.
type Hub struct {
	cfg  Config
	deps Deps

	reading sync.Mutex // one reader of the store at a time

	mu      sync.Mutex
	state   *State
	changed chan struct{}
}

// New returns a hub that has read nothing yet.
func New(cfg Config, deps Deps) *Hub {
	return &Hub{cfg: cfg, deps: deps, changed: make(chan struct{})}
}

// Run follows the store until ctx ends.
func (h *Hub) Run(ctx context.Context) {
	wake := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.listen(ctx, wake)
	}()
	poll := time.NewTicker(h.cfg.PollEvery)
	defer poll.Stop()
	failing := false
	for {
		_, _, err := h.Current(ctx)
		switch {
		case err == nil:
			failing = false
		case ctx.Err() == nil && !failing:
			failing = true
			h.deps.Logger.ErrorContext(ctx, "settings cannot be read; watchers keep what they have", "error", err)
		}
		select {
		case <-wake:
		case <-poll.C:
		case <-ctx.Done():
			<-done
			return
		}
	}
}

// listen turns announcements into wake-ups. Between two tries polling does the work.
func (h *Hub) listen(ctx context.Context, wake chan<- struct{}) {
	for ctx.Err() == nil {
		err := h.deps.Store.Listen(ctx, func() {
			select {
			case wake <- struct{}{}:
			default:
			}
		})
		if ctx.Err() != nil {
			return
		}
		h.deps.Logger.WarnContext(ctx, "lost the announcements of changed settings; polling until they are back", "error", err)
		select {
		case <-time.After(h.cfg.PollEvery):
		case <-ctx.Done():
		}
	}
}

// Current returns the settings at the store's present revision, and a channel that is closed when there are newer ones.
func (h *Hub) Current(ctx context.Context) (*State, <-chan struct{}, error) {
	h.reading.Lock()
	defer h.reading.Unlock()
	revision, err := h.deps.Store.Revision(ctx)
	if err != nil {
		return nil, nil, err
	}
	old, changed := h.Latest()
	since := int64(0)
	if old != nil {
		if since = old.Revision(); since == revision {
			return old, changed, nil
		}
	}
	raw, err := h.read(ctx, since)
	if err == nil && raw.Since != 0 && raw.Lineage != old.Lineage() { // another database took this one's place
		raw, err = h.read(ctx, 0)
	}
	if err != nil {
		return nil, nil, err
	}
	built, err := build(raw, h.deps.Clock.Now().Add(-h.cfg.History))
	if err != nil {
		return nil, nil, fmt.Errorf("build snapshot of revision %d: %w", raw.Revision, err)
	}
	entitle(built, h.cfg.Plans)
	state, err := next(old, raw, built, h.cfg.PartBytes)
	if err != nil {
		return nil, nil, fmt.Errorf("encode snapshot of revision %d: %w", raw.Revision, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state = state
	close(h.changed)
	h.changed = make(chan struct{})
	return state, h.changed, nil
}

// read reads what the store has after a revision.
func (h *Hub) read(ctx context.Context, since int64) (store.Snapshot, error) {
	raw, err := h.deps.Store.Snapshot(ctx, since)
	raw.Lineage += lineageOf(h.cfg.Plans)
	return raw, err
}

// Latest returns what Current last found, without asking the store; nil at first.
func (h *Hub) Latest() (*State, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state, h.changed
}
