package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Suppression keeps one erased person out.
type Suppression struct {
	Workspace, PersonKey string
	Since                time.Time
	// LiftedAt is zero while the suppression holds.
	LiftedAt time.Time
}

// ErrTooMany means that a limit is reached.
var ErrTooMany = errors.New("a limit is reached")

// suppress keeps the people of an erasure out from now on, also where a suppression had been lifted.
func suppress(ctx context.Context, tx *sql.Tx, e Erasure, limit int) error {
	for _, key := range e.PersonKeys {
		_, err := tx.ExecContext(ctx, `INSERT INTO suppressions (workspace, person_key, erasure, since) VALUES ($1, $2, $3, $4)
			ON CONFLICT (workspace, person_key) DO UPDATE SET erasure = excluded.erasure,
			since = CASE WHEN suppressions.lifted_at IS NULL THEN suppressions.since ELSE excluded.since END,
			lifted_at = NULL, lifted_by = NULL`, e.Workspace, key, e.ID, micros(e.RequestedAt))
		if err != nil {
			return err
		}
	}
	var n int
	err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM suppressions WHERE workspace = $1", e.Workspace).Scan(&n)
	if err == nil && n > limit {
		return ErrTooMany // promise 7
	}
	return err
}

// Lift ends the suppressions of people: what happens from then on counts again. It returns how many there were to end.
func (s *Store) Lift(ctx context.Context, workspace string, personKeys []string, act Act) (int, error) {
	lifted := 0
	err := s.inTx(ctx, "lift a suppression", func(tx *sql.Tx) error {
		for _, key := range personKeys {
			result, err := tx.ExecContext(ctx, `UPDATE suppressions SET lifted_at = $1, lifted_by = $2
				WHERE workspace = $3 AND person_key = $4 AND lifted_at IS NULL`, micros(act.At), act.Actor, workspace, key)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			lifted += int(n)
		}
		if lifted == 0 {
			return nil
		}
		if err := insertAudit(ctx, tx, AuditEntry{Act: act, Workspace: workspace, Kind: "suppression", Target: strconv.Itoa(lifted)}); err != nil {
			return err
		}
		return s.raise(ctx, tx, workspace)
	})
	if err == nil && lifted > 0 {
		s.saved()
	}
	return lifted, err
}

// LiftedSince returns when the last suppression of an erasure was lifted; zero while one of them holds, or when a later
// erasure has taken them over.
func (s *Store) LiftedSince(ctx context.Context, workspace, erasure string) (time.Time, error) {
	var all, lifted int
	var at sql.NullInt64
	err := s.read.QueryRowContext(ctx, `SELECT COUNT(*), COUNT(lifted_at), MAX(lifted_at) FROM suppressions
		WHERE workspace = $1 AND erasure = $2`, workspace, erasure).Scan(&all, &lifted, &at)
	if err != nil {
		return time.Time{}, fmt.Errorf("read suppressions of %s: %w", workspace, err)
	}
	if all == 0 || lifted < all {
		return time.Time{}, nil
	}
	return fromMicros(at.Int64), nil
}

// Suppressions reads those of some people of one workspace, by person key.
func (s *Store) Suppressions(ctx context.Context, workspace string, personKeys []string) ([]Suppression, error) {
	in, args := inList(personKeys, workspace)
	return querySuppressions(ctx, s.read, "WHERE workspace = $1 AND person_key IN ("+in+")", args...)
}

func querySuppressions(ctx context.Context, q queryer, where string, args ...any) ([]Suppression, error) {
	rows, err := q.QueryContext(ctx,
		"SELECT workspace, person_key, since, lifted_at FROM suppressions "+where+" ORDER BY workspace, person_key", args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []Suppression
	for rows.Next() {
		var one Suppression
		var since int64
		var lifted sql.NullInt64
		if err := rows.Scan(&one.Workspace, &one.PersonKey, &since, &lifted); err != nil {
			return nil, err
		}
		one.Since = fromMicros(since)
		if lifted.Valid {
			one.LiftedAt = fromMicros(lifted.Int64)
		}
		out = append(out, one)
	}
	return out, rows.Err()
}
