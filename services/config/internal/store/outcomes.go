package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
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
	// Integration is the rule that made it; an outcome's id is of one rule for ever. It is counted and not kept with the row.
	Integration string
	// Row is the row of a report's run that it is about; nil for others. An outcome's id is of one row for ever.
	Row *RowOf
	// Forget is set when an org says that the person is to be forgotten; an erasure is proposed then.
	Forget *Forget
	// Body is the outcome as it came.
	Body []byte
}

type outcomeID struct{ workspace, id string }

func (o *Outcome) key() outcomeID { return outcomeID{o.Workspace, o.ID} }

// outcomeColumns is in the order of Outcome.args.
const outcomeColumns = "workspace, outcome_id, decided_at, stage, status, reason, " +
	"event_id, visit_id, engagement_id, write_key, record_id, body"

// hashColumns follow outcomeColumns in an insert, and placeColumns follow these.
const (
	hashColumns  = "event_hash, visit_hash, engagement_hash, write_hash, record_hash"
	placeColumns = "id_hash, bucket"
	outcomeArgs  = 19
)

// place is where a row is kept: under which hash of its id, in which bucket.
type place struct{ hash, bucket int64 }

func (o *Outcome) args(args []any, at place) []any {
	return append(args, o.Workspace, o.ID, micros(o.DecidedAt), o.Stage, o.Status, o.Reason,
		nullable(o.EventID), nullable(o.VisitID), nullable(o.EngagementID), nullable(o.WriteKey), nullable(o.RecordID), o.Body,
		refHash(o.Workspace, o.EventID), refHash(o.Workspace, o.VisitID), refHash(o.Workspace, o.EngagementID),
		refHash(o.Workspace, o.WriteKey), refHash(o.Workspace, o.RecordID), at.hash, at.bucket)
}

// refHash leads to the rows of an id; NULL for none.
func refHash(workspace, id string) any {
	if id == "" {
		return nil
	}
	return idHash(workspace, cleaned(id))
}

// idHash is FNV-1a of workspace and id. It is stored; never change it.
func idHash(workspace, id string) int64 {
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
		stmt, err := s.write.PrepareContext(ctx, s.insertOutcomes(size)) //nolint:sqlclosecheck // Close does
		if err != nil {
			return fmt.Errorf("prepare run log: %w", err)
		}
		s.insert[size] = stmt
	}
	var err error
	if s.token, err = s.read.PrepareContext(ctx, tokenQuery); err != nil {
		return fmt.Errorf("prepare access tokens: %w", err)
	}
	return nil
}

func (s *Store) insertOutcomes(rows int) string {
	return "INSERT INTO outcomes (" + outcomeColumns + ", " + hashColumns + ", " + placeColumns + ") " +
		s.dialect.values(rows, outcomeArgs) + " ON CONFLICT DO NOTHING"
}

// RecordOutcomes stores a batch in one transaction. An outcome that is there already is replaced by a later decision
// and otherwise left alone, and is counted once either way, so that a batch may be repeated (promise 5). Erasures that orgs propose are
// noted.
func (s *Store) RecordOutcomes(ctx context.Context, batch []Outcome) error {
	if len(batch) == 0 {
		return nil
	}
	if err := s.propose(ctx, batch); err != nil {
		return err
	}
	batch = newestOfEach(batch)
	bucket, err := s.bucket.take(ctx, s, len(batch))
	if err != nil {
		return fmt.Errorf("record outcomes: %w", err)
	}
	err = s.inTx(ctx, "record outcomes", func(tx *sql.Tx) error { return s.addAll(ctx, tx, batch, bucket) })
	if !errors.Is(err, errRepeated) {
		return err
	}
	return s.inTx(ctx, "record outcomes", func(tx *sql.Tx) error { return s.addOrReplace(ctx, tx, batch, bucket) })
}

// errRepeated means that some outcome of a batch is there already.
var errRepeated = errors.New("an outcome is there already")

// addAll is the usual case: all are new. It inserts many rows at a time.
func (s *Store) addAll(ctx context.Context, tx *sql.Tx, batch []Outcome, bucket int64) error {
	counts := newTally()
	for i := range batch {
		counts.add(&batch[i], 1)
	}
	args := make([]any, 0, insertSizes[0]*outcomeArgs)
	for _, size := range insertSizes {
		stmt := tx.StmtContext(ctx, s.insert[size])
		for ; len(batch) >= size; batch = batch[size:] {
			args = args[:0]
			for i := range size {
				o := &batch[i]
				args = o.args(args, place{idHash(o.Workspace, o.ID), bucket})
			}
			if added, err := insertedBy(ctx, stmt, args); err != nil || added < int64(size) {
				return cmp.Or(err, errRepeated)
			}
		}
	}
	return counts.apply(ctx, s, tx)
}

// addOrReplace is what happens after a crash or a rebalance: it looks at each outcome alone.
func (s *Store) addOrReplace(ctx context.Context, tx *sql.Tx, batch []Outcome, bucket int64) error {
	counts := newTally()
	insert := tx.StmtContext(ctx, s.insert[1])
	for i := range batch {
		o := &batch[i]
		// Another outcome under the same hash moves this one on to the next.
		for at := (place{idHash(o.Workspace, o.ID), bucket}); ; at.hash++ {
			added, err := insertedBy(ctx, insert, o.args(nil, at))
			if err != nil {
				return err
			}
			if added == 1 {
				counts.add(o, 1)
				break
			}
			if same, err := s.replaceOutcome(ctx, tx, replacement{o, at.hash, counts}); err != nil {
				return err
			} else if same {
				break
			}
		}
	}
	return counts.apply(ctx, s, tx)
}

func insertedBy(ctx context.Context, stmt *sql.Stmt, args []any) (int64, error) {
	result, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// replacement is an outcome with the row that is there under its hash.
type replacement struct {
	outcome *Outcome
	hash    int64
	counts  tally
}

// replaceOutcome reports whether the row is this very outcome's, and replaces it by a later decision.
func (s *Store) replaceOutcome(ctx context.Context, tx *sql.Tx, r replacement) (bool, error) {
	o := r.outcome
	var old Outcome
	var decided, bucket int64
	err := tx.QueryRowContext(ctx, `SELECT workspace, outcome_id, bucket, decided_at, stage, status, reason FROM outcomes
		WHERE id_hash = $1`+s.dialect.lockRows, r.hash).
		Scan(&old.Workspace, &old.ID, &bucket, &decided, &old.Stage, &old.Status, &old.Reason)
	if err != nil {
		return false, err
	}
	if old.key() != o.key() {
		return false, nil
	}
	if old.DecidedAt = fromMicros(decided); micros(o.DecidedAt) <= decided {
		return true, nil // the same one again, or an older waypoint
	}
	_, err = tx.ExecContext(ctx, `UPDATE outcomes SET workspace = $1, outcome_id = $2, decided_at = $3, stage = $4,
		status = $5, reason = $6, event_id = $7, visit_id = $8, engagement_id = $9, write_key = $10, record_id = $11,
		body = $12, event_hash = $13, visit_hash = $14, engagement_hash = $15, write_hash = $16, record_hash = $17,
		bucket = $19 WHERE id_hash = $18`, o.args(nil, place{r.hash, bucket})...)
	old.Integration, old.Row = o.Integration, o.Row
	r.counts.add(&old, -1)
	r.counts.add(o, 1)
	return true, err
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
