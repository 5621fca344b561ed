package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// DestroyKeys saves a new version of a workspace's document without its keys, and takes the sealed credentials and access
// tokens of all its connections with them, in one transaction: nothing that was sealed for the workspace can be read from
// then on, wherever it lies. There is no way back. The errors are those of Put; Sealed of the save is not used. Calling it
// again for a workspace without keys makes no version and only clears the database file once more.
//
// SQLite's file and its log hold the bytes no longer when it returns. PostgreSQL keeps old row versions until it reuses
// their space, and every database its backups: those open with the installation's key.
func (s *Store) DestroyKeys(ctx context.Context, save Save) error {
	err := s.inTx(ctx, "destroy the keys of workspace "+save.Workspace, func(tx *sql.Tx) error {
		if err := s.erasing(ctx, tx, true); err != nil {
			return err
		}
		return errors.Join(s.destroy(ctx, tx, save), s.erasing(ctx, tx, false))
	})
	if err == nil {
		s.saved()
		return s.clearLog(ctx)
	}
	return err
}

func (s *Store) destroy(ctx context.Context, tx *sql.Tx, save Save) error {
	var version int64
	var sealed []byte
	err := tx.QueryRowContext(ctx, "SELECT version, sealed FROM documents WHERE workspace = $1 AND kind = $2 AND id = $3",
		save.Workspace, KindWorkspace, save.ID).Scan(&version, &sealed)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	case err != nil:
		return err
	case len(sealed) == 0:
		return nil
	case version != save.Expected:
		return ErrStale
	}
	result, err := tx.ExecContext(ctx, `UPDATE documents SET version = version + 1, body = $1, sealed = NULL,
		sealed_generation = sealed_generation + 1, saved_at = $2, saved_by = $3
		WHERE workspace = $4 AND kind = $5 AND id = $6 AND version = $7`,
		save.Body, micros(save.At), save.Author, save.Workspace, KindWorkspace, save.ID, save.Expected)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, ErrStale)
	}
	if _, err = tx.ExecContext(ctx, `INSERT INTO history
		(workspace, kind, id, version, body, sealed_changed, saved_at, saved_by) VALUES ($1, $2, $3, $4, $5, 1, $6, $7)`,
		save.Workspace, KindWorkspace, save.ID, save.Expected+1, save.Body, micros(save.At), save.Author); err != nil {
		return err
	}
	// A higher generation: a token that is being got with the old credentials finds no place.
	if _, err = tx.ExecContext(ctx, `UPDATE documents SET sealed = NULL, sealed_generation = sealed_generation + 1
		WHERE workspace = $1 AND sealed IS NOT NULL`, save.Workspace); err != nil {
		return err
	}
	if _, err = tx.ExecContext(ctx, "DELETE FROM access_tokens WHERE workspace = $1", save.Workspace); err != nil {
		return err
	}
	for _, statement := range []string{
		"UPDATE connect_flows SET sealed = NULL WHERE workspace = $1", "DELETE FROM revocations WHERE workspace = $1",
		"DELETE FROM exports WHERE workspace = $1", "DELETE FROM drafts WHERE workspace = $1",
		"DELETE FROM erasure_proposals WHERE workspace = $1",
		"DELETE FROM notices WHERE workspace = $1", "DELETE FROM notice_tellings WHERE workspace = $1",
	} {
		if _, err = tx.ExecContext(ctx, statement, save.Workspace); err != nil {
			return err
		}
	}
	if err := insertAudit(ctx, tx, save.audit()); err != nil {
		return err
	}
	return s.raise(ctx, tx, save.Workspace)
}

// erasing makes SQLite write zeros over what it deletes, freed pages included.
func (s *Store) erasing(ctx context.Context, tx *sql.Tx, on bool) error {
	if s.dialect.name != "sqlite" {
		return nil
	}
	mode := "FAST" // as the file was opened
	if on {
		mode = "ON"
	}
	var now int
	return tx.QueryRowContext(ctx, "PRAGMA secure_delete="+mode).Scan(&now)
}

// clearLog moves SQLite's log into the file and empties it: it holds the pages as they were.
func (s *Store) clearLog(ctx context.Context) error {
	if s.dialect.name != "sqlite" {
		return nil
	}
	var busy, pages, moved int
	if err := s.write.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved); err != nil {
		return fmt.Errorf("the keys are destroyed; clear the database's log: %w", err)
	}
	if busy != 0 {
		return errors.New("the keys are destroyed, but a long read kept the database's log from being cleared: call again")
	}
	return nil
}
