package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// OperatorAccess lets an operator of the platform read a workspace's data for a while.
type OperatorAccess struct {
	Workspace, ID, Operator, Reason, GrantedBy string
	GrantedAt, ExpiresAt                       time.Time
	// RevokedAt is zero if it was not.
	RevokedAt time.Time
}

const operatorColumns = "workspace, id, operator, reason, granted_at, granted_by, expires_at, revoked_at"

// GrantOperatorAccess stores a grant; the error is ErrNotFound if there is no such workspace.
func (s *Store) GrantOperatorAccess(ctx context.Context, a OperatorAccess, by Act) error {
	return s.inTx(ctx, "grant access of "+a.Operator, func(tx *sql.Tx) error {
		if err := s.lockWorkspace(ctx, tx, a.Workspace); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO operator_access ("+operatorColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, NULL)",
			a.Workspace, a.ID, a.Operator, a.Reason, micros(a.GrantedAt), a.GrantedBy, micros(a.ExpiresAt))
		if err != nil {
			return err
		}
		return insertAudit(ctx, tx, AuditEntry{Act: by, Workspace: a.Workspace, Kind: "operator", Target: a.Operator})
	})
}

// RevokeOperatorAccess ends a grant and returns it. One that has ended stays as it is, and nothing is audited.
func (s *Store) RevokeOperatorAccess(ctx context.Context, workspace, id string, by Act) (OperatorAccess, error) {
	var out OperatorAccess
	err := s.inTx(ctx, "revoke access "+id, func(tx *sql.Tx) error {
		var err error
		out, err = scanOperator(tx.QueryRowContext(ctx, "SELECT "+operatorColumns+" FROM operator_access WHERE workspace = $1 AND id = $2"+
			s.dialect.lockRows, workspace, id))
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil || !out.RevokedAt.IsZero() || !out.ExpiresAt.After(by.At) {
			return err
		}
		out.RevokedAt = fromMicros(micros(by.At))
		_, err = tx.ExecContext(ctx, "UPDATE operator_access SET revoked_at = $1 WHERE workspace = $2 AND id = $3", micros(by.At), workspace, id)
		if err != nil {
			return err
		}
		return insertAudit(ctx, tx, AuditEntry{Act: by, Workspace: workspace, Kind: "operator", Target: out.Operator})
	})
	return out, err
}

// OperatorAccess reads up to limit grants of a workspace, newest first, ended ones too.
func (s *Store) OperatorAccess(ctx context.Context, workspace string, limit int) ([]OperatorAccess, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT "+operatorColumns+` FROM operator_access WHERE workspace = $1
		ORDER BY granted_at DESC, id DESC LIMIT $2`, workspace, limit)
	if err != nil {
		return nil, fmt.Errorf("read operators' access to %s: %w", workspace, err)
	}
	defer func() { _ = rows.Close() }()
	var out []OperatorAccess
	for rows.Next() {
		a, err := scanOperator(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

// OpenTo returns the workspaces that an operator may read at now.
func (s *Store) OpenTo(ctx context.Context, operator string, now time.Time) ([]string, error) {
	out, err := s.workspaces(ctx, `SELECT DISTINCT workspace FROM operator_access
		WHERE operator = $1 AND expires_at > $2 AND revoked_at IS NULL ORDER BY workspace`, operator, micros(now))
	if err != nil {
		return nil, fmt.Errorf("read access of %s: %w", operator, err)
	}
	return out, nil
}

func scanOperator(row interface{ Scan(dest ...any) error }) (OperatorAccess, error) {
	var a OperatorAccess
	var granted, expires int64
	var revoked *int64
	err := row.Scan(&a.Workspace, &a.ID, &a.Operator, &a.Reason, &granted, &a.GrantedBy, &expires, &revoked)
	a.GrantedAt, a.ExpiresAt = fromMicros(granted), fromMicros(expires)
	if revoked != nil {
		a.RevokedAt = fromMicros(*revoked)
	}
	return a, err
}
