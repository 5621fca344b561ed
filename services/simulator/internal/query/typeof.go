package query

import (
	"slices"

	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

// typeOf plans TYPEOF: for each object that a reference may point to, fields of its own. An object that no WHEN names is
// written with the fields of ELSE, or as null without.
func (e *Env) typeOf(q *soql.Query, sh *shape, t *soql.TypeOf) error {
	names := ownNames(sh.object, t.Path.Names)
	if len(names) > 1 {
		return q.Unsupported(t.Path.Pos, "TYPEOF of a parent's reference")
	}
	ref, found := sh.object.Relationship(names[0])
	if !found || !e.Access.Visible(sh.object, ref) {
		return noRelationship(q, t.Path, names[0], sh.object)
	}
	targets := e.Schema.Targets(ref)
	if len(targets) < 2 {
		return q.Invalid(t.Path.Pos, "INVALID_FIELD", "TYPEOF is for references to several objects: %s is none", t.Path)
	}
	for _, en := range sh.entries {
		if en.parents != nil && en.slot == ref.Slot {
			return q.Invalid(t.Path.Pos, soql.Malformed, "TYPEOF and the select list both have %s", t.Path)
		}
	}
	parents := sh.parents(ref)
	for _, w := range t.Whens {
		o, found := e.Schema.Object(w.Object.Text)
		if !found || !slices.Contains(targets, o) {
			return q.Invalid(w.Object.Pos, "INVALID_FIELD", "%s cannot be a %s", w.Object.Text, t.Path)
		}
		if err := e.fields(q, parents, o, w.Paths); err != nil {
			return err
		}
	}
	return e.otherwise(q, parents, targets, t)
}

// fields puts paths into the shape of one object. All must be there.
func (e *Env) fields(q *soql.Query, parents map[string]parent, o *schema.Object, paths []soql.Path) error {
	p := parent{table: e.Data.Table(o), shape: &shape{object: o}}
	parents[o.Prefix] = p
	for _, path := range paths {
		if _, err := e.resolve(q, o, path); err != nil {
			return err
		}
		e.place(p.shape, ownNames(o, path.Names), true)
	}
	return nil
}

// otherwise puts the paths of ELSE into the shapes of the objects that no WHEN names, as far as they have them. A path that
// none of them has is an error.
func (e *Env) otherwise(q *soql.Query, parents map[string]parent, targets []*schema.Object, t *soql.TypeOf) error {
	var rest []*schema.Object
	for _, o := range targets {
		if _, named := parents[o.Prefix]; !named {
			rest = append(rest, o)
		}
	}
	for _, path := range t.Else {
		var missing error
		some := false
		for _, o := range rest {
			if _, err := e.resolve(q, o, path); err != nil {
				missing = err
				continue
			}
			some = true
			p, known := parents[o.Prefix]
			if !known {
				p = parent{table: e.Data.Table(o), shape: &shape{object: o}}
				parents[o.Prefix] = p
			}
			e.place(p.shape, ownNames(o, path.Names), true)
		}
		if !some && missing != nil {
			return missing
		}
	}
	return nil
}
