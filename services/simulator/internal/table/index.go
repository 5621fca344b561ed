package table

import (
	"slices"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// index maps the values of one field to the numbers of the live records that have them. Most keys have one record, so
// the first is kept apart from the rest.
type index struct {
	field *schema.Field
	one   map[string]uint64
	more  map[string][]uint64 // ascending
}

func newIndex(f *schema.Field) *index {
	return &index{field: f, one: map[string]uint64{}, more: map[string][]uint64{}}
}

// key returns the key of rec, or "" when the index does not list it.
func (ix *index) key(rec *record.Record, slot int) string {
	if rec == nil || rec.Deleted() {
		return ""
	}
	v := rec.Get(slot)
	if v == nil {
		return ""
	}
	return ix.field.Key(v)
}

func (ix *index) first(key string) (uint64, bool) {
	num, ok := ix.one[key]
	return num, ok
}

func (ix *index) find(key string) []uint64 {
	num, ok := ix.one[key]
	if !ok {
		return nil
	}
	return append([]uint64{num}, ix.more[key]...)
}

func (ix *index) add(key string, num uint64) {
	first, ok := ix.one[key]
	if !ok {
		ix.one[key] = num
		return
	}
	if num < first {
		ix.one[key], num = num, first
	}
	rest := ix.more[key]
	at, _ := slices.BinarySearch(rest, num)
	ix.more[key] = slices.Insert(rest, at, num)
}

func (ix *index) remove(key string, num uint64) {
	rest := ix.more[key]
	if ix.one[key] == num {
		if len(rest) == 0 {
			delete(ix.one, key)
			return
		}
		ix.one[key], num = rest[0], rest[0]
	}
	if at, ok := slices.BinarySearch(rest, num); ok {
		rest = slices.Delete(rest, at, at+1)
	}
	if len(rest) == 0 {
		delete(ix.more, key)
		return
	}
	ix.more[key] = rest
}
