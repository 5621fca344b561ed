package query

import (
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
	"github.com/throughline-dev/throughline/services/simulator/internal/table"
)

// shape says how a record of one object is written: which fields, and which parents with which of their fields.
type shape struct {
	object  *schema.Object
	entries []entry
}

// entry is one member of a written record: a field (column nil apart), a parent or a list of children.
type entry struct {
	name     string
	slot     int
	typeName string // the pseudo field Type of a polymorphic parent
	parents  map[string]parent
	children *children
	labelled *column // toLabel() with an alias
}

type parent struct {
	table *table.Table
	shape *shape
}

// children is a subquery over a child relationship.
type children struct {
	query *soql.Query
	table *table.Table
	link  *schema.Field
	where predicate
	less  func(a, b *record.Record) int
	shape *shape
}

// shape checks the select list and plans how it is written.
func (e *Env) shape(q *soql.Query, o *schema.Object) (*shape, error) {
	sh := &shape{object: o}
	for _, item := range q.Select {
		var err error
		switch {
		case item.Path != nil:
			err = e.include(q, sh, item)
		case item.Fields != "":
			err = e.group(q, sh, item.Fields)
		case item.Children != nil:
			err = e.subquery(sh, item.Children)
		case item.TypeOf != nil:
			err = e.typeOf(q, sh, item.TypeOf)
		}
		if err != nil {
			return nil, err
		}
	}
	return sh, nil
}

func (e *Env) include(q *soql.Query, sh *shape, item soql.Item) error {
	p := *item.Path
	c, err := e.resolve(q, sh.object, p)
	switch {
	case err != nil:
		return err
	case p.Dated():
		return q.Invalid(p.Pos, soql.Malformed, "%s can be selected only if it is grouped", p)
	case item.Alias != "" && p.Func == "":
		return q.Invalid(p.Pos, soql.Malformed, "only aggregate expressions use field aliasing")
	}
	names := ownNames(sh.object, p.Names)
	name := names[len(names)-1:]
	if item.Alias != "" {
		name = []string{item.Alias}
	}
	if len(names) == 1 || item.Alias != "" {
		if sh.has(name) {
			return q.Invalid(p.Pos, soql.Malformed, "duplicate field selected: %s", p.String())
		}
	}
	if item.Alias != "" {
		sh.entries = append(sh.entries, entry{name: item.Alias, slot: c.slot, labelled: c})
		return nil
	}
	e.place(sh, names, false)
	return nil
}

// has reports whether a direct field is in the shape already.
func (sh *shape) has(names []string) bool {
	if len(names) > 1 {
		return false
	}
	for _, en := range sh.entries {
		if en.parents == nil && en.children == nil && strings.EqualFold(en.name, names[0]) {
			return true
		}
	}
	return false
}

// place puts a resolved path into a shape. A parent's other objects simply lack a field that they do not have.
func (e *Env) place(sh *shape, names []string, polymorphic bool) {
	if len(names) == 1 {
		if polymorphic && strings.EqualFold(names[0], "Type") {
			sh.entries = append(sh.entries, entry{name: "Type", typeName: sh.object.Name})
			return
		}
		if f, ok := sh.object.Field(names[0]); ok && e.Access.Visible(sh.object, f) && !sh.has(names) {
			sh.entries = append(sh.entries, entry{name: f.Name, slot: f.Slot})
		}
		return
	}
	ref, ok := sh.object.Relationship(names[0])
	if !ok {
		return
	}
	parents := sh.parents(ref)
	targets := e.Schema.Targets(ref)
	for _, target := range targets {
		p, known := parents[target.Prefix]
		if !known {
			p = parent{table: e.Data.Table(target), shape: &shape{object: target}}
			parents[target.Prefix] = p
		}
		e.place(p.shape, names[1:], len(targets) > 1)
	}
}

func (sh *shape) parents(ref *schema.Field) map[string]parent {
	for _, en := range sh.entries {
		if en.parents != nil && en.slot == ref.Slot {
			return en.parents
		}
	}
	parents := map[string]parent{}
	sh.entries = append(sh.entries, entry{name: ref.Relationship, slot: ref.Slot, parents: parents})
	return parents
}

// group adds the fields of FIELDS(ALL), FIELDS(STANDARD) or FIELDS(CUSTOM).
func (e *Env) group(q *soql.Query, sh *shape, group string) error {
	if group != "ALL" && group != "STANDARD" && group != "CUSTOM" {
		return q.Invalid(q.From.Pos, soql.Malformed, "unexpected token: '%s'", group)
	}
	if group != "STANDARD" && (q.Limit < 0 || q.Limit > 200) {
		return q.Invalid(q.From.Pos, soql.Malformed, "The SOQL FIELDS function must have a LIMIT of at most 200")
	}
	for _, f := range sh.object.Fields {
		if e.Access.Visible(sh.object, f) && (group == "ALL" || f.Custom == (group == "CUSTOM")) && !sh.has([]string{f.Name}) {
			sh.entries = append(sh.entries, entry{name: f.Name, slot: f.Slot})
		}
	}
	return nil
}

func (e *Env) subquery(sh *shape, q *soql.Query) error {
	for _, c := range sh.object.Children {
		if !strings.EqualFold(c.Field.ChildRelationship, q.From.Text) || c.Field.ChildRelationship == "" || !e.Access.Object(c.Object).Read {
			continue
		}
		if len(q.GroupBy) > 0 || q.Count || q.Offset > 0 || q.Scope.Text != "" {
			return q.Unsupported(q.From.Pos, "grouping, COUNT(), OFFSET or USING SCOPE in a subquery")
		}
		inner, err := e.shape(q, c.Object)
		if err != nil {
			return err
		}
		where, err := e.compile(q, c.Object, q.Where)
		if err != nil {
			return err
		}
		less, err := e.ordering(q, c.Object)
		if err != nil {
			return err
		}
		sh.entries = append(sh.entries, entry{name: c.Field.ChildRelationship, children: &children{
			query: q, table: e.Data.Table(c.Object), link: c.Field, where: where, less: less, shape: inner,
		}})
		return nil
	}
	return noRelationship(q, soql.Path{Names: []string{q.From.Text}, Pos: q.From.Pos}, q.From.Text, sh.object)
}

// follow finds the parent of r that the entry names.
func (en *entry) follow(r *record.Record) (parent, *record.Record, bool) {
	id := r.Text(en.slot)
	if id == "" {
		return parent{}, nil, false
	}
	p, ok := en.parents[sfid.Prefix(id)]
	if !ok {
		return parent{}, nil, false
	}
	target, ok := p.table.Get(id)
	return p, target, ok
}
