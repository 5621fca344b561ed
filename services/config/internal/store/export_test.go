package store

import (
	"context"
	"database/sql"
	"strings"
)

// Plans returns how the database answers what is asked of the run log, each as its EXPLAIN has it, over one connection that the
// settings are made on first.
func (s *Store) Plans(ctx context.Context, asked map[string]OutcomeQuery, settings ...string) (plans map[string]string, err error) {
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	for _, setting := range settings {
		if _, err := conn.ExecContext(ctx, setting); err != nil {
			return nil, err
		}
	}
	explain := "EXPLAIN (COSTS OFF) "
	if s.dialect.bucketed {
		explain = "EXPLAIN QUERY PLAN "
	}
	plans = map[string]string{}
	for name, q := range asked {
		query, args := q.sql(s.dialect.bucketed)
		if plans[name], err = planOf(ctx, conn, explain+query, args...); err != nil {
			return nil, err
		}
	}
	for name, query := range map[string]string{
		"outcome by id": outcomeByID, "workspaces": recordedWorkspaces, "old ones": oldOutcomes,
		"doubtful runs": "SELECT " + runColumns + " FROM report_runs WHERE " + doubtful,
	} {
		args := map[string][]any{
			"outcome by id": {1, 2, 3, 4, "acme", "x"}, "workspaces": nil, "old ones": {"acme", 1, 500}, "doubtful runs": {RunCompleted},
		}[name]
		if plans[name], err = planOf(ctx, conn, explain+query, args...); err != nil {
			return nil, err
		}
	}
	return plans, nil
}

func planOf(ctx context.Context, conn *sql.Conn, query string, args ...any) (string, error) {
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		return "", err
	}
	var plan strings.Builder
	line := make([]any, len(columns))
	for i := range line {
		line[i] = new(sql.NullString)
	}
	for rows.Next() {
		if err := rows.Scan(line...); err != nil {
			return "", err
		}
		plan.WriteString(line[len(line)-1].(*sql.NullString).String + "\n")
	}
	return plan.String(), rows.Err()
}

// Analyze gathers statistics of the run log.
func (s *Store) Analyze(ctx context.Context) error {
	_, err := s.write.ExecContext(ctx, "ANALYZE")
	return err
}
