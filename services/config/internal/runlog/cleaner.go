package runlog

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

// Purger deletes what is too old.
type Purger interface {
	PurgeOutcomes(ctx context.Context, cutoff store.Cutoff, limit int) (int64, error)
	PurgeCounts(ctx context.Context, cutoff store.Cutoff) error
	// PurgeRuns deletes what runs of reports did before one cutoff, and the runs themselves before another (WALK-32, WALK-33).
	PurgeRuns(ctx context.Context, rows, runs store.Cutoff, limit int) (int64, error)
}

// Workspaces reads the settings of all workspaces.
type Workspaces interface {
	Workspaces(ctx context.Context) ([]store.Document, error)
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

// Shortened returns the retention of a workspace with settings of its own. It never keeps more than the installation does, also
// when that has been shortened since the settings were saved.
func (r Retention) Shortened(own *configv1.RetentionSettings) Retention {
	if d := own.GetRunLog(); d != nil {
		r.Rows = min(r.Rows, d.AsDuration())
	}
	if d := own.GetRunLogCounts(); d != nil {
		r.Counts = min(r.Counts, d.AsDuration())
	}
	return r
}

// Check names what is wrong with a workspace's settings, by field of them; "" for nothing. They may shorten what the
// installation keeps, never lengthen it (XC-30).
func (r Retention) Check(own *configv1.RetentionSettings) (field, problem string) {
	short := r.Shortened(own)
	switch rows, counts := own.GetRunLog(), own.GetRunLogCounts(); {
	case rows != nil && (!rows.IsValid() || rows.AsDuration() < time.Hour || rows.AsDuration() > r.Rows):
		return "run_log", fmt.Sprintf("want 1h to %s, which is what this installation keeps", r.Rows)
	case counts != nil && (!counts.IsValid() || counts.AsDuration() > r.Counts):
		return "run_log_counts", fmt.Sprintf("want at most %s, which is what this installation keeps", r.Counts)
	case short.Counts < short.Rows:
		return "run_log_counts", fmt.Sprintf("want at least %s, as long as the rows that are counted", short.Rows)
	}
	return "", ""
}

// Cleaner forgets outcomes whose time is over.
type Cleaner struct {
	Retention Retention
	Purger    Purger
	// Workspaces may keep less than Retention says (XC-30).
	Workspaces Workspaces
	Clock      interface{ Now() time.Time }
	Logger     *slog.Logger
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

// Clean deletes everything that is too old now, in batches. Without the workspaces' settings it deletes nothing: one of them
// may be under a legal hold.
func (c *Cleaner) Clean(ctx context.Context) error {
	kept, err := c.own(ctx)
	if err != nil {
		return err
	}
	now := c.Clock.Now()
	cutoff := func(age func(Retention) time.Duration) store.Cutoff {
		return func(workspace string) time.Time {
			own, ok := kept[workspace]
			switch {
			case !ok:
				own.Retention = c.Retention // the workspace is gone, or has said nothing
			case own.hold:
				return time.Time{}
			}
			return now.Add(-age(own.Retention))
		}
	}
	rows := cutoff(func(r Retention) time.Duration { return r.Rows })
	counts := cutoff(func(r Retention) time.Duration { return r.Counts })
	for _, purge := range []func(limit int) (int64, error){
		func(limit int) (int64, error) { return c.Purger.PurgeOutcomes(ctx, rows, limit) },
		func(limit int) (int64, error) { return c.Purger.PurgeRuns(ctx, rows, counts, limit) },
	} {
		if err := c.inBatches(ctx, purge); err != nil {
			return err
		}
	}
	return c.Purger.PurgeCounts(ctx, counts)
}

// inBatches repeats a purge until nothing is left.
func (c *Cleaner) inBatches(ctx context.Context, purge func(limit int) (int64, error)) error {
	for {
		n, err := purge(c.Retention.Batch)
		if err != nil || n < int64(c.Retention.Batch) {
			return err
		}
		select {
		case <-time.After(c.Retention.Pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// own reads what workspaces have said themselves.
func (c *Cleaner) own(ctx context.Context) (map[string]ownRetention, error) {
	if c.Workspaces == nil {
		return nil, nil
	}
	docs, err := c.Workspaces.Workspaces(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[string]ownRetention, len(docs))
	for _, doc := range docs {
		ws := &configv1.Workspace{}
		if err := proto.Unmarshal(doc.Body, ws); err != nil {
			return nil, fmt.Errorf("decode workspace %s: %w", doc.Workspace, err)
		}
		if ws.GetRetention() != nil {
			out[doc.Workspace] = ownRetention{c.Retention.Shortened(ws.GetRetention()), ws.GetRetention().GetLegalHold()}
		}
	}
	return out, nil
}

// ownRetention is what one workspace keeps.
type ownRetention struct {
	Retention
	hold bool
}
