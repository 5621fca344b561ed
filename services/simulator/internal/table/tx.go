package table

import "github.com/throughline-dev/throughline/services/simulator/internal/record"

// Tx collects changes to the tables of one org. Changes take effect at once; Rollback takes them back.
type Tx struct {
	undo []change
}

type change struct {
	table *Table
	num   uint64
	old   *record.Record
}

// Change is one record as a transaction left it, and Old as it was before, nil for an insert. Record is nil for an insert
// that was rolled back.
type Change struct {
	Table       *Table
	Num         uint64
	Old, Record *record.Record
}

// Put inserts rec, or puts it in the place of the record with its number.
func (tx *Tx) Put(t *Table, rec *record.Record) {
	old := t.put(rec.Num, rec)
	tx.undo = append(tx.undo, change{table: t, num: rec.Num, old: old})
}

// Mark returns a point that RollbackTo can return to.
func (tx *Tx) Mark() int { return len(tx.undo) }

// RollbackTo takes back everything put since the mark, newest first. Numbers of inserts taken back are not used again
// before a restart, as in Salesforce.
func (tx *Tx) RollbackTo(mark int) {
	for i := len(tx.undo) - 1; i >= mark; i-- {
		c := tx.undo[i]
		c.table.put(c.num, c.old)
	}
	clear(tx.undo[mark:])
	tx.undo = tx.undo[:mark]
}

// Changes returns every record that the transaction changed, each once and as it is now.
func (tx *Tx) Changes() []Change {
	type key struct {
		table *Table
		num   uint64
	}
	seen := make(map[key]bool, len(tx.undo))
	out := make([]Change, 0, len(tx.undo))
	for _, c := range tx.undo {
		k := key{c.table, c.num}
		if seen[k] {
			continue
		}
		seen[k] = true
		out = append(out, Change{Table: c.table, Num: c.num, Old: c.old, Record: c.table.rows[c.num-1]})
	}
	return out
}
