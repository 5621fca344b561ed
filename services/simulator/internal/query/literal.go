package query

import (
	"math"
	"strconv"
	"time"

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

// span returns the first and the last day of a relative date, both included.
func (e *Env) span(l soql.Literal) (from, to time.Time) {
	now := e.Now.In(e.Zone)
	y, m, d := now.Date()
	day := func(offset int) time.Time { return time.Date(y, m, d+offset, 0, 0, 0, 0, e.Zone) }
	week := -int(now.Weekday())
	switch l.Text {
	case "YESTERDAY":
		return day(-1), day(-1)
	case "TOMORROW":
		return day(1), day(1)
	case "THIS_WEEK":
		return day(week), day(week + 6)
	case "LAST_WEEK":
		return day(week - 7), day(week - 1)
	case "NEXT_WEEK":
		return day(week + 7), day(week + 13)
	case "THIS_MONTH", "LAST_MONTH", "NEXT_MONTH":
		shift := map[byte]time.Month{'T': 0, 'L': -1, 'N': 1}[l.Text[0]]
		return time.Date(y, m+shift, 1, 0, 0, 0, 0, e.Zone), time.Date(y, m+shift+1, 0, 0, 0, 0, 0, e.Zone)
	case "THIS_YEAR", "LAST_YEAR":
		shift := map[byte]int{'T': 0, 'L': -1}[l.Text[0]]
		return time.Date(y+shift, 1, 1, 0, 0, 0, 0, e.Zone), time.Date(y+shift, 12, 31, 0, 0, 0, 0, e.Zone)
	case "LAST_N_DAYS":
		return day(-l.N), day(0)
	case "NEXT_N_DAYS":
		return day(1), day(l.N)
	case "N_DAYS_AGO":
		return day(-l.N), day(-l.N)
	case "LAST_90_DAYS":
		return day(-90), day(0)
	case "NEXT_90_DAYS":
		return day(1), day(90)
	}
	return day(0), day(0)
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
