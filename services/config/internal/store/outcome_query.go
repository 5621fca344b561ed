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

// statusWritten is the status that outcomes_by_trouble leaves out, noReason the reason that outcomes_by_reason does.
const (
	statusWritten = 1
	noReason      = 0
)

// Outcomes returns the newest rows that match, newest first.
func (s *Store) Outcomes(ctx context.Context, q OutcomeQuery) ([]Outcome, error) {
	query, args := q.sql(s.dialect.bucketed)
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

func (q *OutcomeQuery) sql(bucketed bool) (string, []any) {
	where, args := q.conditions()
	with, from := "", "outcomes"
	// Either database would rather read the index by time, which is in the order of the answer: SQLite always, PostgreSQL as long as it
	// has no statistics. So the index is named to the one; the other finds the rows by the hash alone, and looks at the rest afterwards.
	switch id, index := q.byID(), q.index(); {
	case bucketed && index != "":
		from += " INDEXED BY " + index
		if id != nil {
			where += " AND bucket IN (SELECT bucket FROM outcome_buckets)"
		}
	case id != nil:
		args = append(args, refHash(q.Workspace, id.value))
		with = fmt.Sprintf("WITH found AS MATERIALIZED (SELECT * FROM outcomes WHERE %s = $%d) ", id.hash, len(args))
		from = "found"
	}
	args = append(args, q.Limit)
	return fmt.Sprintf("%sSELECT %s FROM %s WHERE %s ORDER BY decided_at DESC, outcome_id DESC LIMIT $%d",
		with, outcomeColumns, from, where, len(args)), args
}

// ids are the columns by which rows are found, the one with the fewest rows per id first.
func (q *OutcomeQuery) ids() []idFilter {
	return []idFilter{
		{"event_id", "event_hash", "outcomes_by_event", q.EventID},
		{"write_key", "write_hash", "outcomes_by_write", q.WriteKey},
		{"record_id", "record_hash", "outcomes_by_record", q.RecordID},
		{"visit_id", "visit_hash", "outcomes_by_visit", q.VisitID},
		{"engagement_id", "engagement_hash", "outcomes_by_engagement", q.EngagementID},
	}
}

type idFilter struct{ column, hash, index, value string }

// byID is the id to look up, nil when none is given.
func (q *OutcomeQuery) byID() *idFilter {
	for _, id := range q.ids() {
		if id.value != "" {
			return &id
		}
	}
	return nil
}

// index is the one to look up, or "" when the database finds it by itself.
func (q *OutcomeQuery) index() string {
	id := q.byID()
	switch {
	case id != nil:
		return id.index
	case q.Reason != noReason:
		return "outcomes_by_reason"
	}
	return ""
}

// conditions builds the WHERE clause; every value is a parameter. Promise 9: the workspace always comes first.
func (q *OutcomeQuery) conditions() (string, []any) {
	where, args := []string{"workspace = $1"}, []any{q.Workspace}
	add := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		where = append(where, condition)
	}
	for _, id := range q.ids() {
		if id.value != "" {
			add(id.hash+" = ? AND "+id.column+" = ?", refHash(q.Workspace, id.value), id.value)
		}
	}
	if q.Status != 0 {
		add("status = ?", q.Status)
	}
	if q.Status != 0 && q.Status != statusWritten {
		add(fmt.Sprintf("status <> %d", statusWritten)) // word for word as in the index, so that it is used
	}
	if q.Reason != noReason {
		add("reason = ?", q.Reason)
		add(fmt.Sprintf("reason <> %d", noReason)) // as above
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
