package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// OutcomeQuery selects rows of the run log. Empty fields do not filter.
type OutcomeQuery struct {
	Workspace                                          string
	EventID, VisitID, EngagementID, WriteKey, RecordID string
	Status, Reason                                     int32
	// From is inclusive, To exclusive.
	From, To time.Time
	// After continues behind this row of an earlier answer.
	After OutcomePosition
	Limit int
}

// OutcomePosition is the place of one row in the order of answers.
type OutcomePosition struct {
	DecidedAt time.Time
	ID        string
}

// statusWritten is the status that outcomes_by_trouble leaves out.
const statusWritten = 1

// Outcomes returns the newest rows that match, newest first.
func (s *Store) Outcomes(ctx context.Context, q OutcomeQuery) ([]Outcome, error) {
	where, args := q.conditions(s.dialect.bucketed)
	args = append(args, q.Limit)
	query := fmt.Sprintf("SELECT %s FROM outcomes WHERE %s ORDER BY decided_at DESC, outcome_id DESC LIMIT $%d",
		outcomeColumns, where, len(args))
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read run log of %s: %w", q.Workspace, err)
	}
	defer func() { _ = rows.Close() }()
	var out []Outcome
	for rows.Next() {
		var o Outcome
		var decided int64
		var event, visit, engagement, write, record *string
		err := rows.Scan(&o.Workspace, &o.ID, &decided, &o.Stage, &o.Status, &o.Reason,
			&event, &visit, &engagement, &write, &record, &o.Body)
		if err != nil {
			return nil, fmt.Errorf("read run log of %s: %w", q.Workspace, err)
		}
		o.DecidedAt = fromMicros(decided)
		o.EventID, o.VisitID, o.EngagementID = text(event), text(visit), text(engagement)
		o.WriteKey, o.RecordID = text(write), text(record)
		out = append(out, o)
	}
	return out, rows.Err()
}

// conditions builds the WHERE clause; every value is a parameter. Promise 9: the workspace always comes first.
func (q *OutcomeQuery) conditions(bucketed bool) (string, []any) {
	where, args := []string{"workspace = $1"}, []any{q.Workspace}
	add := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		where = append(where, condition)
	}
	for _, id := range []struct{ column, value string }{
		{"event_id", q.EventID},
		{"visit_id", q.VisitID},
		{"engagement_id", q.EngagementID},
		{"write_key", q.WriteKey},
		{"record_id", q.RecordID},
	} {
		if id.value != "" {
			add(id.column+" = ?", id.value)
		}
	}
	if q.Status != 0 {
		add("status = ?", q.Status)
	}
	if q.Status != 0 && q.Status != statusWritten {
		add(fmt.Sprintf("status <> %d", statusWritten)) // word for word as in the index, so that it is used
	}
	if q.Reason != 0 {
		add("reason = ?", q.Reason)
	}
	if !q.From.IsZero() {
		add("decided_at >= ?", micros(q.From))
	}
	if !q.To.IsZero() {
		add("decided_at < ?", micros(q.To))
	}
	if q.After.ID != "" {
		at := micros(q.After.DecidedAt)
		add("decided_at <= ?", at)
		add("(decided_at < ? OR outcome_id < ?)", at, q.After.ID)
	}
	return strings.Join(where, " AND "), args
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
