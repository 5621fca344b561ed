package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Export is a request for everything that is held of a person, and the answer.
type Export struct {
	Workspace, ID          string
	RequestedAt, ExpiresAt time.Time
	// PersonKeys are those of the person's addresses, sorted.
	PersonKeys []string
	// Body is the export without the document.
	Body []byte
	// Sealed is the document; nil until it is ready.
	Sealed []byte
	// Act goes to the audit log when it is asked for.
	Act Act
}

const exportColumns = "workspace, id, requested_at, expires_at, person_keys, body, sealed"

// AddExport saves a request.
func (s *Store) AddExport(ctx context.Context, e Export) error {
	return s.inTx(ctx, "save an export of "+e.Workspace, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO exports (`+exportColumns+`) VALUES ($1, $2, $3, $4, $5, $6, NULL)`,
			e.Workspace, e.ID, micros(e.RequestedAt), micros(e.ExpiresAt), joinKeys(e.PersonKeys), e.Body)
		if err != nil {
			return err
		}
		return insertAudit(ctx, tx, AuditEntry{Act: e.Act, Workspace: e.Workspace, Kind: "export", Target: e.ID})
	})
}

// FinishExport saves the document. It is no error if the request is gone: the person was erased, or it has expired.
func (s *Store) FinishExport(ctx context.Context, e Export) error {
	_, err := s.write.ExecContext(ctx, "UPDATE exports SET body = $1, sealed = $2 WHERE workspace = $3 AND id = $4 AND sealed IS NULL",
		e.Body, e.Sealed, e.Workspace, e.ID)
	if err != nil {
		return fmt.Errorf("save an export of %s: %w", e.Workspace, err)
	}
	return nil
}

// Export reads one that has not expired at a time; the error is ErrNotFound otherwise.
func (s *Store) Export(ctx context.Context, workspace, id string, now time.Time) (Export, error) {
	e, err := scanExport(s.read.QueryRowContext(ctx, `SELECT `+exportColumns+` FROM exports
		WHERE workspace = $1 AND id = $2 AND expires_at > $3`, workspace, id, micros(now)))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Export{}, fmt.Errorf("read an export of %s: %w", workspace, err)
	}
	return e, err
}

// ExportsToDo reads requests of all workspaces that have no answer yet, oldest first. It serves the work on them.
func (s *Store) ExportsToDo(ctx context.Context, limit int) ([]Export, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT `+exportColumns+` FROM exports
		WHERE sealed IS NULL ORDER BY requested_at LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("read exports: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Export
	for rows.Next() {
		e, err := scanExport(rows)
		if err != nil {
			return nil, fmt.Errorf("read exports: %w", err)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// PurgeExports deletes those that have expired at a time.
func (s *Store) PurgeExports(ctx context.Context, now time.Time) error {
	if _, err := s.write.ExecContext(ctx, "DELETE FROM exports WHERE expires_at <= $1", micros(now)); err != nil {
		return fmt.Errorf("purge exports: %w", err)
	}
	return nil
}

// dropExports deletes what was gathered of the people who are being erased.
func dropExports(ctx context.Context, tx *sql.Tx, e Erasure) error {
	rows, err := tx.QueryContext(ctx, "SELECT id, person_keys FROM exports WHERE workspace = $1", e.Workspace)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var about []string
	for rows.Next() {
		var id, keys string
		if err := rows.Scan(&id, &keys); err != nil {
			return err
		}
		if slices.ContainsFunc(strings.Fields(keys), func(key string) bool { return slices.Contains(e.PersonKeys, key) }) {
			about = append(about, id)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, id := range about {
		if _, err := tx.ExecContext(ctx, "DELETE FROM exports WHERE workspace = $1 AND id = $2", e.Workspace, id); err != nil {
			return err
		}
	}
	return nil
}

func scanExport(row interface{ Scan(dest ...any) error }) (Export, error) {
	var e Export
	var requested, expires int64
	var keys string
	err := row.Scan(&e.Workspace, &e.ID, &requested, &expires, &keys, &e.Body, &e.Sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return Export{}, ErrNotFound
	}
	e.RequestedAt, e.ExpiresAt, e.PersonKeys = fromMicros(requested), fromMicros(expires), strings.Fields(keys)
	return e, err
}
