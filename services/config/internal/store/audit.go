package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// Act says who changes something, in which role, by what method and why.
type Act struct {
	Actor, Role, Action, Reason string
	At                          time.Time
	// Changes is what the audit log keeps of before and after; the store does not look into it.
	Changes []byte
}

// AuditEntry is one change as the audit log keeps it.
type AuditEntry struct {
	Act
	// Seq grows with every entry.
	Seq       int64
	Workspace string
	// Kind and Target name what was changed, Version is the one it has since; 0 if it has none.
	Kind, Target string
	Version      int64
}

// AuditQuery selects entries. Empty fields do not filter, but for the workspace: empty is what concerns none.
type AuditQuery struct {
	Workspace, Actor, Action, Kind, Target string
	// From is inclusive, To exclusive.
	From, To time.Time
	// Before continues behind this entry of an earlier answer; 0: from the newest.
	Before int64
	Limit  int
}

const auditColumns = "workspace, at, actor, role, action, kind, target, version, reason, changes"

// insertAudit writes an entry within the transaction of the change it tells of, so that there is neither without the other.
func insertAudit(ctx context.Context, tx *sql.Tx, e AuditEntry) error {
	changes := e.Changes
	if changes == nil {
		changes = []byte{}
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO audit ("+auditColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
		e.Workspace, micros(e.At), e.Actor, e.Role, e.Action, e.Kind, e.Target, e.Version, e.Reason, changes)
	return err
}

// AddAudit writes an entry that tells of no change, such as a refusal.
func (s *Store) AddAudit(ctx context.Context, e AuditEntry) error {
	return s.inTx(ctx, "add to the audit log", func(tx *sql.Tx) error { return insertAudit(ctx, tx, e) })
}

// AuditEntries returns the newest entries that match, newest first.
func (s *Store) AuditEntries(ctx context.Context, q AuditQuery) ([]AuditEntry, error) {
	where, args := []string{"workspace = $1"}, []any{q.Workspace}
	and := func(condition string, value any) {
		args = append(args, value)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	for column, value := range map[string]string{"actor": q.Actor, "action": q.Action, "kind": q.Kind, "target": q.Target} {
		if value != "" {
			and(column+" = $%d", value)
		}
	}
	if !q.From.IsZero() {
		and("at >= $%d", micros(q.From))
	}
	if !q.To.IsZero() {
		and("at < $%d", micros(q.To))
	}
	if q.Before > 0 {
		and("seq < $%d", q.Before)
	}
	args = append(args, q.Limit)
	rows, err := s.read.QueryContext(ctx, "SELECT seq, "+auditColumns+" FROM audit WHERE "+strings.Join(where, " AND ")+
		fmt.Sprintf(" ORDER BY seq DESC LIMIT $%d", len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("read audit log of %s: %w", q.Workspace, err)
	}
	defer func() { _ = rows.Close() }()
	var out []AuditEntry
	for rows.Next() {
		var e AuditEntry
		var at int64
		if err := rows.Scan(&e.Seq, &e.Workspace, &at, &e.Actor, &e.Role, &e.Action, &e.Kind, &e.Target, &e.Version,
			&e.Reason, &e.Changes); err != nil {
			return nil, err
		}
		e.At = fromMicros(at)
		out = append(out, e)
	}
	return out, rows.Err()
}

// PurgeAudit deletes entries from before the purge's time, and returns how many it deleted.
func (s *Store) PurgeAudit(ctx context.Context, p Purge) (int64, error) {
	spared, args := p.spare("workspace", micros(p.Before), p.Limit)
	result, err := s.write.ExecContext(ctx,
		"DELETE FROM audit WHERE seq IN (SELECT seq FROM audit WHERE at < $1"+spared+" ORDER BY at LIMIT $2)", args...)
	if err != nil {
		return 0, fmt.Errorf("purge audit log: %w", err)
	}
	return result.RowsAffected()
}
