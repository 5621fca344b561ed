package salesforce

import (
	"strings"
	"time"
)

// Record is one row of a query, by field name as asked for. Relationships are Records inside; other values are string, bool,
// float64 and nil. Safe for concurrent reading.
type Record map[string]any

// Value returns the value at a path such as "Email" or "Owner.IsActive"; nil when it is null or was not asked for.
func (r Record) Value(path string) any {
	name, rest, nested := strings.Cut(path, ".")
	v := r[name]
	if !nested {
		return v
	}
	switch child := v.(type) {
	case Record:
		return child.Value(rest)
	case map[string]any:
		return Record(child).Value(rest)
	}
	return nil
}

// String returns the text at a path, or "".
func (r Record) String(path string) string {
	s, _ := r.Value(path).(string)
	return s
}

// Bool returns the checkbox at a path, or false.
func (r Record) Bool(path string) bool {
	b, _ := r.Value(path).(bool)
	return b
}

// Float returns the number at a path, or 0. Whole numbers are exact up to 2^53.
func (r Record) Float(path string) float64 {
	f, _ := r.Value(path).(float64)
	return f
}

// Time returns the date or datetime at a path in UTC, or the zero time.
func (r Record) Time(path string) time.Time {
	t, _ := ParseTime(r.String(path))
	return t
}

// Type returns the object the record is of.
func (r Record) Type() string { return r.String("attributes.type") }

// datetimeLayout is how Salesforce writes a datetime.
const datetimeLayout = "2006-01-02T15:04:05.000-0700"

// ParseTime reads a datetime as Salesforce writes it, e.g. 2026-08-10T09:00:00.000+0000, RFC 3339, or a date, which is its
// midnight in UTC. Anything else is an error that quotes the text.
func ParseTime(s string) (time.Time, error) {
	t, err := time.Parse(datetimeLayout, s)
	if err == nil {
		return t.UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC(), nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	return time.Time{}, err
}
