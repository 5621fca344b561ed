package retain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Config says how long.
type Config struct {
	// Entries is how long entries of the audit log are kept.
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

// DefaultConfig keeps entries and replaced versions 13 months (XC-24) and cleans every hour in batches of 2,000.
func DefaultConfig() Config {
	return Config{Entries: longest, Versions: longest, Every: time.Hour, Batch: 2000}
}

// Validate names the key that is wrong.
func (c Config) Validate() error {
	switch {
	case c.Entries < 24*time.Hour:
		return errors.New("entries: want at least 24h")
	case c.Versions < longest:
		return fmt.Errorf("versions: want at least %s: events may come 366 days late", longest)
	case c.Every < time.Second:
		return errors.New("every: want at least 1s")
	case c.Batch < 1:
		return errors.New("batch: want at least 1")
	}
	return nil
}

// Purger deletes what is too old.
type Purger interface {
	PurgeAudit(ctx context.Context, before time.Time, limit int) (int64, error)
	PurgeHistory(ctx context.Context, before time.Time, limit int) (int64, error)
	PurgeSessions(ctx context.Context, before time.Time) error
	// PurgeDrafts deletes what has expired by the given time.
	PurgeDrafts(ctx context.Context, by time.Time, limit int) (int64, error)
}

// Lapsed ends what plans have not included for long; see lapse.Ender.
type Lapsed interface {
	End(ctx context.Context, now time.Time) error
}

// Cleaner cleans now and then.
type Cleaner struct {
	Config Config
	Purger Purger
	Lapsed Lapsed
	Clock  interface{ Now() time.Time }
	Logger *slog.Logger
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

// Clean deletes everything that is too old now, in batches.
func (c *Cleaner) Clean(ctx context.Context) error {
	now := c.Clock.Now()
	return errors.Join(
		c.batches(ctx, c.Purger.PurgeAudit, now.Add(-c.Config.Entries)),
		c.batches(ctx, c.Purger.PurgeHistory, now.Add(-c.Config.Versions)),
		c.batches(ctx, c.Purger.PurgeDrafts, now),
		c.Purger.PurgeSessions(ctx, now),
		c.Lapsed.End(ctx, now),
	)
}

type purge = func(ctx context.Context, before time.Time, limit int) (int64, error)

func (c *Cleaner) batches(ctx context.Context, purge purge, before time.Time) error {
	for {
		n, err := purge(ctx, before, c.Config.Batch)
		if err != nil || n < int64(c.Config.Batch) {
			return err
		}
	}
}
