package query

import (
	"slices"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

// Sheet answers a query with a table of texts, as the Bulk API does: null is empty. It takes fields and parent fields only.
// Errors are *soql.Error.
func (e *Env) Sheet(q *soql.Query) (header []string, rows [][]string, err error) {
	o, err := e.object(q)
	if err != nil {
		return nil, nil, err
	}
	columns, header, err := e.columns(q, o)
	if err != nil {
		return nil, nil, err
	}
	found, err := e.rows(q, o)
	if err != nil {
		return nil, nil, err
	}
	rows = make([][]string, len(found))
	for i, rec := range found {
		cells := make([]string, len(columns))
		for k, c := range columns {
			cells[k] = cellText(c.value(rec))
		}
		rows[i] = cells
	}
	return header, rows, nil
}

func (e *Env) columns(q *soql.Query, o *schema.Object) ([]*column, []string, error) {
	if q.Count || len(q.GroupBy) > 0 || q.Offset > 0 {
		return nil, nil, q.Unsupported(q.From.Pos, "COUNT(), GROUP BY or OFFSET in a bulk query")
	}
	var columns []*column
	var header []string
	for _, item := range q.Select {
		if item.Path == nil || item.Path.Func != "" || item.Alias != "" {
			return nil, nil, q.Unsupported(q.From.Pos, "FIELDS(), functions or subqueries in a bulk query")
		}
		c, err := e.resolve(q, o, *item.Path)
		if err != nil {
			return nil, nil, err
		}
		name := item.Path.String()
		if c.direct() && len(item.Path.Names) == 1 {
			name = c.field.Name
		}
		if slices.Contains(header, name) {
			return nil, nil, q.Invalid(item.Path.Pos, soql.Malformed, "duplicate field selected: %s", name)
		}
		columns, header = append(columns, c), append(header, name)
	}
	return columns, header, nil
}

// cellText writes a value as the REST API does, without the quotes of JSON.
func cellText(v record.Value) string {
	if n, isDouble := v.(float64); isDouble {
		return string(record.AppendJSON(nil, n))
	}
	return record.Text(v)
}
