package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// RowOf says which row of which run an outcome is about.
type RowOf struct {
	Run    string
	Number int64
	// Records is how many records the row changes, one outcome each.
	Records int32
	// PersonKey is whom it is about; empty where nobody knows.
	PersonKey string
	// Body is the row as the log keeps it when it was not written; nil for a success, and while it waits.
	Body []byte
}

// reasonUnchanged is that of a write which Salesforce did not need.
const reasonUnchanged = 33

func fateOf(status, reason int32) Fate {
	switch {
	case status == statusWritten:
		return FateWritten
	case status == statusSkipped && reason == reasonUnchanged:
		return FateUnchanged
	case status == statusSkipped:
		return FateSkipped
	case status == statusFailed || status == statusRejected:
		return FateFailed
	}
	return FatePending
}

// Fate is what became of a row. The numbers are stored.
type Fate int

// The fates, in the order in which one of several records decides for its row.
const (
	FatePending   Fate = 0
	FateUnchanged Fate = 1
	FateWritten   Fate = 2
	FateSkipped   Fate = 3
	FateFailed    Fate = 4
)

type runKey struct{ workspace, run string }

// runCounter collects what a batch changes about runs. As with every count, an outcome counts once, under its newest status.
type runCounter map[runKey]*runChange

type runChange struct {
	fates map[Fate]int64
	at    time.Time
	rows  []rowChange
	// replaced are outcomes that said something else before.
	replaced map[string]bool
}

// rowChange is what an outcome changes about the row it is about.
type rowChange struct {
	row     RowOf
	outcome string
	fate    Fate
}

func (c runCounter) add(o *Outcome, n int64) {
	if o.Row == nil {
		return
	}
	key, fate := runKey{o.Workspace, o.Row.Run}, fateOf(o.Status, o.Reason)
	change := c[key]
	if change == nil {
		change = &runChange{fates: map[Fate]int64{}, replaced: map[string]bool{}}
		c[key] = change
	}
	if o.Row.Records <= 1 { // a row with several records is counted by what is kept of them
		change.fates[fate] += n
	}
	if n < 0 {
		change.replaced[o.ID] = true
		return
	}
	change.rows = append(change.rows, rowChange{*o.Row, o.ID, fate})
	if o.DecidedAt.After(change.at) {
		change.at = o.DecidedAt
	}
}

// apply adds the changes, in one order for all, so that concurrent batches do not lock each other out. Outcomes of runs that are
// not there any more are left alone.
func (c runCounter) apply(ctx context.Context, s *Store, tx *sql.Tx) error {
	keys := slices.SortedFunc(maps.Keys(c), func(a, b runKey) int {
		return cmp.Or(strings.Compare(a.workspace, b.workspace), strings.Compare(a.run, b.run))
	})
	for _, key := range keys {
		if err := c[key].apply(ctx, s, tx, key); err != nil {
			return err
		}
	}
	return nil
}

func (c *runChange) apply(ctx context.Context, s *Store, tx *sql.Tx, key runKey) error {
	var there int
	err := tx.QueryRowContext(ctx, "SELECT 1 FROM report_runs WHERE workspace = $1 AND id = $2"+s.dialect.lockRows, key.workspace, key.run).Scan(&there)
	if err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	}
	for _, row := range c.rows {
		if err := c.keep(ctx, tx, key, row); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `UPDATE report_runs SET w_written = w_written + $3, w_unchanged = w_unchanged + $4,
		w_failed = w_failed + $5, w_skipped = w_skipped + $6 WHERE workspace = $1 AND id = $2`,
		key.workspace, key.run, c.fates[FateWritten], c.fates[FateUnchanged], c.fates[FateFailed], c.fates[FateSkipped])
	if err != nil {
		return err
	}
	return s.finishRun(ctx, tx, key.workspace, key.run, c.at)
}

// keep writes down a row that was not written, and forgets one that was after all.
func (c *runChange) keep(ctx context.Context, tx *sql.Tx, key runKey, change rowChange) error {
	if change.row.Records > 1 {
		if err := c.keepWrite(ctx, tx, key, change); err != nil {
			return err
		}
	}
	if change.row.Body != nil {
		return addRow(ctx, tx, key.workspace, key.run, RunRow{
			Number: change.row.Number, Outcome: change.outcome, PersonKey: change.row.PersonKey, Body: change.row.Body,
		})
	}
	if !c.replaced[change.outcome] {
		return nil
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM report_run_rows WHERE workspace = $1 AND run = $2 AND number = $3 AND outcome = $4",
		key.workspace, key.run, change.row.Number, change.outcome)
	return err
}

// keepWrite keeps the fate of one of a row's records, and moves the row from the fate that it had to the one it has now.
func (c *runChange) keepWrite(ctx context.Context, tx *sql.Tx, key runKey, change rowChange) error {
	before, err := fateOfRow(ctx, tx, key, change.row)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO report_run_writes (workspace, run, number, outcome, fate) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (workspace, run, number, outcome) DO UPDATE SET fate = excluded.fate`,
		key.workspace, key.run, change.row.Number, change.outcome, int(change.fate))
	if err != nil {
		return err
	}
	after, err := fateOfRow(ctx, tx, key, change.row)
	if err != nil {
		return err
	}
	c.fates[before]--
	c.fates[after]++
	return nil
}

// fateOfRow is pending until every record has its answer; then the worst counts.
func fateOfRow(ctx context.Context, tx *sql.Tx, key runKey, row RowOf) (Fate, error) {
	var answered, worst int
	err := tx.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(MAX(fate), 0) FROM report_run_writes
		WHERE workspace = $1 AND run = $2 AND number = $3 AND fate <> 0`, key.workspace, key.run, row.Number).Scan(&answered, &worst)
	if err != nil || answered < int(row.Records) {
		return FatePending, err
	}
	return Fate(worst), nil
}
