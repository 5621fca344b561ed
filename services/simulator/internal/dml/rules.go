package dml

import (
	"cmp"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// Rules are the org's own: what an administrator has set up. They must not be changed once in use.
type Rules struct {
	// Language is the org's: "ja" puts last names first.
	Language string
	// TaskQueues allows queues to own tasks.
	TaskQueues bool
	Validation []ValidationRule
	Duplicates []DuplicateRule
}

// ValidationRule refuses records for which its condition holds.
type ValidationRule struct {
	Object string
	// Holds is the error condition.
	Holds   func(*record.Record) bool
	Message string
	// Field shows the error at a field; empty for the record.
	Field string
}

// DuplicateRule finds other records whose fields all have the same values, where none of them is empty.
type DuplicateRule struct {
	Name   string
	Object string
	Fields []string
	// Block refuses always; otherwise the rule only alerts, and a request may ask to save all the same.
	Block   bool
	Message string
}

func (r *Rules) validate(w *Writer, o *schema.Object, rec, old *record.Record) []*Error {
	var errs []*Error
	for i := range r.Validation {
		v := &r.Validation[i]
		if strings.EqualFold(v.Object, o.Name) && v.Holds(rec) {
			e := refuse("FIELD_CUSTOM_VALIDATION_EXCEPTION", v.Message)
			if v.Field != "" {
				e.Fields = []string{v.Field}
			}
			errs = append(errs, e)
		}
	}
	if len(errs) > 0 || old != nil {
		return errs
	}
	for i := range r.Duplicates {
		d := &r.Duplicates[i]
		if !strings.EqualFold(d.Object, o.Name) || (!d.Block && w.AllowDuplicates) {
			continue
		}
		if ids := d.matches(w, o, rec); len(ids) > 0 {
			return []*Error{d.refusal(o, ids)}
		}
	}
	return nil
}

func (d *DuplicateRule) refusal(o *schema.Object, ids []string) *Error {
	e := refuse("DUPLICATES_DETECTED", cmp.Or(d.Message, "Use one of these records?"))
	e.Duplicate = &Duplicate{Rule: cmp.Or(d.Name, o.Name+"_Duplicate_Rule"), Object: o.Name, AllowSave: !d.Block, IDs: ids}
	return e
}

// maxMatches is how many other records a duplicate rule names.
const maxMatches = 10

// matches looks for other records, through the first indexed field of the rule if there is one.
func (d *DuplicateRule) matches(w *Writer, o *schema.Object, rec *record.Record) []string {
	t := w.Data.Table(o)
	fields := make([]*schema.Field, 0, len(d.Fields))
	for _, name := range d.Fields {
		f, ok := o.Field(name)
		if !ok || rec.Values[f.Slot] == nil {
			return nil
		}
		fields = append(fields, f)
	}
	var ids []string
	take := func(other *record.Record) bool {
		if !other.Deleted() && same(fields, rec, other) {
			ids = append(ids, other.ID())
		}
		return len(ids) < maxMatches
	}
	for _, f := range fields {
		if t.Indexed(f.Slot) {
			for _, other := range t.Find(f.Slot, f.Key(rec.Values[f.Slot])) {
				if !take(other) {
					break
				}
			}
			return ids
		}
	}
	t.All(take)
	return ids
}

func same(fields []*schema.Field, a, b *record.Record) bool {
	for _, f := range fields {
		if b.Get(f.Slot) == nil || f.Key(a.Get(f.Slot)) != f.Key(b.Get(f.Slot)) {
			return false
		}
	}
	return a.Num != b.Num
}
