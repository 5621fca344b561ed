package dml

import (
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
		if strings.EqualFold(d.Object, o.Name) && (d.Block || !w.AllowDuplicates) && d.matches(w, o, rec) {
			message := d.Message
			if message == "" {
				message = "Use one of these records?"
			}
			return []*Error{refuse("DUPLICATES_DETECTED", message)}
		}
	}
	return nil
}

// matches looks for another record through the first indexed field of the rule.
func (d *DuplicateRule) matches(w *Writer, o *schema.Object, rec *record.Record) bool {
	t := w.Data.Table(o)
	fields := make([]*schema.Field, 0, len(d.Fields))
	for _, name := range d.Fields {
		f, ok := o.Field(name)
		if !ok || rec.Values[f.Slot] == nil {
			return false
		}
		fields = append(fields, f)
	}
	for _, f := range fields {
		if t.Indexed(f.Slot) {
			for _, other := range t.Find(f.Slot, f.Key(rec.Values[f.Slot])) {
				if same(fields, rec, other) {
					return true
				}
			}
			return false
		}
	}
	found := false
	t.All(func(other *record.Record) bool {
		found = !other.Deleted() && other.Num != rec.Num && same(fields, rec, other)
		return !found
	})
	return found
}

func same(fields []*schema.Field, a, b *record.Record) bool {
	for _, f := range fields {
		if b.Get(f.Slot) == nil || f.Key(a.Get(f.Slot)) != f.Key(b.Get(f.Slot)) {
			return false
		}
	}
	return a.Num != b.Num
}
