package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// PushSchedule is where the schedule of a push stands.
type PushSchedule struct {
	Workspace, Push string
	// Day is the newest day since 1970 that had its run or was missed.
	Day int64
	// FailedDays is how many scheduled runs failed one after the other.
	FailedDays int64
}

// PushChange is what saving a push means for its schedule and for a run under way.
type PushChange struct {
	Enabled bool
	// Fresh begins the schedule after Day and forgets failures: the push is new, or was switched on.
	Fresh bool
	Day   int64
	// Stop ends a run under way after its current chunk, with this reason for people; empty: it goes on (WALK-35).
	Stop string
}

// PutPush saves a push as Put does, together with its schedule.
func (s *Store) PutPush(ctx context.Context, save Save, change PushChange) error {
	err := s.inTx(ctx, "save push "+save.ID, func(tx *sql.Tx) error {
		if err := s.put(ctx, tx, save); err != nil {
			return err
		}
		if err := stopRuns(ctx, tx, save.Key, change.Stop, save.At); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO report_schedules (workspace, push, enabled, day, number, failed_days)
			VALUES ($1, $2, $3, $4, 0, 0) ON CONFLICT (workspace, push) DO UPDATE SET enabled = excluded.enabled,
			day = CASE WHEN $5 = 1 THEN excluded.day ELSE report_schedules.day END,
			failed_days = CASE WHEN $5 = 1 THEN 0 ELSE report_schedules.failed_days END`,
			save.Workspace, save.ID, flag(change.Enabled), change.Day, flag(change.Fresh))
		return err
	})
	if err == nil {
		s.saved()
	}
	return err
}

// DeletePush deletes a push and its versions, and ends a run under way after its current chunk. Its log stays. The errors are
// those of Put; Body of the save is not used.
func (s *Store) DeletePush(ctx context.Context, save Save, stop string) error {
	return s.deleting(ctx, save, func(tx *sql.Tx) error {
		if err := stopRuns(ctx, tx, save.Key, stop, save.At); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM broken_pushes WHERE workspace = $1 AND push = $2", save.Workspace, save.ID); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE report_schedules SET enabled = 0 WHERE workspace = $1 AND push = $2", save.Workspace, save.ID)
		return err
	})
}

// DeleteReport deletes a report with its versions and the notes of its deliveries. The errors are those of Put.
func (s *Store) DeleteReport(ctx context.Context, save Save) error {
	return s.deleting(ctx, save, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM report_deliveries WHERE workspace = $1 AND report = $2", save.Workspace, save.ID)
		return err
	})
}

// deleting deletes a setting and its history, for one with the same id may be created again, and what else goes with it.
func (s *Store) deleting(ctx context.Context, save Save, also func(*sql.Tx) error) error {
	err := s.inTx(ctx, "delete "+string(save.Kind)+" "+save.ID, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "DELETE FROM documents WHERE workspace = $1 AND kind = $2 AND id = $3 AND version = $4",
			save.Workspace, save.Kind, save.ID, save.Expected)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, notTheNewest(ctx, tx, save.Key))
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM history WHERE workspace = $1 AND kind = $2 AND id = $3",
			save.Workspace, save.Kind, save.ID); err != nil {
			return err
		}
		if err := also(tx); err != nil {
			return err
		}
		if err := insertAudit(ctx, tx, save.audit()); err != nil {
			return err
		}
		return s.raise(ctx, tx, save.Workspace)
	})
	if err == nil {
		s.saved()
	}
	return err
}

// stopRuns asks for the end of a push's run under way, and ends one that nobody works on at once.
func stopRuns(ctx context.Context, tx *sql.Tx, push Key, why string, now time.Time) error {
	if why == "" {
		return nil
	}
	return stopWhere(ctx, tx, why, now, "workspace = $1 AND push = $2", push.Workspace, push.ID)
}

// DuePushes reads the switched-on pushes that had no run on a day or later, of all workspaces, for the schedule.
func (s *Store) DuePushes(ctx context.Context, day int64) ([]PushSchedule, error) {
	return s.querySchedules(ctx, "enabled = 1 AND day < $1 ORDER BY day, workspace, push", day)
}

// FailingPushes reads the switched-on pushes with at least so many failed days in a row, of all workspaces.
func (s *Store) FailingPushes(ctx context.Context, days int64) ([]PushSchedule, error) {
	return s.querySchedules(ctx, "enabled = 1 AND failed_days >= $1 ORDER BY workspace, push", days)
}

func (s *Store) querySchedules(ctx context.Context, where string, args ...any) ([]PushSchedule, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT workspace, push, day, failed_days FROM report_schedules WHERE "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read schedules of pushes: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []PushSchedule
	for rows.Next() {
		var p PushSchedule
		if err := rows.Scan(&p.Workspace, &p.Push, &p.Day, &p.FailedDays); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

// EnabledPushes counts the switched-on pushes of all workspaces.
func (s *Store) EnabledPushes(ctx context.Context) (int64, error) {
	var n int64
	err := s.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM report_schedules WHERE enabled = 1").Scan(&n)
	return n, err
}

// ScheduledDay returns the newest day of a push that had its run or was missed.
func (s *Store) ScheduledDay(ctx context.Context, workspace, push string) (int64, error) {
	var day int64
	err := s.read.QueryRowContext(ctx, "SELECT day FROM report_schedules WHERE workspace = $1 AND push = $2", workspace, push).Scan(&day)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, ErrNotFound
	}
	return day, err
}

func flag(on bool) int {
	if on {
		return 1
	}
	return 0
}
