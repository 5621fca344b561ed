package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// ErrPending means that another attempt at connecting the same connection is under way.
var ErrPending = errors.New("another attempt at connecting is under way")

// Flow is one attempt at connecting an org.
type Flow struct {
	ID, Workspace, Connection string
	// Actor began it.
	Actor     string
	SetupLink bool
	Status    configv1.FlowStatus
	// TicketHash is of the link's secret, StateHash of what the browser must bring to the next step, CookieHash of its cookie.
	TicketHash, StateHash, CookieHash []byte
	// Sealed is what the attempt needs; it is gone when the attempt has ended. Result may be read by anybody entitled.
	Sealed, Result       []byte
	CreatedAt, ExpiresAt time.Time
	// By is whose call makes this step, for the audit log; it is not kept here. Nil for browsers, whose steps the attempt's
	// status tells, and for time.
	By *Act
}

// audit writes down whose call makes a step, if it is one's.
func (f Flow) audit(ctx context.Context, tx *sql.Tx) error {
	if f.By == nil {
		return nil
	}
	return insertAudit(ctx, tx, AuditEntry{Act: *f.By, Workspace: f.Workspace, Kind: "connect_flow", Target: f.Connection})
}

// Pending reports whether the attempt has not ended.
func (f Flow) Pending() bool { return f.Status < configv1.FlowStatus_FLOW_STATUS_DONE }

// Revocation is a token that is to be revoked at Salesforce, sealed.
type Revocation struct {
	ID, Workspace, Connection string
	Sealed                    []byte
	// Attempts counts those that were begun.
	Attempts          int
	NextAt, CreatedAt time.Time
}

const flowColumns = `id, workspace, connection, actor, setup_link, status, ticket_hash, state_hash, cookie_hash, sealed, result,
	created_at, expires_at`

func scanFlow(row interface{ Scan(dest ...any) error }) (Flow, error) {
	var f Flow
	var link, status, created, expires int64
	err := row.Scan(&f.ID, &f.Workspace, &f.Connection, &f.Actor, &link, &status, &f.TicketHash, &f.StateHash, &f.CookieHash, &f.Sealed, &f.Result,
		&created, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return Flow{}, ErrNotFound
	}
	f.SetupLink, f.Status = link != 0, configv1.FlowStatus(status)
	f.CreatedAt, f.ExpiresAt = fromMicros(created), fromMicros(expires)
	return f, err
}

// CreateFlow stores a new attempt; the error is ErrPending if the connection has one that has not ended.
func (s *Store) CreateFlow(ctx context.Context, f Flow) error {
	return s.inTx(ctx, "begin connecting "+f.Connection, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "INSERT INTO connect_flows ("+flowColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING`,
			f.ID, f.Workspace, f.Connection, cleaned(f.Actor), bit(f.SetupLink), f.Status, f.TicketHash, f.StateHash, f.CookieHash, f.Sealed, f.Result,
			micros(f.CreatedAt), micros(f.ExpiresAt))
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrPending)
		}
		return f.audit(ctx, tx)
	})
}

// Flow reads one attempt.
func (s *Store) Flow(ctx context.Context, workspace, id string) (Flow, error) {
	return scanFlow(s.read.QueryRowContext(ctx, "SELECT "+flowColumns+" FROM connect_flows WHERE workspace = $1 AND id = $2", workspace, id))
}

// PendingFlow reads the connection's attempt that has not ended.
func (s *Store) PendingFlow(ctx context.Context, workspace, connection string) (Flow, error) {
	return scanFlow(s.read.QueryRowContext(ctx, "SELECT "+flowColumns+` FROM connect_flows
		WHERE workspace = $1 AND connection = $2 AND status < 5`, workspace, connection))
}

// FlowByTicket finds the attempt that a link belongs to. The secret says which workspace it is.
func (s *Store) FlowByTicket(ctx context.Context, hash []byte) (Flow, error) {
	return scanFlow(s.read.QueryRowContext(ctx, "SELECT "+flowColumns+" FROM connect_flows WHERE ticket_hash = $1", hash))
}

// FlowByState finds the attempt that a browser comes back to. The secret says which workspace it is.
func (s *Store) FlowByState(ctx context.Context, hash []byte) (Flow, error) {
	return scanFlow(s.read.QueryRowContext(ctx, "SELECT "+flowColumns+" FROM connect_flows WHERE state_hash = $1", hash))
}

// MoveFlow takes an attempt one step on, and with it stores what is to be revoked: both or neither. next is what the attempt
// becomes; its ticket, actor and creation stay. The error is ErrStale if the attempt is no longer as it was read: every step
// is made once.
func (s *Store) MoveFlow(ctx context.Context, was, next Flow, revoke *Revocation) error {
	return s.inTx(ctx, "continue connecting "+was.Connection, func(tx *sql.Tx) error {
		query := `UPDATE connect_flows SET status = $1, state_hash = $2, cookie_hash = $3, sealed = $4, result = $5, expires_at = $6
			WHERE workspace = $7 AND id = $8 AND status = $9`
		args := []any{
			next.Status, next.StateHash, next.CookieHash, next.Sealed, next.Result, micros(next.ExpiresAt),
			was.Workspace, was.ID, was.Status,
		}
		if was.StateHash != nil {
			query, args = query+" AND state_hash = $10", append(args, was.StateHash)
		}
		result, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrStale)
		}
		if err := insertRevocation(ctx, tx, revoke); err != nil {
			return err
		}
		return next.audit(ctx, tx)
	})
}

// ExpiredFlows finds attempts of all workspaces whose time is over, and forgets those that ended before old.
func (s *Store) ExpiredFlows(ctx context.Context, now, old time.Time, limit int) ([]Flow, error) {
	if _, err := s.write.ExecContext(ctx, "DELETE FROM connect_flows WHERE status >= 5 AND expires_at < $1", micros(old)); err != nil {
		return nil, fmt.Errorf("forget attempts at connecting: %w", err)
	}
	rows, err := s.read.QueryContext(ctx, "SELECT "+flowColumns+` FROM connect_flows
		WHERE expires_at <= $1 AND status < 5 ORDER BY expires_at LIMIT $2`, micros(now), limit)
	if err != nil {
		return nil, fmt.Errorf("find attempts at connecting: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Flow
	for rows.Next() {
		f, err := scanFlow(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, rows.Err()
}

func insertRevocation(ctx context.Context, tx *sql.Tx, r *Revocation) error {
	if r == nil {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO revocations (id, workspace, connection, sealed, attempts, next_at, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, r.ID, r.Workspace, r.Connection, r.Sealed, r.Attempts, micros(r.NextAt), micros(r.CreatedAt))
	return err
}

// ClaimRevocations takes up to limit tokens of all workspaces whose time has come, counts an attempt for each and puts it off
// until then.
func (s *Store) ClaimRevocations(ctx context.Context, now, then time.Time, limit int) ([]Revocation, error) {
	var out []Revocation
	err := s.inTx(ctx, "claim revocations", func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT id, workspace, connection, sealed, attempts, created_at FROM revocations
			WHERE next_at <= $1 ORDER BY next_at LIMIT $2`+s.dialect.lockRows, micros(now), limit)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var r Revocation
			var created int64
			if err := rows.Scan(&r.ID, &r.Workspace, &r.Connection, &r.Sealed, &r.Attempts, &created); err != nil {
				return err
			}
			r.Attempts++
			r.NextAt, r.CreatedAt = then, fromMicros(created)
			out = append(out, r)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		for _, r := range out {
			if _, err := tx.ExecContext(ctx, "UPDATE revocations SET attempts = $1, next_at = $2 WHERE id = $3", r.Attempts, micros(then), r.ID); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// PostponeRevocation sets when a token is tried again.
func (s *Store) PostponeRevocation(ctx context.Context, id string, at time.Time) error {
	_, err := s.write.ExecContext(ctx, "UPDATE revocations SET next_at = $1 WHERE id = $2", micros(at), id)
	if err != nil {
		return fmt.Errorf("postpone a revocation: %w", err)
	}
	return nil
}

// DropRevocation forgets a token that is revoked, or that is given up.
func (s *Store) DropRevocation(ctx context.Context, id string) error {
	if _, err := s.write.ExecContext(ctx, "DELETE FROM revocations WHERE id = $1", id); err != nil {
		return fmt.Errorf("forget a revocation: %w", err)
	}
	return nil
}
