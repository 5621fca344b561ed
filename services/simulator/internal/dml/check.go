package dml

import (
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
)

// finish applies every rule that looks at the whole record or at others, in the order in which Salesforce does: required
// fields, references, the object's own behaviour, unique keys, validation rules. Old is nil for an insert.
func (w *Writer) finish(in *Input, rec, old *record.Record) []*Error {
	for i := range in.links {
		if err := w.resolve(rec, &in.links[i]); err != nil {
			return []*Error{err}
		}
	}
	if err := w.person(in, rec, old); err != nil {
		return []*Error{err}
	}
	if missing := missing(in.Object, rec); len(missing) > 0 {
		return []*Error{refusef(codeRequired, missing, "Required fields are missing: [%s]", strings.Join(missing, ", "))}
	}
	if errs := w.references(in, rec, old); len(errs) > 0 {
		return errs
	}
	if err := w.behave(in.Object, rec, old); err != nil {
		return []*Error{err}
	}
	if err := w.unique(in, rec, old); err != nil {
		return []*Error{err}
	}
	if w.Import {
		return nil
	}
	return w.Rules.validate(w, in.Object, rec, old)
}

func (w *Writer) resolve(rec *record.Record, l *link) *Error {
	found := w.Data.Table(l.parent).Find(l.key.Slot, l.key.Key(l.value))
	if len(found) != 1 {
		return refusef("INVALID_FIELD", nil, "Foreign key external ID: %s not found for field %s in entity %s", l.value, l.key.Name, l.parent.Name)
	}
	rec.Values[l.field.Slot] = found[0].ID()
	return nil
}

// missing lists the required fields that are empty.
func missing(o *schema.Object, rec *record.Record) []string {
	var names []string
	for _, f := range o.Fields {
		if f.Required && rec.Values[f.Slot] == nil {
			names = append(names, f.Name)
		}
	}
	return names
}

// references makes sure that what the written references point to exists, is of a kind that they may point to, and can be
// pointed to.
func (w *Writer) references(in *Input, rec, old *record.Record) []*Error {
	for i := range in.cells {
		f := in.cells[i].field
		if f.Type == schema.Reference {
			if err := w.reference(f, rec, old); err != nil {
				return []*Error{err}
			}
		}
	}
	for i := range in.links {
		if err := w.reference(in.links[i].field, rec, old); err != nil {
			return []*Error{err}
		}
	}
	return nil
}

func (w *Writer) reference(f *schema.Field, rec, old *record.Record) *Error {
	text := rec.Text(f.Slot)
	if text == "" {
		return nil
	}
	id, err := sfid.Long(text)
	if err != nil {
		return refuse(codeMalformedID, strings.TrimSuffix(f.Label, " ID")+" ID: id value of incorrect type: "+text, f.Name)
	}
	rec.Values[f.Slot] = id
	if old != nil && old.Text(f.Slot) == id {
		return nil
	}
	target, kind := w.target(f, id)
	switch {
	case kind == nil:
		return refuse(codeMalformedID, strings.TrimSuffix(f.Label, " ID")+" ID: id value of incorrect type: "+text, f.Name)
	case target == nil:
		return crossReferenceError()
	case target.Deleted():
		return deletedError()
	case kind.Name == "Lead" && !w.Import && target.True(kind.Slot("IsConverted")):
		return refuse(codeConverted, "cannot reference converted lead", f.Name)
	}
	return nil
}

// target finds the record with the id among the objects that f may point to, and the object that the id names.
func (w *Writer) target(f *schema.Field, id string) (*record.Record, *schema.Object) {
	for _, o := range w.Schema.Targets(f) {
		if o.Prefix == sfid.Prefix(id) {
			rec, _ := w.Data.Table(o).Get(id)
			return rec, o
		}
	}
	return nil, nil
}

func (w *Writer) unique(in *Input, rec, old *record.Record) *Error {
	t := w.Data.Table(in.Object)
	for _, f := range in.Object.Fields {
		if !f.Unique || rec.Values[f.Slot] == nil {
			continue
		}
		key := f.Key(rec.Values[f.Slot])
		if old != nil && old.Get(f.Slot) != nil && f.Key(old.Get(f.Slot)) == key {
			continue
		}
		if other, ok := t.First(f.Slot, key); ok && other.Num != rec.Num {
			return refusef(codeDuplicate, nil, "duplicate value found: %s duplicates value on record with id: %s", f.Name, sfid.Short(other.ID()))
		}
	}
	return nil
}
