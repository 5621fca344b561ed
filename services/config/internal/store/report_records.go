package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"
)

// RunChunk is one step of a run that is done.
type RunChunk struct {
	Number, FirstRow, Rows int64
	// Counts are what was decided in it; Handed is what went to the writer.
	Counts RunCounts
	Body   []byte
}

// RunRow is a row that was not written for a reason of its own.
type RunRow struct {
	Number int64
	// Outcome is the outcome that says so; empty when the run itself decided.
	Outcome string
	// PersonKey is whom the row is about; empty where nobody knows.
	PersonKey string
	Body      []byte
}

// RunRecord is what a worker tells of its run.
type RunRecord struct {
	Workspace, Run, Worker string
	// Chunk is nil to renew the claim only.
	Chunk *RunChunk
	Rows  []RunRow
	// Last says that no chunk follows.
	Last bool
	// Reason ends the run as failed; Detail says why, or why the run waits.
	Reason     int32
	Detail     string
	Now, Until time.Time
}

// RecordRun keeps what a worker tells and renews its claim. Stop says that the run has ended or is to end. A chunk that is recorded
// already has no further effect (promise 5). The errors are ErrNotFound, ErrStale when the claim is another's, and ErrGap.
func (s *Store) RecordRun(ctx context.Context, rec RunRecord) (stop bool, err error) {
	err = s.inTx(ctx, "record run "+rec.Run, func(tx *sql.Tx) error {
		run, err := s.lockRun(ctx, tx, rec.Workspace, rec.Run)
		if err != nil {
			return err
		}
		if run.Status != RunRunning {
			stop = true
			return nil
		}
		if run.Worker != rec.Worker {
			return ErrStale
		}
		stop, err = s.record(ctx, tx, run, rec)
		return err
	})
	return stop, err
}

func (s *Store) record(ctx context.Context, tx *sql.Tx, run ReportRun, rec RunRecord) (stop bool, err error) {
	if rec.Chunk != nil && rec.Chunk.Number > run.NextChunk {
		return false, ErrGap
	}
	if rec.Chunk != nil && rec.Chunk.Number == run.NextChunk {
		if err := addChunk(ctx, tx, run, rec); err != nil {
			return false, err
		}
	}
	_, err = tx.ExecContext(ctx, `UPDATE report_runs SET claimed_until = $3, last = CASE WHEN $4 = 1 THEN 1 ELSE last END, detail = $5
		WHERE workspace = $1 AND id = $2`, run.Workspace, run.ID, micros(rec.Until), flag(rec.Last), cleaned(rec.Detail))
	if err != nil {
		return false, err
	}
	switch {
	case rec.Reason != 0:
		return true, endRun(ctx, tx, run, RunEnd{Status: RunFailed, Reason: rec.Reason, Detail: rec.Detail, At: rec.Now})
	case run.Stop != "":
		return true, endRun(ctx, tx, run, RunEnd{Status: RunFailed, Detail: run.Stop, At: rec.Now})
	case rec.Last:
		return true, s.finishRun(ctx, tx, run.Workspace, run.ID, rec.Now)
	}
	return false, nil
}

func addChunk(ctx context.Context, tx *sql.Tx, run ReportRun, rec RunRecord) error {
	c := rec.Chunk
	if _, err := tx.ExecContext(ctx, "INSERT INTO report_run_chunks (workspace, run, number, body) VALUES ($1, $2, $3, $4)",
		run.Workspace, run.ID, c.Number, c.Body); err != nil {
		return err
	}
	for _, row := range rec.Rows {
		if err := addRow(ctx, tx, run.Workspace, run.ID, row); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `UPDATE report_runs SET next_chunk = $3, next_row = $4, handed = handed + $5, unchanged = unchanged + $6,
		unmatched = unmatched + $7, ambiguous = ambiguous + $8, blank_keys = blank_keys + $9, repeated_keys = repeated_keys + $10,
		equal_rows = equal_rows + $11, failed = failed + $12 WHERE workspace = $1 AND id = $2`,
		run.Workspace, run.ID, c.Number+1, c.FirstRow+c.Rows, c.Counts.Handed, c.Counts.Unchanged, c.Counts.Unmatched, c.Counts.Ambiguous,
		c.Counts.BlankKeys, c.Counts.RepeatedKeys, c.Counts.EqualRows, c.Counts.Failed)
	return err
}

func addRow(ctx context.Context, tx *sql.Tx, workspace, run string, row RunRow) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO report_run_rows (workspace, run, number, outcome, person_key, body) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (workspace, run, number, outcome) DO UPDATE SET person_key = excluded.person_key, body = excluded.body`,
		workspace, run, row.Number, row.Outcome, row.PersonKey, row.Body)
	return err
}

// dropRunRows deletes what the logs of runs say of rows about people who are being erased, and returns how much that was. What the
// runs count stays: it names nobody.
func dropRunRows(ctx context.Context, tx *sql.Tx, e Erasure) (int64, error) {
	var deleted int64
	for _, key := range e.PersonKeys {
		result, err := tx.ExecContext(ctx, "DELETE FROM report_run_rows WHERE workspace = $1 AND person_key = $2 AND person_key <> ''",
			e.Workspace, key)
		if err != nil {
			return 0, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return 0, err
		}
		deleted += n
	}
	return deleted, nil
}

// finishRun ends a run whose chunks are all recorded and whose rows all have their answer. What is answered later, e.g. because
// somebody replayed a failed write, is counted and may change a finished run's status, but nothing else of its end.
func (s *Store) finishRun(ctx context.Context, tx *sql.Tx, workspace, id string, now time.Time) error {
	run, err := s.lockRun(ctx, tx, workspace, id)
	if err != nil {
		return err
	}
	judged := run.Reason == 0 && run.Stop == "" && (run.Status == RunCompleted || run.Status == RunFailed)
	if !run.Last || run.Counts.Pending() > 0 || run.Status != RunRunning && !judged {
		return nil
	}
	end := verdict(run, now)
	switch {
	case run.Status == RunRunning:
		return endRun(ctx, tx, run, end)
	case run.Status == end.Status:
		return nil
	}
	_, err = tx.ExecContext(ctx, "UPDATE report_runs SET status = $3, detail = $4 WHERE workspace = $1 AND id = $2",
		workspace, id, end.Status, end.Detail)
	return err
}

// verdict judges a run by the share of its rows that failed (WALK-30).
func verdict(run ReportRun, now time.Time) RunEnd {
	failed := run.Counts.Failed + run.Counts.WroteFailed
	share := 100 * float64(failed) / math.Max(1, float64(run.Counts.Rows))
	if share > run.Tolerated {
		return RunEnd{Status: RunFailed, At: now, Detail: fmt.Sprintf(
			"%d of %d rows failed, and %g %% are tolerated; the rows of the run say why", failed, run.Counts.Rows, run.Tolerated)}
	}
	return RunEnd{Status: RunCompleted, At: now}
}
