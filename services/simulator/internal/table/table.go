package table

import (
	"slices"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
)

// Table is the records of one object.
type Table struct {
	Object *schema.Object
	pod    string
	rows   []*record.Record // by number-1; nil where an insert was rolled back
	byID   map[string]*record.Record
	live   int
	index  map[int]*index // by slot
}

// New returns an empty table. Pod is the instance part of its ids.
func New(o *schema.Object, pod string) *Table {
	t := &Table{Object: o, pod: pod, byID: map[string]*record.Record{}, index: map[int]*index{}}
	for _, f := range o.Fields {
		if f.Indexed {
			t.index[f.Slot] = newIndex(f)
		}
	}
	return t
}

// Live returns how many records are not deleted.
func (t *Table) Live() int { return t.live }

// NextID returns the number and the id that the next insert should use, unless it brings an id of its own.
func (t *Table) NextID() (uint64, string) {
	num := uint64(len(t.rows)) + 1
	return num, sfid.New(t.Object.Prefix, t.pod, num)
}

// Get finds a record by its 18-character id, deleted ones too.
func (t *Table) Get(id string) (*record.Record, bool) {
	rec, ok := t.byID[id]
	return rec, ok
}

// All calls yield for every record in the order of creation, deleted ones too, until yield returns false.
func (t *Table) All(yield func(*record.Record) bool) {
	for _, rec := range t.rows {
		if rec != nil && !yield(rec) {
			return
		}
	}
}

// Backward is All from the newest record to the oldest.
func (t *Table) Backward(yield func(*record.Record) bool) {
	for _, rec := range slices.Backward(t.rows) {
		if rec != nil && !yield(rec) {
			return
		}
	}
}

// Indexed reports whether Find serves the field with the slot.
func (t *Table) Indexed(slot int) bool { return t.index[slot] != nil }

// Find returns the records, not deleted, whose indexed field has the value with the key (see schema.Field.Key), in the
// order of creation.
func (t *Table) Find(slot int, key string) []*record.Record {
	nums := t.index[slot].find(key)
	if len(nums) == 0 {
		return nil
	}
	out := make([]*record.Record, 0, len(nums))
	for _, num := range nums {
		out = append(out, t.rows[num-1])
	}
	return out
}

// First returns the oldest of what Find returns, without allocating.
func (t *Table) First(slot int, key string) (*record.Record, bool) {
	num, ok := t.index[slot].first(key)
	if !ok {
		return nil, false
	}
	return t.rows[num-1], true
}

// Load puts a stored record in its place. It is for starting up: it belongs to no transaction.
func (t *Table) Load(rec *record.Record) { t.put(rec.Num, rec) }

// put places rec, or nothing, at a number and keeps indexes and counts right. It returns what was there.
func (t *Table) put(num uint64, rec *record.Record) *record.Record {
	for uint64(len(t.rows)) < num {
		t.rows = append(t.rows, nil)
	}
	old := t.rows[num-1]
	t.rows[num-1] = rec
	if rec != nil {
		t.byID[rec.ID()] = rec
	} else if old != nil {
		delete(t.byID, old.ID())
	}
	t.live += liveness(rec) - liveness(old)
	for slot, ix := range t.index {
		before, after := ix.key(old, slot), ix.key(rec, slot)
		if before == after {
			continue
		}
		if before != "" {
			ix.remove(before, num)
		}
		if after != "" {
			ix.add(after, num)
		}
	}
	return old
}

func liveness(rec *record.Record) int {
	if rec == nil || rec.Deleted() {
		return 0
	}
	return 1
}
