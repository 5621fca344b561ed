package query

import (
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

// predicate is a condition ready to run. keys, when not nil, says that only records listed in an index under one of them
// can hold, so that the rest need not be looked at.
type predicate struct {
	holds func(*record.Record) bool
	keys  *lookup
}

// lookup is a set of values of one indexed field, or a union of such sets.
type lookup struct {
	slot  int
	keys  []string
	union []*lookup
}

func (l *lookup) size() int {
	n := len(l.keys)
	for _, u := range l.union {
		n += u.size()
	}
	return n
}

func (e *Env) compile(q *soql.Query, o *schema.Object, x soql.Expr) (predicate, error) {
	switch x := x.(type) {
	case soql.And:
		return e.and(q, o, x)
	case soql.Or:
		return e.or(q, o, x)
	case soql.Not:
		p, err := e.compile(q, o, x.Expr)
		return predicate{holds: func(r *record.Record) bool { return !p.holds(r) }}, err
	case *soql.Comparison:
		return e.comparison(q, o, x)
	case *soql.Membership:
		return e.membership(q, o, x)
	}
	return predicate{holds: func(*record.Record) bool { return true }}, nil
}

func (e *Env) and(q *soql.Query, o *schema.Object, parts soql.And) (predicate, error) {
	out := predicate{}
	all := make([]func(*record.Record) bool, 0, len(parts))
	for _, part := range parts {
		p, err := e.compile(q, o, part)
		if err != nil {
			return out, err
		}
		all = append(all, p.holds)
		if p.keys != nil && (out.keys == nil || p.keys.size() < out.keys.size()) {
			out.keys = p.keys
		}
	}
	out.holds = func(r *record.Record) bool {
		for _, holds := range all {
			if !holds(r) {
				return false
			}
		}
		return true
	}
	return out, nil
}

func (e *Env) or(q *soql.Query, o *schema.Object, parts soql.Or) (predicate, error) {
	out := predicate{keys: &lookup{}}
	all := make([]func(*record.Record) bool, 0, len(parts))
	for _, part := range parts {
		p, err := e.compile(q, o, part)
		if err != nil {
			return out, err
		}
		all = append(all, p.holds)
		if p.keys == nil {
			out.keys = nil
		} else if out.keys != nil {
			out.keys.union = append(out.keys.union, p.keys)
		}
	}
	out.holds = func(r *record.Record) bool {
		for _, holds := range all {
			if holds(r) {
				return true
			}
		}
		return false
	}
	return out, nil
}

// filtered resolves a path and makes sure that it can be filtered by.
func (e *Env) filtered(q *soql.Query, o *schema.Object, p soql.Path) (*column, error) {
	c, err := e.resolve(q, o, p)
	if err != nil {
		return nil, err
	}
	if !c.field.Filterable() {
		return nil, q.Invalid(p.Pos, "INVALID_FIELD", "field '%s' can not be filtered in a query call", c.field.Name)
	}
	return c, nil
}

func (e *Env) comparison(q *soql.Query, o *schema.Object, x *soql.Comparison) (predicate, error) {
	c, err := e.filtered(q, o, x.Path)
	if err != nil {
		return predicate{}, err
	}
	if x.Value.Kind == soql.RelativeLiteral {
		return e.relative(q, c, x)
	}
	if x.Op == "LIKE" {
		return like(q, c, x)
	}
	want, err := e.literal(q, c.field, x.Value)
	if err != nil {
		return predicate{}, err
	}
	switch x.Op {
	case "=", "!=":
		return equality(c, want, x.Op == "="), nil
	}
	if c.field.Storage == schema.StoreBool || (c.field.Encryption != "" && want != nil) {
		return predicate{}, q.Invalid(x.Path.Pos, "INVALID_QUERY_FILTER_OPERATOR", "invalid operator")
	}
	return predicate{holds: func(r *record.Record) bool { return ordered(c.value(r), want, x.Op) }}, nil
}

func ordered(v, want record.Value, op string) bool {
	if v == nil || want == nil {
		return false
	}
	order := record.Compare(v, want)
	switch op {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	default:
		return order >= 0
	}
}

func equality(c *column, want record.Value, positive bool) predicate {
	same := matcher(c.field, want)
	p := predicate{holds: func(r *record.Record) bool { return same(c.value(r)) == positive }}
	if positive && want != nil && c.direct() && indexed(c.field) {
		p.keys = &lookup{slot: c.slot, keys: []string{c.field.Key(want)}}
	}
	return p
}

func indexed(f *schema.Field) bool { return f.Indexed || f.Slot == record.SlotID }

// matcher compares values of a field with one value.
func matcher(f *schema.Field, want record.Value) func(record.Value) bool {
	if want == nil {
		return func(v record.Value) bool { return v == nil }
	}
	if f.Storage != schema.StoreText {
		return func(v record.Value) bool { return v != nil && record.Compare(v, want) == 0 }
	}
	key := f.Key(want)
	return func(v record.Value) bool { return v != nil && f.Key(v) == key }
}

func (e *Env) membership(q *soql.Query, o *schema.Object, x *soql.Membership) (predicate, error) {
	c, err := e.filtered(q, o, x.Path)
	if err != nil {
		return predicate{}, err
	}
	if x.Op == "INCLUDES" || x.Op == "EXCLUDES" {
		return e.includes(q, c, x)
	}
	set, hasNull, err := e.members(q, c, x)
	if err != nil {
		return predicate{}, err
	}
	positive := x.Op == "IN"
	p := predicate{holds: func(r *record.Record) bool {
		v := c.value(r)
		if v == nil {
			return hasNull == positive
		}
		_, in := set[setKey(c.field, v)]
		return in == positive
	}}
	if positive && !hasNull && c.direct() && indexed(c.field) {
		p.keys = &lookup{slot: c.slot, keys: make([]string, 0, len(set))}
		for key := range set {
			p.keys.keys = append(p.keys.keys, key)
		}
	}
	return p, nil
}

// setKey is Field.Key with numbers made comparable whatever their kind.
func setKey(f *schema.Field, v record.Value) string {
	if n, ok := v.(int64); ok {
		v = float64(n)
	}
	return f.Key(v)
}

func (e *Env) members(q *soql.Query, c *column, x *soql.Membership) (set map[string]struct{}, hasNull bool, err error) {
	set = make(map[string]struct{}, len(x.Values))
	if x.Query != nil {
		return set, false, e.semiJoin(q, c, x, set)
	}
	for _, l := range x.Values {
		if l.Kind == soql.RelativeLiteral {
			return nil, false, q.Unsupported(l.Pos, "a date literal in IN")
		}
		v, err := e.literal(q, c.field, l)
		if err != nil {
			return nil, false, err
		}
		if v == nil {
			hasNull = true
			continue
		}
		set[setKey(c.field, v)] = struct{}{}
	}
	return set, hasNull, nil
}

// semiJoin runs the subquery of IN (SELECT …) and collects its one column.
func (e *Env) semiJoin(q *soql.Query, c *column, x *soql.Membership, set map[string]struct{}) error {
	sub := x.Query
	if c.field.Type != schema.ID && c.field.Type != schema.Reference {
		return q.Invalid(x.Path.Pos, soql.Malformed, "semi join sub-selects can only be used with an Id or reference field")
	}
	o, err := e.object(sub)
	if err != nil {
		return err
	}
	if outer, found := e.Schema.Object(q.From.Text); found && outer == o {
		return sub.Invalid(sub.From.Pos, soql.Malformed, "The inner and outer selects should not be on the same object type")
	}
	inner, err := e.resolve(sub, o, *sub.Select[0].Path)
	if err != nil {
		return err
	}
	rows, err := e.rows(sub, o)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if id, ok := inner.value(r).(string); ok {
			set[id] = struct{}{}
		}
	}
	return nil
}

func (e *Env) includes(q *soql.Query, c *column, x *soql.Membership) (predicate, error) {
	if c.field.Type != schema.MultiPicklist {
		return predicate{}, q.Invalid(x.Path.Pos, "INVALID_QUERY_FILTER_OPERATOR", "includes and excludes operators only valid on multipicklist field")
	}
	positive := x.Op == "INCLUDES"
	return predicate{holds: func(r *record.Record) bool {
		have := ";" + record.Fold(record.Text(c.value(r))) + ";"
		for _, l := range x.Values {
			if hasAll(have, strings.Split(record.Fold(l.Text), ";")) {
				return positive
			}
		}
		return !positive
	}}, nil
}

func hasAll(have string, want []string) bool {
	for _, w := range want {
		if !strings.Contains(have, ";"+w+";") {
			return false
		}
	}
	return true
}

func (e *Env) relative(q *soql.Query, c *column, x *soql.Comparison) (predicate, error) {
	if c.field.Storage != schema.StoreDate && c.field.Storage != schema.StoreDateTime {
		return predicate{}, wrongType(q, c.field, x.Value)
	}
	from, after := e.bounds(c.field, x.Value)
	within := func(v record.Value) bool { return ordered(v, from, ">=") && ordered(v, after, "<") }
	var holds func(v record.Value) bool
	switch x.Op {
	case "=":
		holds = within
	case "!=":
		holds = func(v record.Value) bool { return !within(v) }
	case "<":
		holds = func(v record.Value) bool { return ordered(v, from, "<") }
	case "<=":
		holds = func(v record.Value) bool { return ordered(v, after, "<") }
	case ">":
		holds = func(v record.Value) bool { return ordered(v, after, ">=") }
	case ">=":
		holds = func(v record.Value) bool { return ordered(v, from, ">=") }
	default:
		return predicate{}, q.Invalid(x.Path.Pos, "INVALID_QUERY_FILTER_OPERATOR", "invalid operator")
	}
	return predicate{holds: func(r *record.Record) bool { return holds(c.value(r)) }}, nil
}
