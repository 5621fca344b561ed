package query

import (
	"math"
	"strconv"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

// literal turns a literal into a value of the field's kind. Relative dates are handled by span.
func (e *Env) literal(q *soql.Query, f *schema.Field, l soql.Literal) (record.Value, error) {
	if l.Kind == soql.NullLiteral {
		return nil, nil
	}
	switch f.Storage {
	case schema.StoreText:
		return textLiteral(q, f, l)
	case schema.StoreBool:
		if l.Kind == soql.BoolLiteral {
			return l.True, nil
		}
	case schema.StoreInt, schema.StoreDouble:
		if l.Kind == soql.NumberLiteral {
			n, err := strconv.ParseFloat(l.Text, 64)
			if err == nil && !math.IsInf(n, 0) {
				return n, nil
			}
		}
	case schema.StoreDate:
		if d, ok := record.ParseDate(l.Text); ok && l.Kind == soql.DateLiteral {
			return d, nil
		}
	case schema.StoreDateTime:
		if d, ok := record.ParseDateTime(l.Text); ok && l.Kind == soql.DateTimeLiteral {
			return d, nil
		}
	}
	return nil, wrongType(q, f, l)
}

func textLiteral(q *soql.Query, f *schema.Field, l soql.Literal) (record.Value, error) {
	if l.Kind != soql.StringLiteral {
		return nil, wrongType(q, f, l)
	}
	if f.Type != schema.ID && f.Type != schema.Reference {
		if l.Text == "" {
			return nil, nil // an empty text is null
		}
		return l.Text, nil
	}
	id, err := sfid.Long(l.Text)
	if err != nil {
		return nil, q.Invalid(l.Pos, "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: %s", l.Text)
	}
	return id, nil
}

func wrongType(q *soql.Query, f *schema.Field, l soql.Literal) error {
	names := map[schema.Storage]string{
		schema.StoreText: "string and should be enclosed in quotes", schema.StoreBool: "boolean and should not be enclosed in quotes",
		schema.StoreInt: "int and should not be enclosed in quotes", schema.StoreDouble: "double and should not be enclosed in quotes",
		schema.StoreDate: "date and should not be enclosed in quotes", schema.StoreDateTime: "dateTime and should not be enclosed in quotes",
	}
	return q.Invalid(l.Pos, "INVALID_FIELD", "value of filter criterion for field '%s' must be of type %s", f.Name, names[f.Storage])
}

// bounds returns the first value of a span and the first value after it, in the field's kind.
func (e *Env) bounds(f *schema.Field, l soql.Literal) (from, after record.Value) {
	first, last := e.span(l)
	end := last.AddDate(0, 0, 1)
	if f.Storage == schema.StoreDate {
		return record.NewDate(first), record.NewDate(end)
	}
	return record.NewDateTime(first), record.NewDateTime(end)
}
