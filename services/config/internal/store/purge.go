package store

import (
	"context"
	"fmt"
	"time"
)

// Purge says what is to be deleted: up to Limit rows from before a time, but for those of some workspaces.
type Purge struct {
	Before time.Time
	Except []string
	Limit  int
}

// spare returns the condition that leaves out Except, and the parameters with those given first.
func (p Purge) spare(column string, first ...any) (condition string, args []any) {
	if len(p.Except) == 0 {
		return "", first
	}
	names, args := inList(p.Except, first...)
	return " AND " + column + " NOT IN (" + names + ")", args
}

// Cutoff returns the time before which a workspace's rows are too old; zero keeps all of them.
type Cutoff func(workspace string) time.Time

// PurgeOutcomes deletes up to limit rows per workspace decided before its cutoff and returns the most it deleted of one:
// less than limit means that nothing is left. Their counts stay.
func (s *Store) PurgeOutcomes(ctx context.Context, cutoff Cutoff, limit int) (int64, error) {
	workspaces, err := s.recordedWorkspaces(ctx)
	if err != nil {
		return 0, fmt.Errorf("purge run log: %w", err)
	}
	var most int64
	for _, workspace := range workspaces {
		before := cutoff(workspace)
		if before.IsZero() {
			continue
		}
		result, err := s.write.ExecContext(ctx, "DELETE FROM outcomes WHERE id_hash IN ("+oldOutcomes+")",
			workspace, micros(before), limit)
		if err != nil {
			return 0, fmt.Errorf("purge run log of %s: %w", workspace, err)
		}
		n, err := result.RowsAffected()
		if err != nil {
			return 0, fmt.Errorf("purge run log of %s: %w", workspace, err)
		}
		most = max(most, n)
	}
	return most, nil
}

// oldOutcomes finds the oldest of a workspace, by time.
const oldOutcomes = "SELECT id_hash FROM outcomes WHERE workspace = $1 AND decided_at < $2 ORDER BY decided_at LIMIT $3"

// recordedWorkspaces are those that the run log knows, whether or not they have settings.
func (s *Store) recordedWorkspaces(ctx context.Context) ([]string, error) {
	return s.workspaces(ctx, recordedWorkspaces)
}

// recordedWorkspaces goes from one workspace to the next by the primary key: DISTINCT would read every count of 13 months, before every
// batch that is deleted.
const recordedWorkspaces = `WITH RECURSIVE next(workspace) AS (
	SELECT MIN(workspace) FROM outcome_counts
	UNION ALL
	SELECT (SELECT MIN(workspace) FROM outcome_counts WHERE workspace > next.workspace) FROM next WHERE next.workspace IS NOT NULL
) SELECT workspace FROM next WHERE workspace IS NOT NULL`

// workspaces reads a query's only column.
func (s *Store) workspaces(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var workspace string
		if err := rows.Scan(&workspace); err != nil {
			return nil, err
		}
		out = append(out, workspace)
	}
	return out, rows.Err()
}

// PurgeCounts deletes the counts of each workspace for hours, and for days of integrations, before its cutoff.
func (s *Store) PurgeCounts(ctx context.Context, cutoff Cutoff) error {
	workspaces, err := s.recordedWorkspaces(ctx)
	if err != nil {
		return fmt.Errorf("purge run log counts: %w", err)
	}
	for _, workspace := range workspaces {
		before := cutoff(workspace)
		if before.IsZero() {
			continue
		}
		_, err := s.write.ExecContext(ctx, "DELETE FROM outcome_counts WHERE workspace = $1 AND hour < $2", workspace, hourOf(before))
		if err != nil {
			return fmt.Errorf("purge run log counts of %s: %w", workspace, err)
		}
		_, err = s.write.ExecContext(ctx, "DELETE FROM integration_days WHERE workspace = $1 AND day < $2", workspace, dayOf(before))
		if err != nil {
			return fmt.Errorf("purge days of integrations of %s: %w", workspace, err)
		}
	}
	return nil
}
