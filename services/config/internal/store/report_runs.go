package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Statuses of runs that are told apart here, as in config/v1.
const (
	RunRunning   = 1
	RunCompleted = 2
	RunFailed    = 3
	RunMissed    = 4
)

// NoDay is the day of a run by hand.
const NoDay = -1

// ErrBusy means that the push has a run under way.
var ErrBusy = errors.New("a run of the push is under way")

// ErrTooOften means that the push was run by hand too often of late.
var ErrTooOften = errors.New("the push was run by hand too often")

// ReportRun is one execution of a push.
type ReportRun struct {
	Workspace, ID, Push                    string
	PushVersion, Number                    int64
	Cause                                  int32
	Report, ReportName, Object, Connection string
	// Day is the day since 1970 that it was scheduled for; NoDay for one by hand.
	Day                int64
	StartedAt, EndedAt time.Time
	Status, Reason     int32
	Detail, Delivery   string
	// Body is what the run works with; nil until it was handed out.
	Body []byte
	// Tolerated is the share of failed rows, in percent, that is still a success.
	Tolerated          float64
	Worker             string
	ClaimedUntil       time.Time
	NextChunk, NextRow int64
	Last               bool
	// Stop is why the run is to end after its current chunk; empty: it is not.
	Stop   string
	Counts RunCounts
}

// RunCounts counts rows: first what chunks decided, then what the writer answered.
type RunCounts struct {
	Rows, Handed, Unchanged, Unmatched, Ambiguous, BlankKeys, RepeatedKeys, EqualRows, Failed int64
	WroteDone, WroteUnchanged, WroteFailed, WroteSkipped                                      int64
}

// Pending is how many rows the writer has not answered. It can be below zero: when a worker went away before its chunk was
// recorded, the next one finds some of its rows in order already, and their answers come all the same.
func (c RunCounts) Pending() int64 {
	return c.Handed - c.WroteDone - c.WroteUnchanged - c.WroteFailed - c.WroteSkipped
}

const runColumns = `workspace, id, push, push_version, number, cause, report, report_name, object, connection, day, started_at, ended_at,
	status, reason, detail, delivery, body, tolerated, worker, claimed_until, next_chunk, next_row, last, stop, row_count, handed,
	unchanged, unmatched, ambiguous, blank_keys, repeated_keys, equal_rows, failed, w_written, w_unchanged, w_failed, w_skipped`

func scanRun(row interface{ Scan(dest ...any) error }) (ReportRun, error) {
	var r ReportRun
	var day, ended sql.NullInt64
	var started, claimed, last int64
	c := &r.Counts
	err := row.Scan(&r.Workspace, &r.ID, &r.Push, &r.PushVersion, &r.Number, &r.Cause, &r.Report, &r.ReportName, &r.Object, &r.Connection,
		&day, &started, &ended, &r.Status, &r.Reason, &r.Detail, &r.Delivery, &r.Body, &r.Tolerated, &r.Worker, &claimed, &r.NextChunk,
		&r.NextRow, &last, &r.Stop, &c.Rows, &c.Handed, &c.Unchanged, &c.Unmatched, &c.Ambiguous, &c.BlankKeys, &c.RepeatedKeys,
		&c.EqualRows, &c.Failed, &c.WroteDone, &c.WroteUnchanged, &c.WroteFailed, &c.WroteSkipped)
	if errors.Is(err, sql.ErrNoRows) {
		return ReportRun{}, ErrNotFound
	}
	r.StartedAt, r.ClaimedUntil, r.Last, r.Day = fromMicros(started), fromMicros(claimed), last != 0, NoDay
	if day.Valid {
		r.Day = day.Int64
	}
	if ended.Valid {
		r.EndedAt = fromMicros(ended.Int64)
	}
	return r, err
}

// ByHand is what holds for a run by hand: who starts it, and that there are at most Most since Since.
type ByHand struct {
	By    Act
	Most  int
	Since time.Time
}

// KindRun is what the audit log calls a run.
const KindRun = "report_run"

// StartRun adds a run, with the next number of its push; a run with a day moves the schedule on to that day. One by hand goes into the
// audit log; hand is nil for others. The errors are ErrBusy, with the run under way, ErrTooOften, and ErrStale when the day has its run
// already or the push is not switched on.
func (s *Store) StartRun(ctx context.Context, run ReportRun, hand *ByHand) (ReportRun, error) {
	var busy ReportRun
	err := s.inTx(ctx, "start a run of push "+run.Push, func(tx *sql.Tx) error {
		var err error
		if busy, err = s.activeRun(ctx, tx, run.Workspace, run.Push); err == nil {
			return ErrBusy
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
		if hand != nil {
			if err := hand.check(ctx, tx, run); err != nil {
				return err
			}
		}
		var day, number int64
		err = tx.QueryRowContext(ctx, "SELECT day, number FROM report_schedules WHERE workspace = $1 AND push = $2 AND enabled = 1",
			run.Workspace, run.Push).Scan(&day, &number)
		if errors.Is(err, sql.ErrNoRows) || err == nil && run.Day != NoDay && day >= run.Day {
			return ErrStale
		}
		if err != nil {
			return err
		}
		run.Number, run.Status = number+1, RunRunning
		// Somebody may have started one since we looked: the unique indexes let one in.
		if added, err := insertRun(ctx, tx, run); err != nil || !added {
			return errors.Join(err, ErrStale)
		}
		_, err = tx.ExecContext(ctx, `UPDATE report_schedules SET number = $3, day = CASE WHEN day < $4 THEN $4 ELSE day END
			WHERE workspace = $1 AND push = $2`, run.Workspace, run.Push, run.Number, run.Day)
		if err != nil || hand == nil {
			return err
		}
		return insertAudit(ctx, tx, AuditEntry{Act: hand.By, Workspace: run.Workspace, Kind: KindRun, Target: run.ID})
	})
	if errors.Is(err, ErrBusy) {
		return busy, ErrBusy
	}
	return run, err
}

// MissDay notes that a push had no run on a day; nothing if it had one or that is noted. The run needs no number, for it writes
// nothing.
func (s *Store) MissDay(ctx context.Context, run ReportRun) error {
	return s.inTx(ctx, "note a missed day of push "+run.Push, func(tx *sql.Tx) error {
		run.Number, run.Status = 0, RunMissed
		if _, err := insertRun(ctx, tx, run); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE report_schedules SET day = $3 WHERE workspace = $1 AND push = $2 AND day < $3",
			run.Workspace, run.Push, run.Day)
		return err
	})
}

func (s *Store) activeRun(ctx context.Context, tx *sql.Tx, workspace, push string) (ReportRun, error) {
	return scanRun(tx.QueryRowContext(ctx, "SELECT "+runColumns+" FROM report_runs WHERE workspace = $1 AND push = $2 AND status = $3",
		workspace, push, RunRunning))
}

// check refuses one run by hand too many (WALK-24).
func (h *ByHand) check(ctx context.Context, tx *sql.Tx, run ReportRun) error {
	var n int
	err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM report_runs WHERE workspace = $1 AND push = $2 AND day IS NULL AND started_at > $3`,
		run.Workspace, run.Push, micros(h.Since)).Scan(&n)
	if err == nil && n >= h.Most {
		return ErrTooOften
	}
	return err
}

func insertRun(ctx context.Context, tx *sql.Tx, r ReportRun) (bool, error) {
	var day, ended any
	if r.Day != NoDay {
		day = r.Day
	}
	if !r.EndedAt.IsZero() {
		ended = micros(r.EndedAt)
	}
	marks := make([]string, 38)
	for i := range marks {
		marks[i] = fmt.Sprintf("$%d", i+1)
	}
	zero := make([]any, 13)
	for i := range zero {
		zero[i] = 0
	}
	result, err := tx.ExecContext(ctx, "INSERT INTO report_runs ("+runColumns+") VALUES ("+strings.Join(marks, ", ")+") ON CONFLICT DO NOTHING",
		append([]any{
			r.Workspace, r.ID, r.Push, r.PushVersion, r.Number, r.Cause, r.Report, r.ReportName, r.Object, r.Connection, day,
			micros(r.StartedAt), ended, r.Status, r.Reason, r.Detail, "", nil, r.Tolerated, "", 0, 0, 1, 0, "",
		}, zero...)...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// Run reads one run.
func (s *Store) Run(ctx context.Context, workspace, id string) (ReportRun, error) {
	return scanRun(s.read.QueryRowContext(ctx, "SELECT "+runColumns+" FROM report_runs WHERE workspace = $1 AND id = $2", workspace, id))
}

// RunsQuery selects runs of one workspace.
type RunsQuery struct {
	Workspace string
	// Push is empty for all.
	Push string
	// Before continues behind this run of an earlier answer; zero: from the newest.
	Before   time.Time
	BeforeID string
	Limit    int
}

// Runs reads runs, newest first.
func (s *Store) Runs(ctx context.Context, q RunsQuery) ([]ReportRun, error) {
	where, args := "workspace = $1", []any{q.Workspace} // promise 9
	if q.Push != "" {
		args = append(args, q.Push)
		where += fmt.Sprintf(" AND push = $%d", len(args))
	}
	if !q.Before.IsZero() {
		args = append(args, micros(q.Before), q.BeforeID)
		where += fmt.Sprintf(" AND (started_at, id) < ($%d, $%d)", len(args)-1, len(args))
	}
	args = append(args, q.Limit)
	return s.queryRuns(ctx, where+fmt.Sprintf(" ORDER BY started_at DESC, id DESC LIMIT $%d", len(args)), args...)
}

func (s *Store) queryRuns(ctx context.Context, where string, args ...any) ([]ReportRun, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT "+runColumns+" FROM report_runs WHERE "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []ReportRun
	for rows.Next() {
		r, err := scanRun(rows)
		if err != nil {
			return nil, fmt.Errorf("read runs: %w", err)
		}
		out = append(out, r)
	}
	return out, rows.Err()
}
