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

// aggregate answers a query with GROUP BY or aggregate functions.
func (e *Env) aggregate(q *soql.Query, o *schema.Object) (*Result, error) {
	if len(q.OrderBy) > 0 {
		return nil, q.Unsupported(q.OrderBy[0].Path.Pos, "ORDER BY in an aggregate query")
	}
	keys, err := e.groupKeys(q, o)
	if err != nil {
		return nil, err
	}
	outputs, err := e.outputs(q, o)
	if err != nil {
		return nil, err
	}
	unlimited := *q
	unlimited.Limit, unlimited.Offset = -1, -1
	rows, err := e.rows(&unlimited, o)
	if err != nil {
		return nil, err
	}
	groups := groupRows(rows, keys)
	if len(keys) == 0 {
		groups = [][]*record.Record{rows}
	}
	groups = groups[min(max(q.Offset, 0), len(groups)):]
	if q.Limit >= 0 {
		groups = groups[:min(q.Limit, len(groups))]
	}
	if len(groups) > maxGroups {
		return nil, q.Invalid(q.From.Pos, "EXCEEDED_ID_LIMIT", "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch")
	}
	return &Result{Total: len(groups), env: *e, group: appendGroups(groups, outputs)}, nil
}

func (e *Env) groupKeys(q *soql.Query, o *schema.Object) ([]*column, error) {
	var keys []*column
	for _, p := range q.GroupBy {
		c, err := e.resolve(q, o, p)
		if err != nil {
			return nil, err
		}
		if !c.field.Filterable() {
			return nil, q.Invalid(p.Pos, "INVALID_FIELD", "field '%s' can not be grouped in a query call", c.field.Name)
		}
		keys = append(keys, c)
	}
	return keys, nil
}

func (e *Env) outputs(q *soql.Query, o *schema.Object) ([]output, error) {
	var out []output
	expr := 0
	for _, item := range q.Select {
		switch {
		case item.Aggregate != nil:
			c, err := e.resolve(q, o, item.Aggregate.Path)
			if err != nil {
				return nil, err
			}
			name := item.Aggregate.Alias
			if name == "" {
				name = fmt.Sprintf("expr%d", expr)
				expr++
			}
			out = append(out, output{name: name, column: c, fn: item.Aggregate.Func})
		case item.Path != nil:
			if !slices.ContainsFunc(q.GroupBy, func(p soql.Path) bool { return strings.EqualFold(p.String(), item.Path.String()) }) {
				return nil, q.Invalid(item.Path.Pos, soql.Malformed, "Field must be grouped or aggregated: %s", item.Path)
			}
			c, err := e.resolve(q, o, *item.Path)
			if err != nil {
				return nil, err
			}
			out = append(out, output{name: item.Path.Names[len(item.Path.Names)-1], column: c})
		default:
			return nil, q.Unsupported(q.From.Pos, "FIELDS() or a subquery in an aggregate query")
		}
	}
	return out, nil
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

func appendGroups(groups [][]*record.Record, outputs []output) []byte {
	dst := []byte{'['}
	for i, rows := range groups {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"attributes":{"type":"AggregateResult"}`...)
		for _, out := range outputs {
			dst = append(dst, ',')
			dst = record.AppendString(dst, out.name)
			dst = append(dst, ':')
			dst = record.AppendJSON(dst, out.over(rows))
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
