package store

import (
	"context"
	"database/sql"
	"fmt"
)

// SealedTable is one of the places where sealed values lie.
type SealedTable string

// The places.
const (
	// SealedDocuments are workspaces' keys and connections' credentials.
	SealedDocuments SealedTable = "documents"
	// SealedTokens are access tokens in use; their rows have the kind KindConnection and the connection's id.
	SealedTokens SealedTable = "access_tokens"
	// SealedFlows are what attempts at connecting an org have to keep secret; their rows have the table's name for a kind, and the flow's id.
	SealedFlows SealedTable = "connect_flows"
	// SealedRevocations are tokens that are still to be revoked; their rows have the table's name for a kind, and the revocation's id.
	SealedRevocations SealedTable = "revocations"
)

// SealedTables lists all of them.
func SealedTables() []SealedTable {
	return []SealedTable{SealedDocuments, SealedTokens, SealedFlows, SealedRevocations}
}

// SealedRow is one sealed value and what it belongs to.
type SealedRow struct {
	Table SealedTable
	Key
	Sealed []byte
}

// sealedQuery reads the rows after a key, in its order.
var sealedQuery = map[SealedTable]string{
	SealedDocuments: `SELECT workspace, kind, id, sealed FROM documents
		WHERE sealed IS NOT NULL AND LENGTH(sealed) > 0 AND (workspace, kind, id) > ($1, $2, $3) ORDER BY workspace, kind, id LIMIT $4`,
	SealedTokens: `SELECT workspace, $1, connection, sealed FROM access_tokens
		WHERE (workspace, connection) > ($2, $3) ORDER BY workspace, connection LIMIT $4`,
	SealedFlows: `SELECT workspace, $1, id, sealed FROM connect_flows
		WHERE sealed IS NOT NULL AND (workspace, id) > ($2, $3) ORDER BY workspace, id LIMIT $4`,
	SealedRevocations: `SELECT workspace, $1, id, sealed FROM revocations
		WHERE (workspace, id) > ($2, $3) ORDER BY workspace, id LIMIT $4`,
}

// SealedRows reads up to limit sealed values of one table behind the key, in order of their keys; the zero Key begins. It
// serves the rotation of the installation's key, which concerns all workspaces, and shows nothing that is not sealed.
func (s *Store) SealedRows(ctx context.Context, table SealedTable, after Key, limit int) ([]SealedRow, error) {
	args := []any{after.Workspace, string(after.Kind), after.ID, limit}
	if table != SealedDocuments {
		kind := Kind(table)
		if table == SealedTokens {
			kind = KindConnection
		}
		args = []any{string(kind), after.Workspace, after.ID, limit}
	}
	rows, err := s.read.QueryContext(ctx, sealedQuery[table], args...)
	if err != nil {
		return nil, fmt.Errorf("read sealed %s: %w", table, err)
	}
	defer func() { _ = rows.Close() }()
	var out []SealedRow
	for rows.Next() {
		row := SealedRow{Table: table}
		if err := rows.Scan(&row.Workspace, &row.Kind, &row.ID, &row.Sealed); err != nil {
			return nil, fmt.Errorf("read sealed %s: %w", table, err)
		}
		out = append(out, row)
	}
	return out, rows.Err()
}

var replaceQuery = map[SealedTable]string{
	SealedDocuments:   "UPDATE documents SET sealed = $1 WHERE sealed = $2 AND workspace = $3 AND kind = $4 AND id = $5",
	SealedTokens:      "UPDATE access_tokens SET sealed = $1 WHERE sealed = $2 AND workspace = $3 AND $4 <> '' AND connection = $5",
	SealedFlows:       "UPDATE connect_flows SET sealed = $1 WHERE sealed = $2 AND workspace = $3 AND $4 <> '' AND id = $5",
	SealedRevocations: "UPDATE revocations SET sealed = $1 WHERE sealed = $2 AND workspace = $3 AND $4 <> '' AND id = $5",
}

// ReplaceSealed puts next, the same value sealed anew, in place of the row's bytes, and reports whether they were still
// there: what somebody saved since is never replaced. Version and generation stay, for what is sealed has not changed.
func (s *Store) ReplaceSealed(ctx context.Context, row SealedRow, next []byte) (bool, error) {
	result, err := s.write.ExecContext(ctx, replaceQuery[row.Table], next, row.Sealed, row.Workspace, string(row.Kind), row.ID)
	if err != nil {
		return false, fmt.Errorf("seal %s %s of workspace %s anew: %w", row.Kind, row.ID, row.Workspace, err)
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// RaiseRevision makes watchers take all settings again, after a change that made no version.
func (s *Store) RaiseRevision(ctx context.Context) error {
	err := s.inTx(ctx, "raise settings revision", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "UPDATE revision SET value = value + 1 WHERE id = 1"); err != nil {
			return err
		}
		return s.announceChange(ctx, tx) // of which nobody is told whose it is, so that everything is read
	})
	if err == nil {
		s.saved()
	}
	return err
}
