package retain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Config says how long.
type Config struct {
	// Entries is how long entries of the audit log are kept; at most 24 months (XC-30).
	Entries time.Duration `yaml:"entries"`
	// Versions is how long a version of a setting is kept after it was replaced. Events that come late or again need
	// theirs.
	Versions time.Duration `yaml:"versions"`
	// Every is the time between two clean-ups.
	Every time.Duration `yaml:"every"`
	// Batch is the most entries one transaction deletes, so that changes never wait long.
	Batch int `yaml:"batch"`
}

// longest is how late an event may come, with a month to spare.
const longest = (366 + 30) * 24 * time.Hour

// maxEntries is 24 months.
const maxEntries = 731 * 24 * time.Hour

// DefaultConfig keeps entries of the audit log 24 months (XC-30) and replaced versions 13 (XC-24), and cleans every hour in
// batches of 2,000.
func DefaultConfig() Config {
	return Config{Entries: maxEntries, Versions: longest, Every: time.Hour, Batch: 2000}
}

// Validate names the key that is wrong.
func (c Config) Validate() error {
	switch {
	case c.Entries < 24*time.Hour || c.Entries > maxEntries:
		return fmt.Errorf("entries: want 24h to %s, which is 24 months", maxEntries)
	case c.Versions < longest:
		return fmt.Errorf("versions: want at least %s: events may come 366 days late", longest)
	case c.Every < time.Second:
		return errors.New("every: want at least 1s")
	case c.Batch < 1:
		return errors.New("batch: want at least 1")
	}
	return nil
}

// Purger deletes what is too old, but for what workspaces under a legal hold have.
type Purger interface {
	PurgeAudit(ctx context.Context, p store.Purge) (int64, error)
	PurgeHistory(ctx context.Context, p store.Purge) (int64, error)
	PurgeSessions(ctx context.Context, before time.Time) error
	// PurgeDrafts deletes what has expired by the given time.
	PurgeDrafts(ctx context.Context, by time.Time, limit int) (int64, error)
}

// Lapsed ends what plans have not included for long; see lapse.Ender.
type Lapsed interface {
	End(ctx context.Context, now time.Time) error
}

// Workspaces reads the settings of all workspaces.
type Workspaces interface {
	Workspaces(ctx context.Context) ([]store.Document, error)
}

// Cleaner cleans now and then.
type Cleaner struct {
	Config Config
	Purger Purger
	Lapsed Lapsed
	// Workspaces may be under a legal hold (XC-30).
	Workspaces Workspaces
	Clock      interface{ Now() time.Time }
	Logger     *slog.Logger
}

// Run cleans until ctx ends. A failure is logged and tried again the next time.
func (c *Cleaner) Run(ctx context.Context) {
	ticker := time.NewTicker(c.Config.Every)
	defer ticker.Stop()
	for {
		if err := c.Clean(ctx); err != nil && ctx.Err() == nil {
			c.Logger.ErrorContext(ctx, "what is too old could not be cleaned up; it will be tried again", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Clean deletes everything that is too old now, in batches. Without the workspaces' settings it deletes nothing of theirs: one
// of them may be under a legal hold.
func (c *Cleaner) Clean(ctx context.Context) error {
	now := c.Clock.Now()
	errs := []error{c.Purger.PurgeSessions(ctx, now), c.drafts(ctx, now), c.Lapsed.End(ctx, now)}
	held, err := c.held(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	purge := store.Purge{Except: held, Limit: c.Config.Batch}
	purge.Before = now.Add(-c.Config.Entries)
	errs = append(errs, c.batches(ctx, c.Purger.PurgeAudit, purge))
	purge.Before = now.Add(-c.Config.Versions)
	return errors.Join(append(errs, c.batches(ctx, c.Purger.PurgeHistory, purge))...)
}

// drafts deletes those that have expired.
func (c *Cleaner) drafts(ctx context.Context, now time.Time) error {
	return c.batches(ctx, func(ctx context.Context, p store.Purge) (int64, error) {
		return c.Purger.PurgeDrafts(ctx, p.Before, p.Limit)
	}, store.Purge{Before: now, Limit: c.Config.Batch})
}

// held are the workspaces under a legal hold.
func (c *Cleaner) held(ctx context.Context) ([]string, error) {
	docs, err := c.Workspaces.Workspaces(ctx)
	if err != nil {
		return nil, err
	}
	var held []string
	for _, doc := range docs {
		ws := &configv1.Workspace{}
		if err := proto.Unmarshal(doc.Body, ws); err != nil {
			return nil, fmt.Errorf("decode workspace %s: %w", doc.Workspace, err)
		}
		if ws.GetRetention().GetLegalHold() {
			held = append(held, doc.Workspace)
		}
	}
	return held, nil
}

type purge = func(ctx context.Context, p store.Purge) (int64, error)

func (c *Cleaner) batches(ctx context.Context, purge purge, p store.Purge) error {
	for {
		n, err := purge(ctx, p)
		if err != nil || n < int64(p.Limit) {
			return err
		}
	}
}
