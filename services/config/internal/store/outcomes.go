package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Outcome is one row of the run log.
type Outcome struct {
	Workspace, ID string
	DecidedAt     time.Time
	Stage         string
	Status        int32
	Reason        int32
	// What it is about; empty where it does not apply.
	EventID, VisitID, EngagementID, WriteKey, RecordID string
	// Body is the outcome as it came.
	Body []byte
}

type outcomeID struct{ workspace, id string }

func (o *Outcome) key() outcomeID { return outcomeID{o.Workspace, o.ID} }

// outcomeColumns is in the order of Outcome.args.
const outcomeColumns = "workspace, outcome_id, decided_at, stage, status, reason, " +
	"event_id, visit_id, engagement_id, write_key, record_id, body"

// hashColumns follow outcomeColumns in an insert.
const hashColumns = "event_hash, visit_hash, engagement_hash, write_hash, record_hash"

const outcomeArgs = 17

func (o *Outcome) args(args []any) []any {
	return append(args, o.Workspace, o.ID, micros(o.DecidedAt), o.Stage, o.Status, o.Reason,
		nullable(o.EventID), nullable(o.VisitID), nullable(o.EngagementID), nullable(o.WriteKey), nullable(o.RecordID), o.Body,
		refHash(o.Workspace, o.EventID), refHash(o.Workspace, o.VisitID), refHash(o.Workspace, o.EngagementID),
		refHash(o.Workspace, o.WriteKey), refHash(o.Workspace, o.RecordID))
}

// refHash leads to the rows of an id: FNV-1a of workspace and id, NULL for none. It is stored; never change it.
func refHash(workspace, id string) any {
	if id == "" {
		return nil
	}
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(workspace) {
		h = (h ^ uint64(workspace[i])) * prime
	}
	h *= prime // as after a zero byte
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * prime
	}
	return int64(h) //nolint:gosec // all 64 bits count, as a sign too
}

// insertSizes are the numbers of rows one insert takes, largest first: one statement per row would cost several times
// as much.
var insertSizes = []int{128, 16, 1}

func (s *Store) prepare(ctx context.Context) error {
	s.insert = map[int]*sql.Stmt{}
	for _, size := range insertSizes {
		stmt, err := s.write.PrepareContext(ctx, s.insertOutcomes(size))
		if err != nil {
			return fmt.Errorf("prepare run log: %w", err)
		}
		s.insert[size] = stmt
	}
	return nil
}

func (s *Store) insertOutcomes(rows int) string {
	var q strings.Builder
	q.WriteString("INSERT INTO outcomes (" + outcomeColumns + ", " + hashColumns + ") VALUES ")
	for row := range rows {
		q.WriteString("(")
		for col := range outcomeArgs {
			q.WriteString(s.dialect.placeholder(row*outcomeArgs + col + 1))
			if col < outcomeArgs-1 {
				q.WriteByte(',')
			}
		}
		q.WriteString(")")
		if row < rows-1 {
			q.WriteByte(',')
		}
	}
	q.WriteString(" ON CONFLICT DO NOTHING RETURNING workspace, outcome_id")
	return q.String()
}

// RecordOutcomes stores a batch in one transaction. An outcome that is there already is replaced by a later decision
// and otherwise left alone, and is counted once either way, so that a batch may be repeated (promise 5).
func (s *Store) RecordOutcomes(ctx context.Context, batch []Outcome) error {
	if len(batch) == 0 {
		return nil
	}
	batch = newestOfEach(batch)
	return s.inTx(ctx, "record outcomes", func(tx *sql.Tx) error {
		counts := counter{}
		added, err := s.addOutcomes(ctx, tx, batch)
		if err != nil {
			return err
		}
		for i := range batch {
			o := &batch[i]
			if _, ok := added[o.key()]; ok {
				counts.add(o, 1)
			} else if err := s.replaceOutcome(ctx, tx, o, counts); err != nil {
				return err
			}
		}
		return counts.apply(ctx, tx)
	})
}

// newestOfEach keeps the latest decision per id and sorts, so that concurrent batches lock rows in one order.
func newestOfEach(batch []Outcome) []Outcome {
	sorted := slices.Clone(batch)
	for i := range sorted {
		o := &sorted[i]
		o.Workspace, o.ID, o.Stage = cleaned(o.Workspace), cleaned(o.ID), cleaned(o.Stage)
	}
	slices.SortStableFunc(sorted, func(a, b Outcome) int {
		return cmp.Or(strings.Compare(a.Workspace, b.Workspace), strings.Compare(a.ID, b.ID), a.DecidedAt.Compare(b.DecidedAt))
	})
	kept := sorted[:0]
	for i := range sorted {
		if i+1 == len(sorted) || sorted[i].key() != sorted[i+1].key() {
			kept = append(kept, sorted[i])
		}
	}
	return kept
}

// addOutcomes inserts the rows whose ids are new and returns those ids.
func (s *Store) addOutcomes(ctx context.Context, tx *sql.Tx, batch []Outcome) (map[outcomeID]struct{}, error) {
	added := make(map[outcomeID]struct{}, len(batch))
	args := make([]any, 0, insertSizes[0]*outcomeArgs)
	for _, size := range insertSizes {
		stmt := tx.StmtContext(ctx, s.insert[size])
		for ; len(batch) >= size; batch = batch[size:] {
			args = args[:0]
			for i := range size {
				args = batch[i].args(args)
			}
			if err := collectAdded(ctx, stmt, args, added); err != nil {
				return nil, err
			}
		}
	}
	return added, nil
}

func collectAdded(ctx context.Context, stmt *sql.Stmt, args []any, added map[outcomeID]struct{}) error {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id outcomeID
		if err := rows.Scan(&id.workspace, &id.id); err != nil {
			return err
		}
		added[id] = struct{}{}
	}
	return rows.Err()
}

func (s *Store) replaceOutcome(ctx context.Context, tx *sql.Tx, o *Outcome, counts counter) error {
	old := Outcome{Workspace: o.Workspace, ID: o.ID}
	var decided int64
	err := tx.QueryRowContext(ctx, `SELECT decided_at, stage, status, reason FROM outcomes
		WHERE workspace = $1 AND outcome_id = $2`+s.dialect.lockRows, o.Workspace, o.ID).
		Scan(&decided, &old.Stage, &old.Status, &old.Reason)
	if err != nil {
		return err
	}
	if old.DecidedAt = fromMicros(decided); micros(o.DecidedAt) <= decided {
		return nil // the same one again, or an older waypoint
	}
	_, err = tx.ExecContext(ctx, `UPDATE outcomes SET decided_at = $3, stage = $4, status = $5, reason = $6, event_id = $7,
		visit_id = $8, engagement_id = $9, write_key = $10, record_id = $11, body = $12, event_hash = $13, visit_hash = $14,
		engagement_hash = $15, write_hash = $16, record_hash = $17
		WHERE workspace = $1 AND outcome_id = $2`, o.args(nil)...)
	counts.add(&old, -1)
	counts.add(o, 1)
	return err
}

// PurgeOutcomes deletes up to limit rows per workspace decided before the given time and returns the most it deleted of
// one: less than limit means that nothing is left. Their counts stay.
func (s *Store) PurgeOutcomes(ctx context.Context, before time.Time, limit int) (int64, error) {
	workspaces, err := s.recordedWorkspaces(ctx)
	if err != nil {
		return 0, fmt.Errorf("purge run log: %w", err)
	}
	var most int64
	for _, workspace := range workspaces {
		result, err := s.write.ExecContext(ctx, `DELETE FROM outcomes WHERE workspace = $1 AND outcome_id IN
			(SELECT outcome_id FROM outcomes WHERE workspace = $1 AND decided_at < $2 ORDER BY decided_at LIMIT $3)`,
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

// recordedWorkspaces are those that the run log knows, whether or not they have settings.
func (s *Store) recordedWorkspaces(ctx context.Context) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT DISTINCT workspace FROM outcome_counts")
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

// PurgeCounts deletes the counts of any workspace for hours before the given time.
func (s *Store) PurgeCounts(ctx context.Context, before time.Time) error {
	_, err := s.write.ExecContext(ctx, "DELETE FROM outcome_counts WHERE hour < $1", hourOf(before))
	if err != nil {
		return fmt.Errorf("purge run log counts: %w", err)
	}
	return nil
}
