package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// chunk is how many records one statement stores.
const chunk = 50

// writer stores groups of batches. It is used by one goroutine.
type writer struct {
	db        *sql.DB
	one, many *sql.Stmt
	args      []any
}

func (w *writer) prepare(ctx context.Context) (err error) {
	if w.many != nil {
		return nil
	}
	const insert = "INSERT OR REPLACE INTO records (rowid, data) VALUES (?, ?)"
	if w.one, err = w.db.PrepareContext(ctx, insert); err != nil {
		return fmt.Errorf("prepare insert: %w", err)
	}
	if w.many, err = w.db.PrepareContext(ctx, insert+strings.Repeat(", (?, ?)", chunk-1)); err != nil {
		return fmt.Errorf("prepare insert: %w", err)
	}
	return nil
}

func (w *writer) close() {
	for _, s := range []*sql.Stmt{w.one, w.many} {
		if s != nil {
			_ = s.Close() // the database is closed right after
		}
	}
}

// write stores a group in one transaction. It is not interrupted: a batch that was queued is written.
func (w *writer) write(group []*Ticket) error {
	ctx := context.Background()
	if err := w.prepare(ctx); err != nil {
		return err
	}
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	for _, t := range group {
		if err := w.batch(ctx, tx, &t.batch); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (w *writer) batch(ctx context.Context, tx *sql.Tx, b *Batch) error {
	for _, table := range b.Drop {
		if _, err := tx.ExecContext(ctx, `DELETE FROM records WHERE rowid >= ? AND rowid < ?`, rowID(table, 0), rowID(table+1, 0)); err != nil {
			return fmt.Errorf("empty table: %w", err)
		}
	}
	for _, prefix := range b.Forget {
		if _, err := tx.ExecContext(ctx, `DELETE FROM entries WHERE key >= ? AND key < ?`, prefix, prefix+"\xff"); err != nil {
			return fmt.Errorf("forget entries: %w", err)
		}
	}
	for _, e := range b.Entries {
		if err := entry(ctx, tx, e); err != nil {
			return err
		}
	}
	rows := b.Rows
	if len(rows) >= chunk {
		many := tx.StmtContext(ctx, w.many)
		for len(rows) >= chunk {
			if err := w.exec(ctx, many, rows[:chunk]); err != nil {
				return err
			}
			rows = rows[chunk:]
		}
	}
	if len(rows) == 0 {
		return nil
	}
	one := tx.StmtContext(ctx, w.one)
	for i := range rows {
		if err := w.exec(ctx, one, rows[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) exec(ctx context.Context, stmt *sql.Stmt, rows []Row) error {
	w.args = w.args[:0]
	for _, r := range rows {
		w.args = append(w.args, rowID(r.Table, r.Num), r.Data)
	}
	if _, err := stmt.ExecContext(ctx, w.args...); err != nil {
		return fmt.Errorf("store records: %w", err)
	}
	return nil
}

func entry(ctx context.Context, tx *sql.Tx, e Entry) error {
	var err error
	if e.Value == nil {
		_, err = tx.ExecContext(ctx, `DELETE FROM entries WHERE key = ?`, e.Key)
	} else {
		_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO entries (key, value) VALUES (?, ?)`, e.Key, e.Value)
	}
	if err != nil {
		return fmt.Errorf("store entry: %w", err)
	}
	return nil
}
