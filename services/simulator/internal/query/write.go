package query

import (
	"slices"
	"strconv"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
)

// Len returns how many records the answer holds.
func (r *Result) Len() int { return len(r.rows) }

// Data is where parents are looked up when the answer is written. It must be the tables that the query ran on.
func (r *Result) Data() Data { return r.env.Data }

// AppendRecords appends the records from the index from up to, not including, to as a JSON array.
func (r *Result) AppendRecords(dst []byte, from, to int) []byte {
	if r.group != nil {
		return append(dst, r.group...)
	}
	dst = append(dst, '[')
	for i, rec := range r.rows[from:to] {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = r.shape.append(dst, rec, r.env.Path)
	}
	return append(dst, ']')
}

// AppendAttributes appends the attributes member that every written record begins with.
func AppendAttributes(dst []byte, object, path, id string) []byte {
	dst = append(dst, `"attributes":{"type":"`...)
	dst = append(dst, object...)
	dst = append(dst, `","url":"`...)
	dst = append(dst, path...)
	dst = append(dst, "/sobjects/"...)
	dst = append(dst, object...)
	dst = append(dst, '/')
	dst = append(dst, id...)
	return append(dst, `"}`...)
}

func (sh *shape) append(dst []byte, rec *record.Record, path string) []byte {
	dst = append(dst, '{')
	dst = AppendAttributes(dst, sh.object.Name, path, rec.ID())
	for i := range sh.entries {
		en := &sh.entries[i]
		dst = append(dst, `,"`...)
		dst = append(dst, en.name...)
		dst = append(dst, `":`...)
		switch {
		case en.labelled != nil:
			dst = record.AppendJSON(dst, en.labelled.value(rec))
		case en.typeName != "":
			dst = record.AppendString(dst, en.typeName)
		case en.children != nil:
			dst = en.children.append(dst, rec, path)
		case en.parents != nil:
			if p, target, ok := en.follow(rec); ok {
				dst = p.shape.append(dst, target, path)
			} else {
				dst = append(dst, "null"...)
			}
		default:
			dst = record.AppendJSON(dst, rec.Get(en.slot))
		}
	}
	return append(dst, '}')
}

// append writes the children of rec as a nested answer, or null when there are none.
func (c *children) append(dst []byte, rec *record.Record, path string) []byte {
	var rows []*record.Record
	for _, child := range c.table.Find(c.link.Slot, c.link.Key(rec.ID())) {
		if c.where.holds(child) {
			rows = append(rows, child)
		}
	}
	if c.less != nil {
		slices.SortStableFunc(rows, c.less)
	}
	rows = window(rows, c.query)
	if len(rows) == 0 {
		return append(dst, "null"...)
	}
	dst = append(dst, `{"totalSize":`...)
	dst = strconv.AppendInt(dst, int64(len(rows)), 10)
	dst = append(dst, `,"done":true,"records":[`...)
	for i, child := range rows {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = c.shape.append(dst, child, path)
	}
	return append(dst, "]}"...)
}
