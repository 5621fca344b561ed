package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
)

// ConnectionState is where one connection stands.
type ConnectionState struct {
	Workspace, Connection string
	connstate.Status
}

// StateChange is one entry of a connection's history.
type StateChange struct {
	From   connstate.State
	To     connstate.Status
	Manual bool
}

// keptStates is how many changes of state are kept per connection.
const keptStates = 1000

const stateColumns = "state, reason, cause, actor, since, held_until, better_since, recoveries, recovering_since"

func scanStatus(row interface{ Scan(dest ...any) error }, before ...any) (connstate.Status, error) {
	var s connstate.Status
	var state, reason, since, held, better, recovering int64
	err := row.Scan(append(before, &state, &reason, &s.Cause, &s.Actor, &since, &held, &better, &s.Recoveries, &recovering)...)
	s.State, s.Reason = configv1.ConnectionState(state), streamv1.Reason(reason)
	s.Since, s.HeldUntil = fromMicros(since), fromMicros(held)
	s.BetterSince, s.RecoveringSince = fromMicros(better), fromMicros(recovering)
	return s, err
}

// ConnectionStatus returns where a connection stands; Unknown, and no error, if that was never noted.
func (s *Store) ConnectionStatus(ctx context.Context, workspace, connection string) (connstate.Status, error) {
	status, err := scanStatus(s.read.QueryRowContext(ctx, "SELECT "+stateColumns+` FROM connection_states
		WHERE workspace = $1 AND connection = $2`, workspace, connection))
	if errors.Is(err, sql.ErrNoRows) {
		return connstate.Status{}, nil
	}
	if err != nil {
		return connstate.Status{}, fmt.Errorf("read state of connection %s: %w", connection, err)
	}
	return status, nil
}

// ConnectionStates returns where a workspace's connections stand, by connection.
func (s *Store) ConnectionStates(ctx context.Context, workspace string) ([]ConnectionState, error) {
	return queryStates(ctx, s.read, "WHERE workspace = $1", workspace)
}

func queryStates(ctx context.Context, q queryer, where string, args ...any) ([]ConnectionState, error) {
	rows, err := q.QueryContext(ctx, "SELECT workspace, connection, "+stateColumns+" FROM connection_states "+where+" ORDER BY workspace, connection", args...)
	if err != nil {
		return nil, fmt.Errorf("read states of connections: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []ConnectionState
	for rows.Next() {
		var c ConnectionState
		if c.Status, err = scanStatus(rows, &c.Workspace, &c.Connection); err != nil {
			return nil, fmt.Errorf("read states of connections: %w", err)
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// Decide returns what becomes of a connection that stands at now, and whether that is a change; see connstate.Rules.Next.
// It may be called more than once and must not block.
type Decide func(now connstate.Status) (next connstate.Status, change connstate.Verdict, err error)

// ChangeState lets one caller at a time decide. A change goes into the history and raises the revision, in one transaction;
// an error of decide leaves everything as it was and is returned as it is, wrapped. manual marks the entry.
func (s *Store) ChangeState(ctx context.Context, workspace, connection string, manual bool, decide Decide) (connstate.Status, connstate.Verdict, error) {
	var status connstate.Status
	var verdict connstate.Verdict
	err := s.inTx(ctx, "change state of connection "+connection, func(tx *sql.Tx) error {
		now, seq, err := s.lockState(ctx, tx, workspace, connection)
		if err != nil {
			return err
		}
		if status, verdict, err = decide(now); err != nil {
			return err
		}
		if verdict == connstate.Changed {
			seq++
			if err := s.noteChange(ctx, tx, workspace, connection, seq, StateChange{From: now.State, To: status, Manual: manual}); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE connection_states SET state = $1, reason = $2, cause = $3, actor = $4, since = $5,
			held_until = $6, better_since = $7, recoveries = $8, recovering_since = $9, seq = $10 WHERE workspace = $11 AND connection = $12`,
			status.State, status.Reason, cleaned(status.Cause), cleaned(status.Actor), micros(status.Since), micros(status.HeldUntil),
			micros(status.BetterSince), status.Recoveries, micros(status.RecoveringSince), seq, workspace, connection)
		return err
	})
	if err == nil && verdict == connstate.Changed {
		s.saved()
	}
	return status, verdict, err
}

// lockState reads a connection's state so that nobody else changes it before the transaction ends; one that has none gets
// Unknown.
func (s *Store) lockState(ctx context.Context, tx *sql.Tx, workspace, connection string) (connstate.Status, int64, error) {
	zero := micros(time.Time{})
	_, err := tx.ExecContext(ctx, `INSERT INTO connection_states (workspace, connection, state, reason, cause, actor, since,
		held_until, better_since, recoveries, recovering_since, check_at, seq)
		VALUES ($1, $2, 0, 0, '', '', $3, $3, $3, 0, $3, 0, 0) ON CONFLICT DO NOTHING`, workspace, connection, zero)
	if err != nil {
		return connstate.Status{}, 0, err
	}
	var seq int64
	status, err := scanStatus(tx.QueryRowContext(ctx, "SELECT seq, "+stateColumns+` FROM connection_states
		WHERE workspace = $1 AND connection = $2`+s.dialect.lockRows, workspace, connection), &seq)
	return status, seq, err
}

func (s *Store) noteChange(ctx context.Context, tx *sql.Tx, workspace, connection string, seq int64, c StateChange) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO connection_history
		(workspace, connection, seq, was, state, reason, cause, actor, at, manual) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		workspace, connection, seq, c.From, c.To.State, c.To.Reason, cleaned(c.To.Cause), cleaned(c.To.Actor), micros(c.To.Since), bit(c.Manual))
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM connection_history WHERE workspace = $1 AND connection = $2 AND seq <= $3",
		workspace, connection, seq-keptStates)
	if err != nil {
		return err
	}
	return s.raise(ctx, tx, workspace)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// StateHistory returns a connection's newest changes of state, newest first.
func (s *Store) StateHistory(ctx context.Context, workspace, connection string, limit int) ([]StateChange, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT was, state, reason, cause, actor, at, manual FROM connection_history
		WHERE workspace = $1 AND connection = $2 ORDER BY seq DESC LIMIT $3`, workspace, connection, limit)
	if err != nil {
		return nil, fmt.Errorf("read history of connection %s: %w", connection, err)
	}
	defer func() { _ = rows.Close() }()
	var out []StateChange
	for rows.Next() {
		var was, state, reason, at, manual int64
		var c StateChange
		if err := rows.Scan(&was, &state, &reason, &c.To.Cause, &c.To.Actor, &at, &manual); err != nil {
			return nil, fmt.Errorf("read history of connection %s: %w", connection, err)
		}
		c.From, c.To.State, c.To.Reason = configv1.ConnectionState(was), configv1.ConnectionState(state), streamv1.Reason(reason)
		c.To.Since, c.Manual = fromMicros(at), manual != 0
		out = append(out, c)
	}
	return out, rows.Err()
}

// DueCheck is a connection whose time to be diagnosed has come.
type DueCheck struct {
	Workspace, Connection string
	Status                connstate.Status
}

// ClaimChecks takes up to limit connections of all workspaces that are due at now, and puts them off until then, so that one
// replica diagnoses each. It serves the scheduler, which works for all of them.
func (s *Store) ClaimChecks(ctx context.Context, now, then time.Time, limit int) ([]DueCheck, error) {
	var due []DueCheck
	err := s.inTx(ctx, "claim diagnoses", func(tx *sql.Tx) error {
		zero := micros(time.Time{})
		_, err := tx.ExecContext(ctx, `INSERT INTO connection_states (workspace, connection, state, reason, cause, actor, since,
			held_until, better_since, recoveries, recovering_since, check_at, seq)
			SELECT workspace, id, 0, 0, '', '', $1, $1, $1, 0, $1, 0, 0 FROM documents WHERE kind = $2 ON CONFLICT DO NOTHING`,
			zero, KindConnection)
		if err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, "SELECT workspace, connection, "+stateColumns+` FROM connection_states
			WHERE check_at <= $1 ORDER BY check_at LIMIT $2`+s.dialect.lockRows, micros(now), limit)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var d DueCheck
			if d.Status, err = scanStatus(rows, &d.Workspace, &d.Connection); err != nil {
				return err
			}
			due = append(due, d)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		for _, d := range due {
			if err := scheduleCheck(ctx, tx, d.Workspace, d.Connection, then); err != nil {
				return err
			}
		}
		return nil
	})
	return due, err
}

// ScheduleCheck sets when a connection is diagnosed next.
func (s *Store) ScheduleCheck(ctx context.Context, workspace, connection string, at time.Time) error {
	return s.inTx(ctx, "schedule diagnosis of connection "+connection, func(tx *sql.Tx) error {
		return scheduleCheck(ctx, tx, workspace, connection, at)
	})
}

func scheduleCheck(ctx context.Context, tx *sql.Tx, workspace, connection string, at time.Time) error {
	_, err := tx.ExecContext(ctx, "UPDATE connection_states SET check_at = $1 WHERE workspace = $2 AND connection = $3",
		micros(at), workspace, connection)
	return err
}

// SaveDiagnosis keeps what the newest diagnosis of a connection found.
func (s *Store) SaveDiagnosis(ctx context.Context, workspace, connection string, at time.Time, body []byte) error {
	_, err := s.write.ExecContext(ctx, `INSERT INTO connection_diagnoses (workspace, connection, at, body) VALUES ($1, $2, $3, $4)
		ON CONFLICT (workspace, connection) DO UPDATE SET at = excluded.at, body = excluded.body WHERE connection_diagnoses.at <= excluded.at`,
		workspace, connection, micros(at), body)
	if err != nil {
		return fmt.Errorf("save diagnosis of connection %s: %w", connection, err)
	}
	return nil
}

// Diagnosis returns what SaveDiagnosis kept; the error is ErrNotFound if there was none.
func (s *Store) Diagnosis(ctx context.Context, workspace, connection string) ([]byte, error) {
	var body []byte
	err := s.read.QueryRowContext(ctx, "SELECT body FROM connection_diagnoses WHERE workspace = $1 AND connection = $2",
		workspace, connection).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read diagnosis of connection %s: %w", connection, err)
	}
	return body, nil
}
