package store

import (
	"context"
	"database/sql"
)

// keptChanges is how many saves are remembered: a watcher that missed more of them gets everything.
const keptChanges = 10_000

// raise raises the revision, notes whose settings changed with it, and wakes the listeners of other processes once the
// transaction has committed. The revision's row is locked until then, so revisions appear in their order.
func (s *Store) raise(ctx context.Context, tx *sql.Tx, workspace string) error {
	var revision int64
	err := tx.QueryRowContext(ctx, "UPDATE revision SET value = value + 1 WHERE id = 1 RETURNING value").Scan(&revision)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO changes (revision, workspace) VALUES ($1, $2)", revision, workspace); err != nil {
		return err
	}
	// Promise 7: what is remembered is bounded.
	if _, err := tx.ExecContext(ctx, "DELETE FROM changes WHERE revision <= $1", revision-keptChanges); err != nil {
		return err
	}
	return s.announceChange(ctx, tx)
}

// announceChange wakes the listeners of other processes once the transaction has committed.
func (s *Store) announceChange(ctx context.Context, tx *sql.Tx) error {
	if s.dialect.announce == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, s.dialect.announce)
	return err
}

// readChanges begins a snapshot: its revision, and which workspaces changed after since. If that is not known of every
// revision in between, or it is too many workspaces, Since is 0 and everything is to be read.
func readChanges(ctx context.Context, tx *sql.Tx, since int64) (Snapshot, error) {
	out := Snapshot{Touched: map[string]int64{}}
	err := tx.QueryRowContext(ctx, "SELECT r.value, l.id FROM revision r CROSS JOIN lineage l WHERE r.id = 1").
		Scan(&out.Revision, &out.Lineage)
	if err != nil {
		return out, err
	}
	rows, err := tx.QueryContext(ctx, "SELECT revision, workspace FROM changes WHERE revision > $1 ORDER BY revision DESC", since)
	if err != nil {
		return out, err
	}
	defer func() { _ = rows.Close() }()
	for out.Known = out.Revision; rows.Next(); {
		var revision int64
		var workspace string
		if err := rows.Scan(&revision, &workspace); err != nil {
			return out, err
		}
		if revision != out.Known {
			break // a change that nobody noted
		}
		out.Known--
		if out.Touched[workspace] == 0 {
			out.Touched[workspace] = revision
		}
	}
	if since > 0 && out.Known == since && since < out.Revision && len(out.Touched) <= maxPartial {
		out.Since = since
	}
	return out, rows.Err()
}
