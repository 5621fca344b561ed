package dml

import (
	"fmt"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
	"github.com/throughline-dev/throughline/services/simulator/internal/table"
)

// Data gives the table of an object.
type Data interface {
	Table(o *schema.Object) *table.Table
}

// Writer changes records within one transaction on behalf of one user.
type Writer struct {
	Schema *schema.Schema
	Data   Data
	Access *schema.Access
	Rules  *Rules
	// User is the id of the calling user.
	User string
	Now  record.DateTime
	Tx   *table.Tx
	// Fault, when set, may refuse a record before it is looked at.
	Fault func(in *Input) *Error
	// AllowDuplicates saves what a duplicate rule in alert mode would refuse.
	AllowDuplicates bool
	// Import leaves out permissions, automation and validation rules: scenarios seed records with it.
	Import bool
}

// Result is what became of one record.
type Result struct {
	ID      string
	Created bool
	Errors  []*Error
}

// Failed reports whether the record was refused.
func (r *Result) Failed() bool { return len(r.Errors) > 0 }

func failed(errs ...*Error) Result { return Result{Errors: errs} }

// One writes a single record. A refused record leaves no trace.
func (w *Writer) One(in *Input, op Op) Result {
	mark := w.Tx.Mark()
	res := w.apply(in, op)
	if res.Failed() {
		w.Tx.RollbackTo(mark)
	}
	return res
}

// Batch writes records in order. With allOrNone one refusal takes back all of them, and the ones that were not at fault
// say so.
func (w *Writer) Batch(inputs []Input, op Op, allOrNone bool) []Result {
	results := make([]Result, len(inputs))
	if op == Upsert {
		markRepeated(inputs)
	}
	mark := w.Tx.Mark()
	anyFailed := false
	for i := range inputs {
		results[i] = w.One(&inputs[i], op)
		anyFailed = anyFailed || results[i].Failed()
	}
	if !allOrNone || !anyFailed {
		return results
	}
	w.Tx.RollbackTo(mark)
	for i := range results {
		if !results[i].Failed() {
			results[i].Errors = []*Error{RolledBack()}
		}
	}
	return results
}

// RolledBack is what a record is told that could be written, but not together with others of its request.
func RolledBack() *Error {
	return refuse("ALL_OR_NONE_OPERATION_ROLLED_BACK", "Record rolled back because not all records were valid and the request was using AllOrNone header")
}

// markRepeated refuses every record of an upsert whose key occurs more than once in the request.
func markRepeated(inputs []Input) {
	seen := make(map[string]int, len(inputs))
	for i := range inputs {
		in := &inputs[i]
		if in.KeyValue == "" || in.Key.Type == schema.ID {
			continue
		}
		key := in.Key.Key(in.KeyValue)
		first, repeated := seen[key]
		if !repeated {
			seen[key] = i
			continue
		}
		for _, at := range []int{first, i} {
			if dup := repeatedKey(inputs[at].KeyValue); !hasCode(inputs[at].Errors, codeDuplicate) {
				inputs[at].Errors = append(inputs[at].Errors, dup)
			}
		}
	}
}

func repeatedKey(value string) *Error {
	return refuse(codeDuplicate, "Duplicate external id specified: "+value)
}

func hasCode(errs []*Error, code string) bool {
	for _, e := range errs {
		if e.Code == code {
			return true
		}
	}
	return false
}

func (w *Writer) apply(in *Input, op Op) Result {
	if w.Fault != nil {
		if err := w.Fault(in); err != nil {
			return failed(err)
		}
	}
	if len(in.Errors) > 0 {
		return failed(in.Errors...)
	}
	switch op {
	case Insert:
		return w.insert(in)
	case Update:
		return w.update(in)
	case Delete:
		return w.delete(in)
	}
	return w.upsert(in)
}

func (w *Writer) upsert(in *Input) Result {
	if in.KeyValue == "" {
		return failed(refuse("MISSING_ARGUMENT", in.Key.Name+" not specified"))
	}
	if in.Key.Type == schema.ID {
		in.ID = in.KeyValue
		return w.update(in)
	}
	if in.ID != "" {
		return failed(refuse("INVALID_FIELD", "The Id field should not be specified in the sobject data.", "Id"))
	}
	found := w.Data.Table(in.Object).Find(in.Key.Slot, in.Key.Key(in.KeyValue))
	switch len(found) {
	case 0:
		value, err := check(in.Key, in.KeyValue)
		if err != nil {
			return failed(err)
		}
		in.cells = append(in.cells, cell{in.Key, value})
		return w.insert(in)
	case 1:
		return w.change(in, found[0])
	}
	ids := make([]string, len(found))
	for i, r := range found {
		ids[i] = r.ID()
	}
	return failed(refusef("DUPLICATE_EXTERNAL_ID", []string{in.Key.Name}, "%s: more than one record found for external id field: [%s]", in.Key.Name, strings.Join(ids, ", ")))
}

func (w *Writer) insert(in *Input) Result {
	if !w.Import && !w.Access.Object(in.Object).Create {
		return failed(refuse(codeNoAccess, "insufficient access rights on object id"))
	}
	t := w.Data.Table(in.Object)
	num, id := t.NextID()
	rec := &record.Record{Num: num, Values: make([]record.Value, len(in.Object.Fields))}
	w.defaults(in.Object, rec, num)
	rec.Values[record.SlotID] = id
	rec.Values[record.SlotCreatedDate], rec.Values[record.SlotCreatedByID] = w.Now, w.User
	w.stamp(rec)
	for _, c := range in.cells {
		if c.value == nil && c.field.DefaultValue != nil && defaulted(c.field) {
			continue
		}
		rec.Values[c.field.Slot] = c.value
	}
	if errs := w.finish(in, rec, nil); len(errs) > 0 {
		return failed(errs...)
	}
	w.Tx.Put(t, rec)
	if err := w.afterInsert(in.Object, rec); err != nil {
		return failed(err)
	}
	return Result{ID: rec.ID(), Created: true}
}

// defaulted marks the picklists that are never empty: writing null into them stores the default.
func defaulted(f *schema.Field) bool {
	return f.Type == schema.Picklist && !f.Custom
}

func (w *Writer) defaults(o *schema.Object, rec *record.Record, num uint64) {
	for _, f := range o.Fields {
		switch {
		case f.DefaultValue != nil:
			rec.Values[f.Slot] = f.DefaultValue
		case f.AutoNumber != "":
			rec.Values[f.Slot] = autoNumber(f.AutoNumber, num)
		case f.Name == "OwnerId":
			rec.Values[f.Slot] = w.User
		}
	}
}

// autoNumber fills a display format: "E-{0000}" and 7 give E-0007.
func autoNumber(format string, num uint64) string {
	before, rest, ok := strings.Cut(format, "{")
	digits, after, closed := strings.Cut(rest, "}")
	if !ok || !closed {
		return fmt.Sprint(format, num)
	}
	return fmt.Sprintf("%s%0*d%s", before, len(digits), num, after)
}

func (w *Writer) stamp(rec *record.Record) {
	rec.Values[record.SlotLastModifiedDate], rec.Values[record.SlotLastModifiedByID] = w.Now, w.User
	rec.Values[record.SlotSystemModstamp] = w.Now
}

func (w *Writer) update(in *Input) Result {
	rec, err := w.locate(in)
	if err != nil {
		return failed(err)
	}
	return w.change(in, rec)
}

// locate finds the record that an id names.
func (w *Writer) locate(in *Input) (*record.Record, *Error) {
	if in.ID == "" {
		return nil, refuse("MISSING_ARGUMENT", "Id not specified in an update call", "Id")
	}
	id, err := sfid.Long(in.ID)
	if err != nil {
		return nil, refuse(codeMalformedID, "malformed id "+in.ID)
	}
	if sfid.Prefix(id) != in.Object.Prefix {
		return nil, refusef(codeMalformedID, []string{"Id"}, "%s ID: id value of incorrect type: %s", in.Object.Label, in.ID)
	}
	rec, ok := w.Data.Table(in.Object).Get(id)
	if !ok {
		return nil, crossReferenceError()
	}
	if rec.Deleted() {
		return nil, deletedError()
	}
	return rec, nil
}

func (w *Writer) change(in *Input, old *record.Record) Result {
	if !w.Import && !w.Access.Object(in.Object).Edit {
		return failed(refuse(codeNoAccess, "insufficient access rights on object id"))
	}
	rec := old.Clone(len(in.Object.Fields))
	for _, c := range in.cells {
		if !w.Import && !c.field.Updateable {
			return failed(readOnly(c.field.Name))
		}
		if c.value == nil && c.field.DefaultValue != nil && defaulted(c.field) {
			continue
		}
		rec.Values[c.field.Slot] = c.value
	}
	w.stamp(rec)
	if errs := w.finish(in, rec, old); len(errs) > 0 {
		return failed(errs...)
	}
	w.Tx.Put(w.Data.Table(in.Object), rec)
	w.mirror(in.Object, rec)
	return Result{ID: rec.ID()}
}
