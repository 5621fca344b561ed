package store

import (
	"context"
	"database/sql"
	"time"
)

// ofConnection are the tables of what belongs to a connection and goes with it. Its versions stay, and so do tokens that are
// still to be revoked.
var ofConnection = []string{
	"access_tokens", "refresh_leases", "describes", "broken_integrations", "broken_pushes", "connection_states", "connection_history", "connect_flows",
	"connection_diagnoses",
}

// DeleteConnection deletes a connection of which the expected version is the newest, with all that was found out through it.
// Its id cannot be used again: what is on its way, and what the pipeline has noted of writes to its org, is known by it
// (promises 4 and 5). The errors are ErrNotFound and ErrStale.
func (s *Store) DeleteConnection(ctx context.Context, workspace, connection string, expected int64, by Act) error {
	err := s.inTx(ctx, "delete connection "+connection, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "DELETE FROM documents WHERE workspace = $1 AND kind = $2 AND id = $3 AND version = $4",
			workspace, KindConnection, connection, expected)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return err
		}
		if n != 1 {
			return notTheNewest(ctx, tx, Key{workspace, KindConnection, connection})
		}
		for _, table := range ofConnection {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE workspace = $1 AND connection = $2", workspace, connection); err != nil {
				return err
			}
		}
		if err := insertAudit(ctx, tx, AuditEntry{Act: by, Workspace: workspace, Kind: string(KindConnection), Target: connection}); err != nil {
			return err
		}
		return s.raise(ctx, tx, workspace)
	})
	if err == nil {
		s.saved()
	}
	return err
}

// notDeleted keeps the ids of deleted settings from being used again. Of those the newest version stays in the history.
func notDeleted(ctx context.Context, tx *sql.Tx, key Key) error {
	var versions int
	err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM history h WHERE h.workspace = $1 AND h.kind = $2 AND h.id = $3
		AND NOT EXISTS (SELECT 1 FROM documents d WHERE d.workspace = h.workspace AND d.kind = h.kind AND d.id = h.id)`,
		key.Workspace, key.Kind, key.ID).Scan(&versions)
	if err == nil && versions > 0 {
		return ErrDeleted
	}
	return err
}

// Creation is when a setting was made and by whom. The zero value is not known.
type Creation struct {
	At time.Time
	By string
}

// Creations returns who made the settings of one kind, by id.
func (s *Store) Creations(ctx context.Context, workspace string, kind Kind) (map[string]Creation, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT id, created_at, created_by FROM documents WHERE workspace = $1 AND kind = $2 AND created_at > 0",
		workspace, kind)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[string]Creation{}
	for rows.Next() {
		var id, by string
		var at int64
		if err := rows.Scan(&id, &at, &by); err != nil {
			return nil, err
		}
		out[id] = Creation{At: fromMicros(at), By: by}
	}
	return out, rows.Err()
}
