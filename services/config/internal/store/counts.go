package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Count is how many outcomes a stage decided in one way.
type Count struct {
	Stage  string
	Status int32
	Reason int32
	N      int64
}

// hourOf returns the hour since 1970 that a time lies in.
func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

type countKey struct {
	workspace string
	hour      int64
	stage     string
	status    int32
	reason    int32
}

// tally collects what a batch changes about everything that is counted.
type tally struct {
	hours counter
	days  dayCounter
	runs  runCounter
}

func newTally() tally { return tally{counter{}, dayCounter{}, runCounter{}} }

func (t tally) add(o *Outcome, n int64) {
	t.hours.add(o, n)
	t.days.add(o, n)
	t.runs.add(o, n)
}

func (t tally) apply(ctx context.Context, s *Store, tx *sql.Tx) error {
	if err := t.hours.apply(ctx, s.dialect, tx); err != nil {
		return err
	}
	if err := t.days.apply(ctx, s.dialect, tx); err != nil {
		return err
	}
	return t.runs.apply(ctx, s, tx)
}

// counter collects what a batch changes about the counts.
type counter map[countKey]int64

func (c counter) add(o *Outcome, n int64) {
	c[countKey{o.Workspace, hourOf(o.DecidedAt), o.Stage, o.Status, o.Reason}] += n
}

// apply adds the changes, in one order for all, so that concurrent batches do not lock each other out.
func (c counter) apply(ctx context.Context, d dialect, tx *sql.Tx) error {
	keys := slices.SortedFunc(maps.Keys(c), func(a, b countKey) int {
		return cmp.Or(strings.Compare(a.workspace, b.workspace), cmp.Compare(a.hour, b.hour),
			strings.Compare(a.stage, b.stage), cmp.Compare(a.status, b.status), cmp.Compare(a.reason, b.reason))
	})
	args := make([]any, 0, len(keys)*addHours.columns)
	for _, k := range keys {
		if c[k] != 0 {
			args = append(args, k.workspace, k.hour, k.stage, k.status, k.reason, c[k])
		}
	}
	return addHours.apply(ctx, tx, d, args)
}

var addHours = upsert{
	into: "outcome_counts (workspace, hour, stage, status, reason, n)", columns: 6,
	onConflict: "ON CONFLICT (workspace, hour, stage, status, reason) DO UPDATE SET n = outcome_counts.n + excluded.n",
}

// CountOutcomes counts one workspace's outcomes decided from from (inclusive) to to (exclusive); zero times leave a side
// open. Whole hours come from the counts, so they include rows that were purged since; the rest of an hour at either
// end is counted row by row.
func (s *Store) CountOutcomes(ctx context.Context, workspace string, from, to time.Time) ([]Count, error) {
	totals := map[Count]int64{}
	for _, part := range countParts(from, to) {
		if err := s.countPart(ctx, workspace, part, totals); err != nil {
			return nil, fmt.Errorf("count outcomes of %s: %w", workspace, err)
		}
	}
	counts := make([]Count, 0, len(totals))
	for c, n := range totals {
		if c.N = n; n != 0 {
			counts = append(counts, c)
		}
	}
	slices.SortFunc(counts, func(a, b Count) int {
		return cmp.Or(strings.Compare(a.Stage, b.Stage), cmp.Compare(a.Status, b.Status), cmp.Compare(a.Reason, b.Reason))
	})
	return counts, nil
}

// countPart is a range to count, in hours or in microseconds.
type countPart struct {
	whole    bool
	from, to int64
}

const maxMicros = 1<<62 - 1

func countParts(from, to time.Time) []countPart {
	const hour = int64(time.Hour / time.Microsecond)
	first, last := int64(0), int64(maxMicros)
	if !from.IsZero() {
		first = max(0, micros(from))
	}
	if !to.IsZero() {
		last = max(0, micros(to))
	}
	firstHour, lastHour := (first+hour-1)/hour, last/hour
	if firstHour >= lastHour {
		return []countPart{{false, first, last}}
	}
	parts := []countPart{{true, firstHour, lastHour}}
	if first < firstHour*hour {
		parts = append(parts, countPart{false, first, firstHour * hour})
	}
	if lastHour*hour < last && last != maxMicros {
		parts = append(parts, countPart{false, lastHour * hour, last})
	}
	return parts
}

func (s *Store) countPart(ctx context.Context, workspace string, part countPart, totals map[Count]int64) error {
	query := `SELECT stage, status, reason, COUNT(*) FROM outcomes
		WHERE workspace = $1 AND decided_at >= $2 AND decided_at < $3 GROUP BY stage, status, reason`
	if part.whole {
		query = `SELECT stage, status, reason, CAST(SUM(n) AS BIGINT) FROM outcome_counts
			WHERE workspace = $1 AND hour >= $2 AND hour < $3 GROUP BY stage, status, reason`
	}
	rows, err := s.read.QueryContext(ctx, query, workspace, part.from, part.to)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var c Count
		var n int64
		if err := rows.Scan(&c.Stage, &c.Status, &c.Reason, &n); err != nil {
			return err
		}
		totals[c] += n
	}
	return rows.Err()
}
