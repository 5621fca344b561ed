package store

import (
	"context"
	"database/sql"
	"strings"
)

// upsertSizes are the numbers of rows that one statement of an upsert takes, largest first: a statement a row costs a round trip a
// row, and a size of its own for every batch would be a statement that no database has seen before.
var upsertSizes = []int{64, 8, 1}

// values is a VALUES list of rows with as many columns each.
func (d dialect) values(rows, columns int) string {
	var q strings.Builder
	q.WriteString("VALUES ")
	for row := range rows {
		if row > 0 {
			q.WriteByte(',')
		}
		q.WriteByte('(')
		for col := range columns {
			if col > 0 {
				q.WriteByte(',')
			}
			q.WriteString(d.placeholder(row*columns + col + 1))
		}
		q.WriteByte(')')
	}
	return q.String()
}

// upsert is an INSERT … VALUES … ON CONFLICT of rows that differ in their keys.
type upsert struct {
	into, onConflict string
	columns          int
}

// apply adds rows in their order; args are those of all of them.
func (u upsert) apply(ctx context.Context, tx *sql.Tx, d dialect, args []any) error {
	for _, size := range upsertSizes {
		n := size * u.columns
		if len(args) < n {
			continue
		}
		query := "INSERT INTO " + u.into + " " + d.values(size, u.columns) + " " + u.onConflict
		for ; len(args) >= n; args = args[n:] {
			if _, err := tx.ExecContext(ctx, query, args[:n]...); err != nil {
				return err
			}
		}
	}
	return nil
}
