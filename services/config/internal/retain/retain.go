package retain

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Config says how long.
type Config struct {
	// Entries is how long entries of the audit log are kept.
	Entries time.Duration `yaml:"entries"`
	// Every is the time between two clean-ups.
	Every time.Duration `yaml:"every"`
	// Batch is the most entries one transaction deletes, so that changes never wait long.
	Batch int `yaml:"batch"`
}

// DefaultConfig keeps entries 13 months (XC-24) and cleans every hour in batches of 2,000.
func DefaultConfig() Config {
	return Config{Entries: 396 * 24 * time.Hour, Every: time.Hour, Batch: 2000}
}

// Validate names the key that is wrong.
func (c Config) Validate() error {
	switch {
	case c.Entries < 24*time.Hour:
		return errors.New("entries: want at least 24h")
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
	PurgeSessions(ctx context.Context, before time.Time) error
}

// Cleaner cleans now and then.
type Cleaner struct {
	Config Config
	Purger Purger
	Clock  interface{ Now() time.Time }
	Logger *slog.Logger
}

// Run cleans until ctx ends. A failure is logged and tried again the next time.
func (c *Cleaner) Run(ctx context.Context) {
	ticker := time.NewTicker(c.Config.Every)
	defer ticker.Stop()
	for {
		if err := c.Clean(ctx); err != nil && ctx.Err() == nil {
			c.Logger.ErrorContext(ctx, "the audit log could not be cleaned; it will be tried again", "error", err)
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
	for {
		n, err := c.Purger.PurgeAudit(ctx, now.Add(-c.Config.Entries), c.Config.Batch)
		if err != nil {
			return err
		}
		if n < int64(c.Config.Batch) {
			return c.Purger.PurgeSessions(ctx, now)
		}
	}
}
