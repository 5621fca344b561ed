package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// maxCandidates is how many runs one claim looks at.
const maxCandidates = 20

// ErrGap means that a chunk before the one that is recorded is missing.
var ErrGap = errors.New("an earlier chunk of the run is not recorded")

// ClaimRun gives a worker the oldest run that nobody works on until a time; ErrNotFound when there is none. Of several workers,
// in whatever process, one gets it.
func (s *Store) ClaimRun(ctx context.Context, worker string, now, until time.Time) (ReportRun, error) {
	free, err := s.queryRuns(ctx, "status = $1 AND last = 0 AND stop = '' AND claimed_until <= $2 ORDER BY started_at, workspace, id LIMIT $3",
		RunRunning, micros(now), maxCandidates)
	if err != nil {
		return ReportRun{}, err
	}
	for _, r := range free {
		result, err := s.write.ExecContext(ctx, `UPDATE report_runs SET worker = $1, claimed_until = $2
			WHERE workspace = $3 AND id = $4 AND status = $5 AND last = 0 AND claimed_until = $6`,
			worker, micros(until), r.Workspace, r.ID, RunRunning, micros(r.ClaimedUntil))
		if err != nil {
			return ReportRun{}, fmt.Errorf("claim run %s: %w", r.ID, err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			if err != nil {
				return ReportRun{}, err
			}
			continue // somebody was faster
		}
		return s.Run(ctx, r.Workspace, r.ID)
	}
	return ReportRun{}, ErrNotFound
}

// PrepareRun keeps what a claimed run works with, for whoever takes it over. The error is ErrStale if the claim is another's.
func (s *Store) PrepareRun(ctx context.Context, run ReportRun) error {
	return s.claimed(ctx, run, "body = $5, delivery = $6, tolerated = $7, row_count = $8, reason = 0, detail = ''",
		run.Body, run.Delivery, run.Tolerated, run.Counts.Rows)
}

// ReleaseRun lets nobody claim a run before a time, and says why it waits.
func (s *Store) ReleaseRun(ctx context.Context, run ReportRun, until time.Time) error {
	return s.claimed(ctx, run, "claimed_until = $5, reason = $6, detail = $7", micros(until), run.Reason, cleaned(run.Detail))
}

// claimed changes a run whose claim is still the caller's.
func (s *Store) claimed(ctx context.Context, run ReportRun, set string, args ...any) error {
	result, err := s.write.ExecContext(ctx, "UPDATE report_runs SET "+set+` WHERE workspace = $1 AND id = $2 AND worker = $3 AND status = $4`,
		append([]any{run.Workspace, run.ID, run.Worker, RunRunning}, args...)...)
	if err != nil {
		return fmt.Errorf("change run %s: %w", run.ID, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrStale)
	}
	return nil
}

// RunEnd is how a run ends.
type RunEnd struct {
	Status, Reason int32
	Detail         string
	At             time.Time
}

// EndRun ends a run that is under way, and reports whether it was.
func (s *Store) EndRun(ctx context.Context, workspace, id string, end RunEnd) (ended bool, err error) {
	err = s.inTx(ctx, "end run "+id, func(tx *sql.Tx) error {
		run, err := s.lockRun(ctx, tx, workspace, id)
		if err != nil {
			return err
		}
		ended = run.Status == RunRunning
		if !ended {
			return nil
		}
		return endRun(ctx, tx, run, end)
	})
	return ended, err
}

func (s *Store) lockRun(ctx context.Context, tx *sql.Tx, workspace, id string) (ReportRun, error) {
	return scanRun(tx.QueryRowContext(ctx, "SELECT "+runColumns+" FROM report_runs WHERE workspace = $1 AND id = $2"+s.dialect.lockRows, workspace, id))
}

// endRun ends a run that the transaction has locked. A scheduled run that failed counts towards the pause of its push; a completed
// one, also by hand, forgets those before it.
func endRun(ctx context.Context, tx *sql.Tx, run ReportRun, end RunEnd) error {
	_, err := tx.ExecContext(ctx, `UPDATE report_runs SET status = $3, reason = $4, detail = $5, ended_at = $6, claimed_until = 0
		WHERE workspace = $1 AND id = $2`, run.Workspace, run.ID, end.Status, end.Reason, cleaned(end.Detail), micros(end.At))
	if err != nil {
		return err
	}
	set := ""
	switch {
	case end.Status == RunCompleted:
		set = "failed_days = 0"
	case end.Status == RunFailed && run.Day != NoDay && run.Stop == "": // who stops a run has not failed
		set = "failed_days = failed_days + 1"
	default:
		return nil
	}
	_, err = tx.ExecContext(ctx, "UPDATE report_schedules SET "+set+" WHERE workspace = $1 AND push = $2", run.Workspace, run.Push)
	return err
}

// StopRun asks a run to end after its current chunk; one that nobody works on ends at once. ErrNotFound if there is no such run;
// nothing happens to one that has ended or is asked to already.
func (s *Store) StopRun(ctx context.Context, workspace, id, why string, by Act) error {
	return s.inTx(ctx, "stop run "+id, func(tx *sql.Tx) error {
		run, err := s.lockRun(ctx, tx, workspace, id)
		if err != nil || run.Status != RunRunning || run.Stop != "" {
			return err
		}
		if err := stopWhere(ctx, tx, why, by.At, "workspace = $1 AND id = $2", workspace, id); err != nil {
			return err
		}
		return insertAudit(ctx, tx, AuditEntry{Act: by, Workspace: workspace, Kind: KindRun, Target: id})
	})
}

// stopWhere stops the runs under way that a condition on two parameters selects.
func stopWhere(ctx context.Context, tx *sql.Tx, why string, now time.Time, where, workspace, id string) error {
	_, err := tx.ExecContext(ctx, `UPDATE report_runs SET stop = $3,
		status = CASE WHEN claimed_until <= $4 OR last = 1 THEN $5 ELSE status END,
		ended_at = CASE WHEN claimed_until <= $4 OR last = 1 THEN $4 ELSE ended_at END,
		detail = CASE WHEN claimed_until <= $4 OR last = 1 THEN $3 ELSE detail END
		WHERE `+where+" AND status = $6 AND stop = ''", workspace, id, why, micros(now), RunFailed, RunRunning)
	return err
}

// WaitingRuns reads runs under way whose chunks are all recorded, of all workspaces.
func (s *Store) WaitingRuns(ctx context.Context) ([]ReportRun, error) {
	return s.queryRuns(ctx, "status = $1 AND last = 1 ORDER BY started_at", RunRunning)
}

// OverdueRuns reads runs under way that began before one time, or were asked to stop and whose worker went silent before another.
func (s *Store) OverdueRuns(ctx context.Context, began, silent time.Time) ([]ReportRun, error) {
	return s.queryRuns(ctx, "status = $1 AND (started_at < $2 OR stop <> '' AND claimed_until < $3) ORDER BY started_at LIMIT 1000",
		RunRunning, micros(began), micros(silent))
}
