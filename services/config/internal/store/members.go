package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// RoleOwner is the number of the owners' role in the contract; the store keeps every workspace that has an owner from
// losing the last one.
const RoleOwner = 1

// ErrLastOwner means that the workspace would be left without an owner.
var ErrLastOwner = errors.New("the workspace would be left without an owner")

// ErrTaken means that another member of the workspace has the subject.
var ErrTaken = errors.New("another member of the workspace has this subject")

// Member is somebody with a role in a workspace.
type Member struct {
	Workspace, ID, Name string
	Role                int32
	// Subject is whom the issuer of ID tokens says the member is; empty until known.
	Subject string
	// EmailHash recognises the address of the first sign-in; nil afterwards.
	EmailHash []byte
	Version   int64
}

const memberColumns = "workspace, id, name, role, subject, email_hash, version"

// PutMember saves a member as the version after m.Version, 0 to add one. The error is ErrStale, ErrNotFound, ErrLastOwner
// or ErrTaken.
func (s *Store) PutMember(ctx context.Context, m Member, by Act) error {
	return s.inTx(ctx, "save member "+m.ID, func(tx *sql.Tx) error {
		if err := s.lockWorkspace(ctx, tx, m.Workspace); err != nil {
			return err
		}
		old, err := getMember(ctx, tx, m.Workspace, m.ID)
		switch {
		case m.Version == 0 && err == nil:
			return ErrStale
		case m.Version == 0 && errors.Is(err, ErrNotFound):
		case err != nil:
			return err
		case old.Version != m.Version:
			return ErrStale
		}
		if err := subjectIsFree(ctx, tx, m); err != nil {
			return err
		}
		if err := putMember(ctx, tx, m); err != nil {
			return err
		}
		if old.Role == RoleOwner && m.Role != RoleOwner {
			if err := ownersRemain(ctx, tx, m.Workspace); err != nil {
				return err
			}
		}
		return insertAudit(ctx, tx, AuditEntry{Act: by, Workspace: m.Workspace, Kind: "member", Target: m.ID, Version: m.Version + 1})
	})
}

// lockWorkspace puts the changes of one workspace's members in order, across replicas, and fails if there is no workspace.
func (s *Store) lockWorkspace(ctx context.Context, tx *sql.Tx, workspace string) error {
	var version int64
	err := tx.QueryRowContext(ctx, "SELECT version FROM documents WHERE workspace = $1 AND kind = $2 AND id = $3"+s.dialect.lockRows,
		workspace, KindWorkspace, workspace).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

func subjectIsFree(ctx context.Context, tx *sql.Tx, m Member) error {
	if m.Subject == "" {
		return nil
	}
	var n int
	err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM members WHERE workspace = $1 AND subject = $2 AND id <> $3",
		m.Workspace, m.Subject, m.ID).Scan(&n)
	if err == nil && n > 0 {
		return ErrTaken
	}
	return err
}

func putMember(ctx context.Context, tx *sql.Tx, m Member) error {
	var err error
	if m.Version == 0 {
		_, err = tx.ExecContext(ctx, "INSERT INTO members ("+memberColumns+") VALUES ($1, $2, $3, $4, $5, $6, 1)",
			m.Workspace, m.ID, m.Name, m.Role, nullable(m.Subject), m.EmailHash)
	} else {
		_, err = tx.ExecContext(ctx, `UPDATE members SET name = $1, role = $2, subject = $3, email_hash = $4, version = version + 1
			WHERE workspace = $5 AND id = $6`, m.Name, m.Role, nullable(m.Subject), m.EmailHash, m.Workspace, m.ID)
	}
	return err
}

// RemoveMember takes a member, as it was read, out of the workspace. The error is ErrNotFound, ErrLastOwner, or ErrStale if
// the member was changed since.
func (s *Store) RemoveMember(ctx context.Context, m Member, by Act) error {
	return s.inTx(ctx, "remove member "+m.ID, func(tx *sql.Tx) error {
		if err := s.lockWorkspace(ctx, tx, m.Workspace); err != nil {
			return err
		}
		old, err := getMember(ctx, tx, m.Workspace, m.ID)
		if err != nil {
			return err
		}
		if old.Version != m.Version {
			return ErrStale
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM members WHERE workspace = $1 AND id = $2", m.Workspace, m.ID); err != nil {
			return err
		}
		if old.Role == RoleOwner {
			if err := ownersRemain(ctx, tx, m.Workspace); err != nil {
				return err
			}
		}
		return insertAudit(ctx, tx, AuditEntry{Act: by, Workspace: m.Workspace, Kind: "member", Target: m.ID})
	})
}

// ownersRemain looks at what the transaction has left of the owners. A workspace that never had one may have none: the
// installation's administrators look after it.
func ownersRemain(ctx context.Context, tx *sql.Tx, workspace string) error {
	var n int
	err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM members WHERE workspace = $1 AND role = $2", workspace, RoleOwner).Scan(&n)
	if err == nil && n == 0 {
		return ErrLastOwner
	}
	return err
}

// Member reads one; the error is ErrNotFound if there is none.
func (s *Store) Member(ctx context.Context, workspace, id string) (Member, error) {
	return getMember(ctx, s.read, workspace, id)
}

type rowQueryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func getMember(ctx context.Context, q rowQueryer, workspace, id string) (Member, error) {
	m, err := scanMember(q.QueryRowContext(ctx, "SELECT "+memberColumns+" FROM members WHERE workspace = $1 AND id = $2", workspace, id))
	if errors.Is(err, sql.ErrNoRows) {
		return Member{}, ErrNotFound
	}
	return m, err
}

// Members reads a workspace's members, by id.
func (s *Store) Members(ctx context.Context, workspace string) ([]Member, error) {
	return s.queryMembers(ctx, "SELECT "+memberColumns+" FROM members WHERE workspace = $1 ORDER BY id", workspace)
}

// MembersOf reads what the subject of ID tokens is a member of, in any workspace: it decides what a caller may see.
func (s *Store) MembersOf(ctx context.Context, subject string) ([]Member, error) {
	return s.queryMembers(ctx, "SELECT "+memberColumns+" FROM members WHERE subject = $1 ORDER BY workspace", subject)
}

// Invited reads up to limit members of any workspace who have not signed in yet, to find whose address somebody signs in with.
func (s *Store) Invited(ctx context.Context, limit int) ([]Member, error) {
	return s.queryMembers(ctx, "SELECT "+memberColumns+` FROM members WHERE email_hash IS NOT NULL AND subject IS NULL
		ORDER BY workspace, id LIMIT $1`, limit)
}

func (s *Store) queryMembers(ctx context.Context, query string, args ...any) ([]Member, error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Member
	for rows.Next() {
		m, err := scanMember(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, rows.Err()
}

func scanMember(row interface{ Scan(dest ...any) error }) (Member, error) {
	var m Member
	var subject *string
	err := row.Scan(&m.Workspace, &m.ID, &m.Name, &m.Role, &subject, &m.EmailHash, &m.Version)
	if subject != nil {
		m.Subject = *subject
	}
	return m, err
}
