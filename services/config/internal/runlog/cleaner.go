package runlog

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Purger deletes what is too old.
type Purger interface {
	PurgeOutcomes(ctx context.Context, before time.Time, limit int) (int64, error)
	PurgeCounts(ctx context.Context, before time.Time) error
}

// Retention says how long the run log is kept.
type Retention struct {
	// Rows is how long outcomes are kept one by one.
	Rows time.Duration `yaml:"rows"`
	// Counts is how long the counts per hour are kept.
	Counts time.Duration `yaml:"counts"`
	// Every is the time between two clean-ups.
	Every time.Duration `yaml:"every"`
	// Batch is the most rows of a workspace one transaction deletes, so that recording never waits long.
	Batch int `yaml:"batch"`
	// Pause is the time between two batches, in which questions and recording have the disk for themselves.
	Pause time.Duration `yaml:"pause"`
}

// DefaultRetention keeps rows 90 days and counts 13 months (XC-30), and cleans every 10 min in batches of 500 with 50 ms
// between them: some 4,000 rows/s, 300 million a day.
func DefaultRetention() Retention {
	return Retention{
		Rows: 90 * 24 * time.Hour, Counts: 396 * 24 * time.Hour, Every: 10 * time.Minute,
		Batch: 500, Pause: 50 * time.Millisecond,
	}
}

// Validate names the key that is wrong.
func (r Retention) Validate() error {
	switch {
	case r.Rows < time.Hour:
		return errors.New("rows: want at least 1h")
	case r.Counts < r.Rows:
		return errors.New("counts: want at least as long as rows")
	case r.Every < time.Second:
		return errors.New("every: want at least 1s")
	case r.Batch < 1:
		return errors.New("batch: want at least 1")
	case r.Pause < 0 || r.Pause > time.Minute:
		return errors.New("pause: want 0 to 1m")
	}
	return nil
}

// Cleaner forgets outcomes whose time is over.
type Cleaner struct {
	Retention Retention
	Purger    Purger
	Clock     interface{ Now() time.Time }
	Logger    *slog.Logger
}

// Run cleans until ctx ends. A failure is logged and tried again the next time.
func (c *Cleaner) Run(ctx context.Context) {
	ticker := time.NewTicker(c.Retention.Every)
	defer ticker.Stop()
	for {
		if err := c.Clean(ctx); err != nil && ctx.Err() == nil {
			c.Logger.ErrorContext(ctx, "the run log could not be cleaned; it will be tried again", "error", err)
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
		n, err := c.Purger.PurgeOutcomes(ctx, now.Add(-c.Retention.Rows), c.Retention.Batch)
		if err != nil {
			return err
		}
		if n < int64(c.Retention.Batch) {
			break
		}
		select {
		case <-time.After(c.Retention.Pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return c.Purger.PurgeCounts(ctx, now.Add(-c.Retention.Counts))
}
