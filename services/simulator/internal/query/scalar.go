package query

import (
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

// parts are the date functions that give a number ("Date Functions"). The fiscal year is the calendar year.
var parts = map[string]func(time.Time) int{
	"CALENDAR_MONTH":   func(t time.Time) int { return int(t.Month()) },
	"CALENDAR_QUARTER": func(t time.Time) int { return int(t.Month()+2) / 3 },
	"CALENDAR_YEAR":    time.Time.Year,
	"FISCAL_MONTH":     func(t time.Time) int { return int(t.Month()) },
	"FISCAL_QUARTER":   func(t time.Time) int { return int(t.Month()+2) / 3 },
	"FISCAL_YEAR":      time.Time.Year,
	"DAY_IN_MONTH":     time.Time.Day,
	"DAY_IN_WEEK":      func(t time.Time) int { return int(t.Weekday()) + 1 },
	"DAY_IN_YEAR":      time.Time.YearDay,
	"HOUR_IN_DAY":      time.Time.Hour,
	"WEEK_IN_MONTH":    func(t time.Time) int { return (t.Day()-1)/7 + 1 },
	"WEEK_IN_YEAR":     func(t time.Time) int { return (t.YearDay()-1)/7 + 1 },
}

// apply puts the path's function around its column.
func (e *Env) apply(q *soql.Query, p soql.Path, c *column) (*column, error) {
	refuse := func(text string) (*column, error) { return nil, q.Invalid(p.Pos, "INVALID_FIELD", "%s: %s", p, text) }
	f := c.field
	switch {
	case p.Func == "":
		return c, nil
	case p.Func == soql.ToLabel:
		if f.Type != schema.Picklist && f.Type != schema.MultiPicklist {
			return refuse("toLabel() is for picklists")
		}
		return c, nil // the labels of this org are the values
	case p.Aggregates():
		return refuse("the function is over groups")
	case f.Storage != schema.StoreDate && f.Storage != schema.StoreDateTime:
		return refuse("the function is for dates")
	case f.Storage == schema.StoreDate && (p.Func == "HOUR_IN_DAY" || p.Func == "DAY_ONLY" || p.Zoned):
		return refuse("the function is for dateTime fields")
	}
	zone := time.UTC
	if p.Zoned {
		zone = e.Zone
	}
	out := *c
	out.field = &schema.Field{
		FieldSpec: schema.FieldSpec{Name: p.String(), Type: schema.Int, Encryption: f.Encryption}, Storage: schema.StoreInt,
	}
	out.apply = func(v record.Value) record.Value {
		if at, ok := moment(v); ok {
			return int64(parts[p.Func](at.In(zone)))
		}
		return nil
	}
	if p.Func == "DAY_ONLY" {
		out.field.Type, out.field.Storage = schema.DateType, schema.StoreDate
		out.apply = func(v record.Value) record.Value {
			if at, ok := moment(v); ok {
				return record.NewDate(at.In(zone))
			}
			return nil
		}
	}
	return &out, nil
}

func moment(v record.Value) (time.Time, bool) {
	switch v := v.(type) {
	case record.Date:
		return v.Time(), true
	case record.DateTime:
		return v.Time(), true
	}
	return time.Time{}, false
}
