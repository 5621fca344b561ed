package store

import (
	"context"
	"fmt"
	"strings"
)

// RunChunks reads the chunks of a run, by number.
func (s *Store) RunChunks(ctx context.Context, workspace, run string) ([][]byte, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT body FROM report_run_chunks WHERE workspace = $1 AND run = $2 ORDER BY number", workspace, run)
	if err != nil {
		return nil, fmt.Errorf("read chunks of run %s: %w", run, err)
	}
	defer func() { _ = rows.Close() }()
	var out [][]byte
	for rows.Next() {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		out = append(out, body)
	}
	return out, rows.Err()
}

// RunRows reads up to limit rows of a run behind one of an earlier answer, by number and outcome.
func (s *Store) RunRows(ctx context.Context, workspace, run string, after RunRow, limit int) ([]RunRow, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT number, outcome, body FROM report_run_rows
		WHERE workspace = $1 AND run = $2 AND (number, outcome) > ($3, $4) ORDER BY number, outcome LIMIT $5`,
		workspace, run, after.Number, after.Outcome, limit)
	if err != nil {
		return nil, fmt.Errorf("read rows of run %s: %w", run, err)
	}
	defer func() { _ = rows.Close() }()
	var out []RunRow
	for rows.Next() {
		var row RunRow
		if err := rows.Scan(&row.Number, &row.Outcome, &row.Body); err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, rows.Err()
}

// PurgeRuns deletes, per workspace, the rows and chunks of up to limit runs that ended before one cutoff, with what they worked
// with and deliveries as old, and up to limit runs that ended before another. It returns the most runs it touched of one
// workspace by one of these: less than limit means that nothing is left.
func (s *Store) PurgeRuns(ctx context.Context, rows, runs Cutoff, limit int) (int64, error) {
	workspaces, err := s.runningWorkspaces(ctx)
	if err != nil {
		return 0, fmt.Errorf("purge runs: %w", err)
	}
	var most int64
	for _, workspace := range workspaces {
		for _, part := range []struct {
			cutoff Cutoff
			purge  func(ctx context.Context, workspace string, before int64, limit int) (int64, error)
		}{{rows, s.purgeRunRows}, {runs, s.purgeRuns}} {
			before := part.cutoff(workspace)
			if before.IsZero() {
				continue
			}
			n, err := part.purge(ctx, workspace, micros(before), limit)
			if err != nil {
				return 0, fmt.Errorf("purge runs of %s: %w", workspace, err)
			}
			most = max(most, n)
		}
	}
	return most, nil
}

func (s *Store) runningWorkspaces(ctx context.Context) ([]string, error) {
	return s.workspaces(ctx, strings.ReplaceAll(recordedWorkspaces, "outcome_counts", "report_runs"))
}

// purgeRunRows empties a run by its body: one without is empty already.
func (s *Store) purgeRunRows(ctx context.Context, workspace string, before int64, limit int) (int64, error) {
	const old = `(SELECT id FROM report_runs WHERE workspace = $1 AND ended_at < $2 AND body IS NOT NULL ORDER BY ended_at, id LIMIT $3)`
	for _, statement := range []string{
		"DELETE FROM report_run_rows WHERE workspace = $1 AND run IN " + old,
		"DELETE FROM report_run_writes WHERE workspace = $1 AND run IN " + old,
		"DELETE FROM report_run_chunks WHERE workspace = $1 AND run IN " + old,
	} {
		if _, err := s.write.ExecContext(ctx, statement, workspace, before, limit); err != nil {
			return 0, err
		}
	}
	if _, err := s.write.ExecContext(ctx, "DELETE FROM report_deliveries WHERE workspace = $1 AND completed_at < $2", workspace, before); err != nil {
		return 0, err
	}
	result, err := s.write.ExecContext(ctx, "UPDATE report_runs SET body = NULL WHERE workspace = $1 AND id IN "+old, workspace, before, limit)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (s *Store) purgeRuns(ctx context.Context, workspace string, before int64, limit int) (int64, error) {
	result, err := s.write.ExecContext(ctx, `DELETE FROM report_runs WHERE workspace = $1 AND body IS NULL AND id IN
		(SELECT id FROM report_runs WHERE workspace = $1 AND ended_at < $2 AND body IS NULL ORDER BY ended_at, id LIMIT $3)`,
		workspace, before, limit)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// DoubtfulRuns reads the last ended run of every switched-on push, of all workspaces, but for those that completed with at least half of
// their rows matched, which are beyond doubt. It serves looking for what is in the way.
func (s *Store) DoubtfulRuns(ctx context.Context) ([]ReportRun, error) {
	return s.queryRuns(ctx, doubtful, RunCompleted)
}

// doubtful looks up one run a push, by index; of a run, rows is what the match rate is of (WALK-40).
const doubtful = `(workspace, id) IN (SELECT p.workspace, (SELECT l.id FROM report_runs l WHERE l.workspace = p.workspace AND l.push = p.push
		AND l.ended_at IS NOT NULL ORDER BY l.started_at DESC, l.id DESC LIMIT 1) FROM report_schedules p WHERE p.enabled = 1)
	AND (status <> $1 OR row_count = 0 OR 2 * (handed + unchanged + ambiguous) < row_count - equal_rows - repeated_keys)
	ORDER BY workspace, push`
