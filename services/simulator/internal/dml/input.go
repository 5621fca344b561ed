package dml

import (
	"strconv"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/jsonin"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// Op is what is to be done with a record.
type Op uint8

// The operations.
const (
	Insert Op = iota
	Update
	Upsert
	Delete
)

// Input is one record to write, checked as far as it can be without looking at other records.
type Input struct {
	Object *schema.Object
	// ID is the record to update or delete, as the request gave it.
	ID string
	// Key and KeyValue find the record of an upsert.
	Key      *schema.Field
	KeyValue string
	// Errors are refusals found while binding.
	Errors []*Error

	cells []cell
	links []link
}

type cell struct {
	field *schema.Field
	value record.Value
}

// link is a parent named by one of its external ids: {"Account": {"Number__c": "7"}}.
type link struct {
	field  *schema.Field
	parent *schema.Object
	key    *schema.Field
	value  string
}

// Set gives a field a value that needs no checks; scenarios and the org itself use it.
func (in *Input) Set(f *schema.Field, v record.Value) { in.cells = append(in.cells, cell{f, v}) }

// Binder turns JSON objects into inputs for one caller.
type Binder struct {
	Schema *schema.Schema
	Access *schema.Access
	// Body is the request's text; positions in it are named in errors.
	Body string
	// Key is the field whose value finds the records of an upsert; it goes to Input.KeyValue. Nil for other operations.
	Key *schema.Field
}

// Bind reads the members of a JSON object. A member that no field can take fails the whole request, as it does in
// Salesforce, and is the returned error; whatever is wrong with this record alone goes to Input.Errors.
func (b *Binder) Bind(o *schema.Object, v *jsonin.Value, op Op) (Input, error) {
	in := Input{Object: o, Key: b.Key, cells: make([]cell, 0, len(v.Members))}
	for i := range v.Members {
		m := &v.Members[i]
		if strings.EqualFold(m.Key, "attributes") {
			continue
		}
		if err := b.member(&in, m, op); err != nil {
			return in, err
		}
	}
	return in, nil
}

func (b *Binder) member(in *Input, m *jsonin.Member, op Op) error {
	f, ok := in.Object.Field(m.Key)
	if !ok {
		if ref, isParent := in.Object.Relationship(m.Key); isParent && m.Value.Kind == jsonin.Object {
			return b.link(in, ref, &m.Value)
		}
		return noColumn(m.Key, in.Object)
	}
	if !b.Access.Visible(in.Object, f) {
		return noColumn(m.Key, in.Object)
	}
	if f == b.Key {
		in.KeyValue = strings.Clone(strings.TrimSpace(m.Value.Text))
		return nil
	}
	if f.Type == schema.ID {
		in.ID = m.Value.Text
		if op == Insert {
			in.Errors = append(in.Errors, refuse("INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call", "Id"))
		}
		return nil
	}
	value, err := b.decode(f, &m.Value)
	if err != nil {
		return err
	}
	if !b.writable(in.Object, f, op) {
		in.Errors = append(in.Errors, readOnly(f.Name))
		return nil
	}
	value, refusal := check(f, value)
	if refusal != nil {
		in.Errors = append(in.Errors, refusal)
		return nil
	}
	in.cells = append(in.cells, cell{f, value})
	return nil
}

// writable leaves create-only fields in an upsert to the moment when it is known to be an update.
func (b *Binder) writable(o *schema.Object, f *schema.Field, op Op) bool {
	if !b.Access.Editable(o, f) {
		return false
	}
	if op == Update {
		return f.Updateable
	}
	return f.Createable
}

func readOnly(names ...string) *Error {
	return refusef(codeReadOnly, names,
		"Unable to create/update fields: %s. Please check the security settings of this field and verify that it is read/write for your profile or permission set.",
		strings.Join(names, ", "))
}

func noColumn(name string, o *schema.Object) error {
	return refusef("INVALID_FIELD", nil, "No such column '%s' on sobject of type %s", name, o.Name)
}

func (b *Binder) link(in *Input, ref *schema.Field, v *jsonin.Value) error {
	for i := range v.Members {
		m := &v.Members[i]
		if strings.EqualFold(m.Key, "attributes") {
			continue
		}
		for _, parent := range b.Schema.Targets(ref) {
			key, ok := parent.Field(m.Key)
			if ok && key.ExternalID && b.Access.Visible(parent, key) {
				in.links = append(in.links, link{field: ref, parent: parent, key: key, value: strings.Clone(m.Value.Text)})
				return nil
			}
		}
		return refusef("INVALID_FIELD", nil, "The external foreign key reference does not reference a valid entity: %s", m.Key)
	}
	return refusef("INVALID_FIELD", nil, "The external foreign key reference does not reference a valid entity: %s", ref.Relationship)
}

func (b *Binder) mismatch(f *schema.Field, v *jsonin.Value) error {
	line, column := jsonin.Position(b.Body, v.Pos)
	want := map[schema.Storage]string{
		schema.StoreText: "string", schema.StoreBool: "boolean", schema.StoreInt: "int", schema.StoreDouble: "double",
		schema.StoreDate: "date", schema.StoreDateTime: "datetime",
	}[f.Storage]
	shown := v.Text
	if v.Kind == jsonin.Bool {
		shown = strconv.FormatBool(v.True)
	}
	return refusef("JSON_PARSER_ERROR", nil,
		"Cannot deserialize instance of %s from %s value %s or request may be missing a required field at [line:%d, column:%d]",
		want, v.Kind, shown, line, column)
}
