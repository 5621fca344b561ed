package bulk

import (
	"errors"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
	"github.com/throughline-dev/throughline/services/simulator/internal/jsonin"
	"github.com/throughline-dev/throughline/services/simulator/internal/org"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// ops are the operations of ingest jobs. hardDelete is not among them: it needs a permission that nobody has here.
var ops = map[string]dml.Op{"insert": dml.Insert, "update": dml.Update, "upsert": dml.Upsert, "delete": dml.Delete}

// plan is how the columns of an upload become fields.
type plan struct {
	object  *schema.Object
	op      dml.Op
	binder  *dml.Binder
	columns []column
}

// column is a field, or with key set the parent that a reference is to be found by.
type column struct {
	name  string
	field *schema.Field
	key   string
}

// newPlan finds the fields of the columns. The second result is why the job fails, or "".
func newPlan(o *org.Org, caller org.Caller, j *Job, header []string) (*plan, string) {
	object, found := o.Schema.Object(j.Object)
	if !found || !caller.Access.Object(object).Read {
		return nil, "InvalidJob : Unable to find object: " + j.Object
	}
	p := &plan{object: object, op: ops[j.Operation], binder: &dml.Binder{Schema: o.Schema, Access: caller.Access}}
	if p.op == dml.Upsert {
		key, found := object.Field(j.ExternalID)
		if !found || !key.KeyField() {
			return nil, "InvalidJob : External ID was blank or not found for " + j.Object
		}
		p.binder.Key = key
	}
	seen := map[string]bool{}
	for _, name := range header {
		c, known := p.column(o, caller, name)
		if !known {
			return nil, "InvalidBatch : Field name not found : " + name
		}
		if seen[c.name] {
			return nil, "InvalidBatch : Field name is duplicated : " + name
		}
		seen[c.name] = true
		if p.op == dml.Delete && c.field.Type != schema.ID {
			return nil, "InvalidBatch : Field name not allowed in a delete job : " + name
		}
		p.columns = append(p.columns, c)
	}
	return p, ""
}

func (p *plan) column(o *org.Org, caller org.Caller, name string) (column, bool) {
	if f, found := p.object.Field(name); found {
		return column{name: f.Name, field: f}, caller.Access.Visible(p.object, f)
	}
	relationship, key, dotted := strings.Cut(name, ".")
	ref, found := p.object.Relationship(relationship)
	if !dotted || !found || !caller.Access.Visible(p.object, ref) {
		return column{}, false
	}
	for _, parent := range o.Schema.Targets(ref) {
		if f, known := parent.Field(key); known && f.ExternalID && caller.Access.Visible(parent, f) {
			return column{name: ref.Relationship, field: ref, key: f.Name}, true
		}
	}
	return column{}, false
}

// null is the cell that empties a field; a cell without text leaves it alone.
const null = "#N/A"

// bind turns a row into an input. Reasons not to write it are in the input.
func (p *plan) bind(line *row) dml.Input {
	if line.bad != "" {
		return dml.Input{Object: p.object, Key: p.binder.Key, Errors: []*dml.Error{{Code: "ClientInputError", Message: line.bad}}}
	}
	object := jsonin.Value{Kind: jsonin.Object}
	for i := range p.columns {
		if line.cells[i] != "" {
			object.Members = append(object.Members, p.columns[i].member(line.cells[i]))
		}
	}
	in, err := p.binder.Bind(p.object, &object, p.op)
	if err != nil {
		var refused *dml.Error
		if !errors.As(err, &refused) {
			refused = &dml.Error{Code: "UNKNOWN_EXCEPTION", Message: err.Error()}
		}
		if refused.Code == "JSON_PARSER_ERROR" {
			refused = p.mismatch(&object)
		}
		in.Errors = append(in.Errors, refused)
	}
	return in
}

func (c *column) member(cell string) jsonin.Member {
	value := jsonin.Value{Kind: jsonin.String, Text: cell}
	switch {
	case cell == null:
		value = jsonin.Value{Kind: jsonin.Null}
	case c.key != "":
		value = jsonin.Value{Kind: jsonin.Object, Members: []jsonin.Member{{Key: c.key, Value: value}}}
		return jsonin.Member{Key: c.field.Relationship, Value: value}
	case c.field.Storage == schema.StoreBool:
		value.Text = checkbox(cell)
	}
	return jsonin.Member{Key: c.field.Name, Value: value}
}

// checkbox reads the words that stand for a checkbox in CSV files, from "Valid CSV Record Rows".
func checkbox(cell string) string {
	switch strings.ToLower(cell) {
	case "yes", "y", "true", "on", "1":
		return "true"
	case "no", "n", "false", "off", "0":
		return "false"
	}
	return cell
}

// mismatch says which cell of a row is not of its field's type.
func (p *plan) mismatch(object *jsonin.Value) *dml.Error {
	for i := range object.Members {
		one := jsonin.Value{Kind: jsonin.Object, Members: object.Members[i : i+1]}
		if _, err := p.binder.Bind(p.object, &one, p.op); err == nil {
			continue
		}
		if f, found := p.object.Field(object.Members[i].Key); found {
			return &dml.Error{
				Code: "INVALID_TYPE_ON_FIELD_IN_RECORD", Fields: []string{f.Name},
				Message: "'" + object.Members[i].Value.Text + "' is not a valid value for the type of " + f.Name,
			}
		}
	}
	return &dml.Error{Code: "INVALID_TYPE_ON_FIELD_IN_RECORD", Message: "a value is not of its field's type"}
}

// errorText is how failed results tell why: "CODE:message:FIELD1,FIELD2 --", and "CODE:message:--" without fields.
func errorText(line *row, e *dml.Error) string {
	if line.bad != "" && e.Code == "ClientInputError" {
		return line.bad
	}
	text := e.Code + ":" + e.Message + ":" + strings.Join(e.Fields, ",")
	if len(e.Fields) > 0 {
		text += " "
	}
	return text + "--"
}
