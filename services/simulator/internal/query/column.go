package query

import (
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
	"github.com/throughline-dev/throughline/services/simulator/internal/table"
)

// maxHops is how many relationships a path may follow.
const maxHops = 5

// column is a field path resolved against the schema: a field of the record itself, or a reference and what comes
// after it on each object that the reference may point to.
type column struct {
	field  *schema.Field // of the last step; for a polymorphic reference, of the first object that has it
	slot   int
	object string // set for the pseudo field Type: the object's name is the value
	next   map[string]branch
	apply  func(record.Value) record.Value // a function around the field, nil for none
}

type branch struct {
	table  *table.Table
	column *column
}

// direct reports whether the column is a field of the record itself.
func (c *column) direct() bool { return c.next == nil && c.object == "" && c.apply == nil }

// value reads the column from a record. A relationship that leads nowhere gives null.
func (c *column) value(r *record.Record) record.Value {
	if c.apply != nil {
		return c.apply(c.plain(r))
	}
	return c.plain(r)
}

// plain is the value without the function around it.
func (c *column) plain(r *record.Record) record.Value {
	if c.object != "" {
		return c.object
	}
	if c.next == nil {
		return r.Get(c.slot)
	}
	b, target, ok := c.follow(r)
	if !ok {
		return nil
	}
	return b.column.value(target)
}

func (c *column) follow(r *record.Record) (branch, *record.Record, bool) {
	id := r.Text(c.slot)
	if id == "" {
		return branch{}, nil, false
	}
	b, ok := c.next[sfid.Prefix(id)]
	if !ok {
		return branch{}, nil, false
	}
	target, ok := b.table.Get(id)
	return b, target, ok
}

// resolve finds a path's column, starting at o. In what follows GROUP BY the columns are those of the groups.
func (e *Env) resolve(q *soql.Query, o *schema.Object, p soql.Path) (*column, error) {
	if e.groups != nil {
		return e.groups.resolve(q, p)
	}
	names := ownNames(o, p.Names)
	if len(names) > maxHops+1 {
		return nil, q.Invalid(p.Pos, soql.Malformed, "a path may follow %d relationships at most", maxHops)
	}
	c, err := e.step(q, o, p, names)
	if err != nil {
		return nil, err
	}
	return e.apply(q, p, c)
}

// ownNames leaves the object's own name out that may stand before a field.
func ownNames(o *schema.Object, names []string) []string {
	if len(names) > 1 && strings.EqualFold(names[0], o.Name) {
		if _, isRelationship := o.Relationship(names[0]); !isRelationship {
			return names[1:]
		}
	}
	return names
}

func (e *Env) step(q *soql.Query, o *schema.Object, p soql.Path, names []string) (*column, error) {
	if len(names) == 1 {
		f, ok := o.Field(names[0])
		if !ok || !e.Access.Visible(o, f) {
			return nil, noColumn(q, p, names[0], o)
		}
		return &column{field: f, slot: f.Slot}, nil
	}
	ref, ok := o.Relationship(names[0])
	if !ok || !e.Access.Visible(o, ref) {
		return nil, noRelationship(q, p, names[0], o)
	}
	c := &column{slot: ref.Slot, next: map[string]branch{}}
	targets := e.Schema.Targets(ref)
	var firstErr error
	for _, target := range targets {
		sub, err := e.target(q, target, p, names[1:], len(targets) > 1)
		if err != nil {
			firstErr = err
			continue
		}
		c.next[target.Prefix] = branch{table: e.Data.Table(target), column: sub}
		if c.field == nil {
			c.field = sub.field
		}
	}
	if len(c.next) == 0 {
		if firstErr == nil {
			firstErr = noRelationship(q, p, names[0], o)
		}
		return nil, firstErr
	}
	return c, nil
}

// target resolves the rest of a path on one target. Behind a polymorphic reference the pseudo field Type names the object.
func (e *Env) target(q *soql.Query, o *schema.Object, p soql.Path, names []string, polymorphic bool) (*column, error) {
	if polymorphic && len(names) == 1 && strings.EqualFold(names[0], "Type") {
		return &column{object: o.Name, field: typeField}, nil
	}
	return e.step(q, o, p, names)
}

// typeField stands for the pseudo field Type of a polymorphic relationship.
var typeField = &schema.Field{FieldSpec: schema.FieldSpec{Name: "Type", Type: schema.String, Length: 40}, Storage: schema.StoreText}
