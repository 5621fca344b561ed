package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// SessionKind is what a stored secret is for.
type SessionKind string

// The kinds.
const (
	// SessionUser lets a caller in until it expires.
	SessionUser SessionKind = "session"
	// SessionLink can be exchanged for a session, once.
	SessionLink SessionKind = "link"
)

// Session is a session or a link, known by the hash of its secret.
type Session struct {
	Hash []byte
	Kind SessionKind
	// Name of the caller, for the audit log.
	Name string
	// Subject is that of the ID token the session was made from; empty: an administrator of the installation.
	Subject   string
	ExpiresAt time.Time
}

// AddSession stores a session or link. A subject keeps at most the given number of sessions: those that expire last.
func (s *Store) AddSession(ctx context.Context, session Session, most int, by Act) error {
	return s.inTx(ctx, "add session", func(tx *sql.Tx) error {
		if err := insertSession(ctx, tx, session); err != nil {
			return err
		}
		if session.Subject != "" {
			_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE subject = $1 AND hash NOT IN
				(SELECT hash FROM sessions WHERE subject = $2 ORDER BY expires_at DESC, hash LIMIT $3)`, session.Subject, session.Subject, most)
			if err != nil {
				return err
			}
		}
		return insertAudit(ctx, tx, AuditEntry{Act: by, Kind: "session", Target: string(session.Kind)})
	})
}

func insertSession(ctx context.Context, tx *sql.Tx, session Session) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO sessions (hash, kind, name, subject, expires_at) VALUES ($1, $2, $3, $4, $5)",
		session.Hash, session.Kind, session.Name, nullable(session.Subject), micros(session.ExpiresAt))
	return err
}

// Session reads one that has not expired at now; the error is ErrNotFound if there is none.
func (s *Store) Session(ctx context.Context, hash []byte, now time.Time) (Session, error) {
	row := s.read.QueryRowContext(ctx, `SELECT hash, kind, name, subject, expires_at FROM sessions
		WHERE hash = $1 AND kind = $2 AND expires_at > $3`, hash, SessionUser, micros(now))
	var out Session
	var subject *string
	var expires int64
	err := row.Scan(&out.Hash, &out.Kind, &out.Name, &subject, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return Session{}, ErrNotFound
	}
	if err != nil {
		return Session{}, fmt.Errorf("read session: %w", err)
	}
	if subject != nil {
		out.Subject = *subject
	}
	out.ExpiresAt = fromMicros(expires)
	return out, nil
}

// RedeemLink takes a link that has not expired and stores the session it is exchanged for: both or neither, and for one
// caller only. The error is ErrNotFound if there is no such link.
func (s *Store) RedeemLink(ctx context.Context, link []byte, session Session, by Act) error {
	return s.inTx(ctx, "redeem link", func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE hash = $1 AND kind = $2 AND expires_at > $3",
			link, SessionLink, micros(by.At))
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrNotFound)
		}
		if err := insertSession(ctx, tx, session); err != nil {
			return err
		}
		return insertAudit(ctx, tx, AuditEntry{Act: by, Kind: "session", Target: string(SessionLink)})
	})
}

// EndSession forgets a session; one that is gone stays gone.
func (s *Store) EndSession(ctx context.Context, hash []byte, by Act) error {
	return s.inTx(ctx, "end session", func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE hash = $1 AND kind = $2", hash, SessionUser)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return insertAudit(ctx, tx, AuditEntry{Act: by, Kind: "session", Target: string(SessionUser)})
	})
}

// PurgeSessions deletes sessions and links that expired before the given time.
func (s *Store) PurgeSessions(ctx context.Context, before time.Time) error {
	if _, err := s.write.ExecContext(ctx, "DELETE FROM sessions WHERE expires_at <= $1", micros(before)); err != nil {
		return fmt.Errorf("purge sessions: %w", err)
	}
	return nil
}

// MemberSession is a session of somebody who is a member of a workspace.
type MemberSession struct {
	Hash      []byte
	Member    string
	ExpiresAt time.Time
}

// MemberSessions reads the sessions that a workspace's members have at a time, by member, those that end last first; of one member, or
// of all for "". Promise 9: whoever is no member of the workspace is not among them.
func (s *Store) MemberSessions(ctx context.Context, workspace, member string, now time.Time) ([]MemberSession, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT s.hash, m.id, s.expires_at FROM members m JOIN sessions s ON s.subject = m.subject
		WHERE m.workspace = $1 AND ($2 = '' OR m.id = $2) AND s.kind = $3 AND s.expires_at > $4 ORDER BY m.id, s.expires_at DESC, s.hash`,
		workspace, member, SessionUser, micros(now))
	if err != nil {
		return nil, fmt.Errorf("read sessions of members of %s: %w", workspace, err)
	}
	defer func() { _ = rows.Close() }()
	var out []MemberSession
	for rows.Next() {
		var m MemberSession
		var expires int64
		if err := rows.Scan(&m.Hash, &m.Member, &expires); err != nil {
			return nil, fmt.Errorf("read sessions of members of %s: %w", workspace, err)
		}
		m.ExpiresAt = fromMicros(expires)
		out = append(out, m)
	}
	return out, rows.Err()
}

// EndMemberSessions forgets sessions of a workspace's members, and returns how many there were. What is not a session of the member is
// left alone.
func (s *Store) EndMemberSessions(ctx context.Context, workspace string, sessions []MemberSession, by Act) (ended int, err error) {
	err = s.inTx(ctx, "end sessions", func(tx *sql.Tx) error {
		ended = 0
		for _, m := range sessions {
			result, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE hash = $1 AND kind = $2
				AND subject = (SELECT subject FROM members WHERE workspace = $3 AND id = $4)`, m.Hash, SessionUser, workspace, m.Member)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			if n == 0 {
				continue // it has ended meanwhile
			}
			ended++
			if err := insertAudit(ctx, tx, AuditEntry{Act: by, Workspace: workspace, Kind: "session", Target: m.Member}); err != nil {
				return err
			}
		}
		return nil
	})
	return ended, err
}
