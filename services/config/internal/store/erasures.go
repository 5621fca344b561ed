package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Erasure is one request to forget a person.
type Erasure struct {
	Workspace, ID string
	RequestedAt   time.Time
	Done          bool
	// PersonKeys are those of the person's addresses, sorted.
	PersonKeys []string
	// Body is the erasure with its certificate, as it was given.
	Body []byte
	// Act goes to the audit log when it is started.
	Act Act
}

const erasureColumns = "workspace, id, requested_at, done, person_keys, body"

// StartErasure saves an erasure, suppresses its people and deletes their exports and proposals, all at once, and raises the revision. An
// erasure of the very same people that is not done is returned in its place, unless one of them was let in again since. The
// error is ErrTooMany when the workspace would have more than limit suppressions.
func (s *Store) StartErasure(ctx context.Context, e Erasure, limit int) (Erasure, error) {
	started := e
	err := s.inTx(ctx, "start an erasure", func(tx *sql.Tx) error {
		if err := dropProposals(ctx, tx, e); err != nil {
			return err
		}
		running, err := scanErasure(tx.QueryRowContext(ctx, `SELECT `+erasureColumns+` FROM erasures
			WHERE workspace = $1 AND done = 0 AND person_keys = $2 AND (SELECT COUNT(*) FROM suppressions
				WHERE suppressions.workspace = erasures.workspace AND erasure = erasures.id AND lifted_at IS NULL) = $3
			ORDER BY requested_at LIMIT 1`, e.Workspace, joinKeys(e.PersonKeys), len(e.PersonKeys)))
		if err == nil {
			started = running
			return nil
		}
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		if err := suppress(ctx, tx, e, limit); err != nil {
			return err
		}
		if err := dropExports(ctx, tx, e); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO erasures (`+erasureColumns+`) VALUES ($1, $2, $3, 0, $4, $5)`,
			e.Workspace, e.ID, micros(e.RequestedAt), joinKeys(e.PersonKeys), e.Body)
		if err != nil {
			return err
		}
		if err := insertAudit(ctx, tx, AuditEntry{Act: e.Act, Workspace: e.Workspace, Kind: "erasure", Target: e.ID}); err != nil {
			return err
		}
		return s.raise(ctx, tx, e.Workspace)
	})
	if err != nil {
		return Erasure{}, err
	}
	s.saved()
	return started, nil
}

// Erasure reads one; the error is ErrNotFound if there is none.
func (s *Store) Erasure(ctx context.Context, workspace, id string) (Erasure, error) {
	return scanErasure(s.read.QueryRowContext(ctx,
		"SELECT "+erasureColumns+" FROM erasures WHERE workspace = $1 AND id = $2", workspace, id))
}

// ErasurePosition is the place of one erasure in the order of answers.
type ErasurePosition struct {
	RequestedAt time.Time
	ID          string
}

// Erasures reads a workspace's, newest first, behind a position; the zero position is the beginning.
func (s *Store) Erasures(ctx context.Context, workspace string, after ErasurePosition, limit int) ([]Erasure, error) {
	before := int64(maxMicros)
	if after.ID != "" {
		before = micros(after.RequestedAt)
	}
	return s.queryErasures(ctx, `WHERE workspace = $1 AND requested_at <= $2 AND (requested_at < $2 OR id < $3 OR $3 = '')
		ORDER BY requested_at DESC, id DESC LIMIT $4`, workspace, before, after.ID, limit)
}

// ErasuresToDo reads those of all workspaces that are not done, oldest first. It serves the work on them.
func (s *Store) ErasuresToDo(ctx context.Context, limit int) ([]Erasure, error) {
	return s.queryErasures(ctx, "WHERE done = 0 ORDER BY requested_at LIMIT $1", limit)
}

func (s *Store) queryErasures(ctx context.Context, where string, args ...any) ([]Erasure, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT "+erasureColumns+" FROM erasures "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read erasures: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Erasure
	for rows.Next() {
		e, err := scanErasure(rows)
		if err != nil {
			return nil, fmt.Errorf("read erasures: %w", err)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// EraseOutcomes deletes rows of the run log, found by ScanOutcomes, and lets change note that in the erasure's body, in one
// transaction: what is gone is told. So do rows of report runs. change is given the body as it is now and how many rows were deleted; it returns the
// new body, and whether the erasure is done by that. Without rows only the body changes.
func (s *Store) EraseOutcomes(ctx context.Context, e Erasure, rows []OutcomeRow, change func(body []byte, deleted int64) ([]byte, bool, error)) error {
	return s.inTx(ctx, "erase from the run log", func(tx *sql.Tx) error {
		now, err := scanErasure(tx.QueryRowContext(ctx, "SELECT "+erasureColumns+` FROM erasures
			WHERE workspace = $1 AND id = $2`+s.dialect.lockRows, e.Workspace, e.ID))
		if err != nil {
			return err
		}
		deleted, err := dropRunRows(ctx, tx, now)
		if err != nil {
			return err
		}
		for i := range rows {
			result, err := tx.ExecContext(ctx, "DELETE FROM outcomes WHERE id_hash = $1 AND workspace = $2 AND outcome_id = $3",
				rows[i].hash, e.Workspace, rows[i].ID)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			deleted += n
		}
		body, done, err := change(now.Body, deleted)
		if err != nil {
			return err
		}
		doneFlag := 0
		if done || now.Done {
			doneFlag = 1
		}
		_, err = tx.ExecContext(ctx, "UPDATE erasures SET body = $1, done = $2 WHERE workspace = $3 AND id = $4",
			body, doneFlag, e.Workspace, e.ID)
		return err
	})
}

// OutcomeRow is a row of the run log with its place.
type OutcomeRow struct {
	ID        string
	DecidedAt time.Time
	Body      []byte
	hash      int64
}

// ScanOutcomes reads a workspace's rows, the oldest first, behind a position; the zero position is the beginning.
func (s *Store) ScanOutcomes(ctx context.Context, workspace string, after OutcomePosition, limit int) ([]OutcomeRow, error) {
	from := int64(-maxMicros)
	if after.ID != "" {
		from = micros(after.DecidedAt)
	}
	rows, err := s.read.QueryContext(ctx, `SELECT id_hash, outcome_id, decided_at, body FROM outcomes
		WHERE workspace = $1 AND decided_at >= $2 AND (decided_at > $2 OR outcome_id > $3)
		ORDER BY decided_at, outcome_id LIMIT $4`, workspace, from, after.ID, limit)
	if err != nil {
		return nil, fmt.Errorf("read run log of %s: %w", workspace, err)
	}
	defer func() { _ = rows.Close() }()
	var out []OutcomeRow
	for rows.Next() {
		var row OutcomeRow
		var decided int64
		if err := rows.Scan(&row.hash, &row.ID, &decided, &row.Body); err != nil {
			return nil, fmt.Errorf("read run log of %s: %w", workspace, err)
		}
		row.DecidedAt = fromMicros(decided)
		out = append(out, row)
	}
	return out, rows.Err()
}

func scanErasure(row interface{ Scan(dest ...any) error }) (Erasure, error) {
	var e Erasure
	var at int64
	var done int
	var keys string
	err := row.Scan(&e.Workspace, &e.ID, &at, &done, &keys, &e.Body)
	if errors.Is(err, sql.ErrNoRows) {
		return Erasure{}, ErrNotFound
	}
	e.RequestedAt, e.Done, e.PersonKeys = fromMicros(at), done != 0, strings.Fields(keys)
	return e, err
}

func joinKeys(keys []string) string { return strings.Join(keys, " ") }

// inList returns the parameters for an IN list that follows those given first.
func inList(values []string, first ...any) (string, []any) {
	args := first
	names := make([]string, len(values))
	for i, v := range values {
		args = append(args, v)
		names[i] = "$" + strconv.Itoa(len(args))
	}
	return strings.Join(names, ", "), args
}
