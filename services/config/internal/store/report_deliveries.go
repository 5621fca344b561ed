package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ReportDelivery is a complete delivery of a report.
type ReportDelivery struct {
	Workspace, Report, ID string
	CompletedAt           time.Time
	// Reason is why it must not be pushed; 0 for a whole one.
	Reason int32
	Body   []byte
}

// NoteDelivery keeps a delivery. One that is there already stays, unless it was broken and this one is whole.
func (s *Store) NoteDelivery(ctx context.Context, d ReportDelivery) error {
	_, err := s.write.ExecContext(ctx, `INSERT INTO report_deliveries (workspace, report, id, completed_at, reason, body)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace, report, id) DO UPDATE SET
		completed_at = excluded.completed_at, reason = excluded.reason, body = excluded.body
		WHERE report_deliveries.reason <> 0 AND excluded.reason = 0`,
		d.Workspace, d.Report, d.ID, micros(d.CompletedAt), d.Reason, d.Body)
	if err != nil {
		return fmt.Errorf("note delivery of report %s of workspace %s: %w", d.Report, d.Workspace, err)
	}
	return nil
}

// NewestDelivery reads the newest delivery of a report, and whether a run of the push has completed with it.
func (s *Store) NewestDelivery(ctx context.Context, workspace, report, push string) (d ReportDelivery, done bool, err error) {
	d = ReportDelivery{Workspace: workspace, Report: report}
	var at, runs int64
	err = s.read.QueryRowContext(ctx, `SELECT id, completed_at, reason, body,
		(SELECT COUNT(*) FROM report_runs r WHERE r.workspace = d.workspace AND r.push = $3 AND r.delivery = d.id
			AND r.report = d.report AND r.status = $4)
		FROM report_deliveries d WHERE workspace = $1 AND report = $2 ORDER BY completed_at DESC, id DESC LIMIT 1`,
		workspace, report, push, RunCompleted).Scan(&d.ID, &at, &d.Reason, &d.Body, &runs)
	if errors.Is(err, sql.ErrNoRows) {
		return d, false, ErrNotFound
	}
	if err != nil {
		return d, false, fmt.Errorf("read deliveries of report %s of workspace %s: %w", report, workspace, err)
	}
	d.CompletedAt = fromMicros(at)
	return d, runs > 0, nil
}
