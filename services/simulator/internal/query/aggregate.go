package query

import (
	"fmt"
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

// maxGroups is how many groups an aggregate query may give.
const maxGroups = 2_000

// output is one column of an aggregate query.
type output struct {
	name   string
	column *column
	fn     string // empty for a grouped field
}

// groups is what may stand in SELECT, HAVING and ORDER BY of an aggregate query: grouped fields and aggregates. Each that does
// becomes a value of a record made for the group, so that conditions and orders work on groups as they do on records.
type groups struct {
	env    *Env
	object *schema.Object
	by     map[string]*column // by the text of the path in GROUP BY
	outs   []output
	fields []*schema.Field // of outs
	at     map[string]int  // into outs, by the text of the path
}

// aggregate answers a query with GROUP BY or aggregate functions.
func (e *Env) aggregate(q *soql.Query, o *schema.Object) (*Result, error) {
	if len(q.GroupBy) == 0 && q.Limit >= 0 {
		return nil, q.Invalid(q.From.Pos, soql.Malformed, "Non-grouped query that uses overall aggregate functions cannot also use LIMIT")
	}
	g := &groups{env: e, object: o, by: map[string]*column{}, at: map[string]int{}}
	keys, err := g.keys(q)
	if err != nil {
		return nil, err
	}
	selected, slots, err := g.selected(q)
	if err != nil {
		return nil, err
	}
	inner := *e
	inner.groups = g
	having, err := inner.compile(q, o, q.Having)
	if err != nil {
		return nil, err
	}
	less, err := inner.ordering(q, o)
	if err != nil {
		return nil, err
	}
	plain := *q
	plain.Limit, plain.Offset, plain.OrderBy = -1, -1, nil
	rows, err := e.rows(&plain, o)
	if err != nil {
		return nil, err
	}
	found := g.records(rows, keys, having)
	if less != nil {
		slices.SortStableFunc(found, less)
	}
	if found = window(found, q); len(found) > maxGroups {
		return nil, q.Invalid(q.From.Pos, "EXCEEDED_ID_LIMIT", "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch")
	}
	return &Result{Total: len(found), env: *e, group: appendGroups(found, selected, slots), outputs: selected}, nil
}

func (g *groups) keys(q *soql.Query) ([]*column, error) {
	var keys []*column
	for _, p := range q.GroupBy {
		c, err := g.env.resolve(q, g.object, p)
		if err != nil {
			return nil, err
		}
		if !c.field.Groupable() {
			return nil, q.Invalid(p.Pos, "INVALID_FIELD", "field '%s' can not be grouped in a query call", c.field.Name)
		}
		keys = append(keys, c)
		g.by[g.text(p)] = c
	}
	return keys, nil
}

// text is what two paths have in common that mean the same.
func (g *groups) text(p soql.Path) string {
	p.Names = ownNames(g.object, p.Names)
	return strings.ToLower(p.String())
}

// selected lists the columns of the answer, and where each is in the records of the groups.
func (g *groups) selected(q *soql.Query) (outs []output, slots []int, err error) {
	unnamed := 0
	for _, item := range q.Select {
		p, alias, named := soql.Path{}, item.Alias, ""
		switch {
		case item.Aggregate != nil:
			p, alias = item.Aggregate.Path, item.Aggregate.Alias
			p.Func = item.Aggregate.Func
		case item.Path != nil:
			p = *item.Path
			if p.Func == soql.ToLabel {
				p.Func = ""
			}
			if !p.Dated() {
				named = p.Names[len(p.Names)-1]
			}
		case item.TypeOf != nil:
			return nil, nil, q.Invalid(item.TypeOf.Path.Pos, soql.Malformed, "TYPEOF can't be used in an aggregate query")
		default:
			return nil, nil, q.Unsupported(q.From.Pos, "FIELDS() or a subquery in an aggregate query")
		}
		c, err := g.resolve(q, p)
		if err != nil {
			return nil, nil, err
		}
		out := g.outs[c.slot]
		switch {
		case alias != "":
			out.name = alias
		case named != "":
			out.name = named
		default:
			out.name = fmt.Sprintf("expr%d", unnamed)
			unnamed++
		}
		outs, slots = append(outs, out), append(slots, c.slot)
	}
	return outs, slots, nil
}

// resolve finds what a path means for a group: a value of the group's record.
func (g *groups) resolve(q *soql.Query, p soql.Path) (*column, error) {
	text := g.text(p)
	if i, known := g.at[text]; known {
		return &column{field: g.fields[i], slot: i}, nil
	}
	out, field, err := g.output(q, p)
	if err != nil {
		return nil, err
	}
	g.at[text] = len(g.outs)
	g.outs, g.fields = append(g.outs, out), append(g.fields, field)
	return &column{field: field, slot: len(g.outs) - 1}, nil
}

func (g *groups) output(q *soql.Query, p soql.Path) (output, *schema.Field, error) {
	if !p.Aggregates() {
		c, found := g.by[g.text(p)]
		if !found {
			// A part of a date may stand for itself where the date is grouped.
			bare := p
			bare.Func = ""
			if day, grouped := g.by[g.text(bare)]; !p.Dated() || !grouped || day.field.Storage != schema.StoreDate {
				return output{}, nil, q.Invalid(p.Pos, soql.Malformed, "Field must be grouped or aggregated: %s", p)
			}
			var err error
			if c, err = g.env.resolve(q, g.object, p); err != nil {
				return output{}, nil, err
			}
		}
		return output{column: c}, c.field, nil
	}
	bare := p
	bare.Func = ""
	c, err := g.env.resolve(q, g.object, bare)
	if err != nil {
		return output{}, nil, err
	}
	field, fits := aggregated(p.Func, c.field)
	if !fits {
		return output{}, nil, q.Invalid(p.Pos, "INVALID_FIELD", "field %s does not support aggregate operator %s", c.field.Name, p.Func)
	}
	return output{column: c, fn: p.Func}, field, nil
}

// aggregated returns the field that a function over a field is, and whether the field has the function.
func aggregated(fn string, f *schema.Field) (*schema.Field, bool) {
	out := &schema.Field{FieldSpec: schema.FieldSpec{Name: fn + "(" + f.Name + ")", Type: schema.Int}, Storage: schema.StoreInt}
	numeric := f.Storage == schema.StoreInt || f.Storage == schema.StoreDouble
	switch fn {
	case "COUNT", "COUNT_DISTINCT":
		return out, f.Filterable()
	case "MIN", "MAX":
		return f, f.Filterable() && f.Storage != schema.StoreBool
	}
	out.Type, out.Storage = schema.Double, schema.StoreDouble
	return out, f.Filterable() && numeric
}

// records makes the records of the groups that HAVING holds for. Without GROUP BY there is one group, also of no rows.
func (g *groups) records(rows []*record.Record, keys []*column, having predicate) []*record.Record {
	list := groupRows(rows, keys)
	if len(keys) == 0 {
		list = [][]*record.Record{rows}
	}
	var out []*record.Record
	for i, members := range list {
		rec := &record.Record{Num: uint64(i), Values: make([]record.Value, len(g.outs))}
		for k := range g.outs {
			rec.Values[k] = g.outs[k].over(members)
		}
		if having.holds(rec) {
			out = append(out, rec)
		}
	}
	return out
}

// groupRows puts rows with equal keys together, in the order in which the groups appear.
func groupRows(rows []*record.Record, keys []*column) [][]*record.Record {
	var order [][]*record.Record
	at := map[string]int{}
	for _, r := range rows {
		var b strings.Builder
		for _, k := range keys {
			v := k.value(r)
			fmt.Fprintf(&b, "%t\x00%s\x00", v == nil, record.Fold(record.Text(v)))
		}
		i, ok := at[b.String()]
		if !ok {
			i = len(order)
			at[b.String()] = i
			order = append(order, nil)
		}
		order[i] = append(order[i], r)
	}
	return order
}

func appendGroups(found []*record.Record, selected []output, slots []int) []byte {
	dst := []byte{'['}
	for i, rec := range found {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"attributes":{"type":"AggregateResult"}`...)
		for k := range selected {
			dst = append(dst, ',')
			dst = record.AppendString(dst, selected[k].name)
			dst = append(dst, ':')
			dst = record.AppendJSON(dst, rec.Values[slots[k]])
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// over computes the output for one group. Nulls do not count.
func (o output) over(rows []*record.Record) record.Value {
	if o.fn == "" {
		return o.column.value(rows[0])
	}
	var least, most record.Value
	var sum float64
	n := 0
	distinct := map[string]struct{}{}
	for _, r := range rows {
		v := o.column.value(r)
		if v == nil {
			continue
		}
		n++
		if least == nil || record.Compare(v, least) < 0 {
			least = v
		}
		if most == nil || record.Compare(v, most) > 0 {
			most = v
		}
		switch v := v.(type) {
		case int64:
			sum += float64(v)
		case float64:
			sum += v
		}
		if o.fn == "COUNT_DISTINCT" {
			distinct[setKey(o.column.field, v)] = struct{}{}
		}
	}
	switch o.fn {
	case "COUNT":
		return int64(n)
	case "COUNT_DISTINCT":
		return int64(len(distinct))
	case "MIN":
		return least
	case "MAX":
		return most
	}
	if n == 0 {
		return nil
	}
	if o.fn == "AVG" {
		return sum / float64(n)
	}
	return sum
}
