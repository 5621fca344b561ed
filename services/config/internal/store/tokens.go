package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// AccessToken is the token in use of one connection.
type AccessToken struct {
	Workspace, Connection string
	// Sealed is the token and where to use it.
	Sealed    []byte
	ExpiresAt time.Time
}

// NewToken is an access token with what it changed.
type NewToken struct {
	AccessToken
	// Generation is that of the credentials it was got with.
	Generation int64
	// Credentials replaces the sealed credentials, after a rotation; nil keeps them.
	Credentials []byte
	// By is whose call changes the credentials, for the audit log; nil for a rotation, which is nobody's doing.
	By *Act
}

// tokenQuery is asked once per hand-out; preparing it each time would take three quarters of the time.
const tokenQuery = `SELECT t.sealed, t.expires_at FROM access_tokens t JOIN documents d
	ON d.workspace = t.workspace AND d.kind = $1 AND d.id = t.connection AND d.sealed_generation = t.generation
	WHERE t.workspace = $2 AND t.connection = $3`

// Token returns the access token got with the connection's present credentials; the error is ErrNotFound if there is none.
func (s *Store) Token(ctx context.Context, workspace, connection string) (AccessToken, error) {
	out := AccessToken{Workspace: workspace, Connection: connection}
	var expires int64
	err := s.token.QueryRowContext(ctx, KindConnection, workspace, connection).Scan(&out.Sealed, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return AccessToken{}, ErrNotFound
	}
	if err != nil {
		return AccessToken{}, fmt.Errorf("read access token: %w", err)
	}
	out.ExpiresAt = fromMicros(expires)
	return out, nil
}

// SaveToken stores a token and, with it, rotated credentials: both or neither. The error is ErrStale if somebody changed
// the credentials since Generation was read; the token then belongs to credentials that are no longer wanted.
func (s *Store) SaveToken(ctx context.Context, token NewToken) error {
	return s.inTx(ctx, "save access token of "+token.Connection, func(tx *sql.Tx) error {
		rotated := changed(token.Credentials)
		result, err := tx.ExecContext(ctx, `UPDATE documents SET sealed = COALESCE($1, sealed),
			sealed_generation = sealed_generation + $2
			WHERE workspace = $3 AND kind = $4 AND id = $5 AND sealed_generation = $6`,
			token.Credentials, rotated, token.Workspace, KindConnection, token.Connection, token.Generation)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrStale)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO access_tokens (workspace, connection, generation, sealed, expires_at)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT (workspace, connection) DO UPDATE SET
			generation = excluded.generation, sealed = excluded.sealed, expires_at = excluded.expires_at`,
			token.Workspace, token.Connection, token.Generation+int64(rotated), token.Sealed, micros(token.ExpiresAt))
		if err != nil || token.By == nil {
			return err
		}
		return insertAudit(ctx, tx, AuditEntry{Act: *token.By, Workspace: token.Workspace, Kind: string(KindConnection), Target: token.Connection})
	})
}

// Lease is the right to ask for a connection's next token, for a while.
type Lease struct {
	Workspace, Connection string
	// Holder tells one attempt from every other, of this process and of others.
	Holder string
	Until  time.Time
}

// AcquireLease takes the lease if nobody holds it at now, and reports whether it did.
func (s *Store) AcquireLease(ctx context.Context, lease Lease, now time.Time) (bool, error) {
	result, err := s.write.ExecContext(ctx, `INSERT INTO refresh_leases (workspace, connection, holder, until)
		VALUES ($1, $2, $3, $4) ON CONFLICT (workspace, connection) DO UPDATE SET
		holder = excluded.holder, until = excluded.until WHERE refresh_leases.until <= $5`,
		lease.Workspace, lease.Connection, lease.Holder, micros(lease.Until), micros(now))
	if err != nil {
		return false, fmt.Errorf("take refresh lease of %s: %w", lease.Connection, err)
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// ReleaseLease gives the lease back if it is still the holder's.
func (s *Store) ReleaseLease(ctx context.Context, lease Lease) error {
	_, err := s.write.ExecContext(ctx, "DELETE FROM refresh_leases WHERE workspace = $1 AND connection = $2 AND holder = $3",
		lease.Workspace, lease.Connection, lease.Holder)
	if err != nil {
		return fmt.Errorf("release refresh lease of %s: %w", lease.Connection, err)
	}
	return nil
}
