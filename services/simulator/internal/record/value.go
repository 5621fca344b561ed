package record

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Value is one field's content: nil, string, bool, int64, float64, Date or DateTime.
type Value any

// Date is a day without zone, counted from 1970-01-01.
type Date int32

// DateTime is a moment in milliseconds since the Unix epoch. Salesforce keeps whole seconds, so the last three digits
// of a stored value are zero.
type DateTime int64

// NewDate returns the date of t in t's own zone.
func NewDate(t time.Time) Date {
	y, m, d := t.Date()
	return Date(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// NewDateTime returns t cut to whole seconds.
func NewDateTime(t time.Time) DateTime { return DateTime(t.Unix() * 1000) }

// Time returns midnight UTC of the day.
func (d Date) Time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// String returns the day as YYYY-MM-DD.
func (d Date) String() string { return d.Time().Format(time.DateOnly) }

// Time returns the moment in UTC.
func (d DateTime) Time() time.Time { return time.UnixMilli(int64(d)).UTC() }

// String returns the moment as the REST API writes it: 2026-08-10T09:00:00.000+0000.
func (d DateTime) String() string { return string(d.append(nil)) }

func (d DateTime) append(dst []byte) []byte {
	return d.Time().AppendFormat(dst, "2006-01-02T15:04:05.000-0700")
}

// ParseDate reads YYYY-MM-DD.
func ParseDate(s string) (Date, bool) {
	if len(s) != len(time.DateOnly) {
		return 0, false
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, false
	}
	return NewDate(t), true
}

// ParseDateTime reads an ISO 8601 moment with a zone (Z, +hh:mm or +hhmm), or a plain date, which means midnight UTC.
func ParseDateTime(s string) (DateTime, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999-0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return NewDateTime(t), true
		}
	}
	if d, ok := ParseDate(s); ok {
		return DateTime(int64(d) * 86400_000), true
	}
	return 0, false
}

// AppendJSON appends v as the REST API writes it.
func AppendJSON(dst []byte, v Value) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case string:
		return AppendString(dst, v)
	case bool:
		return strconv.AppendBool(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float64:
		return appendFloat(dst, v)
	case Date:
		dst = append(dst, '"')
		dst = v.Time().AppendFormat(dst, time.DateOnly)
		return append(dst, '"')
	case DateTime:
		dst = append(dst, '"')
		dst = v.append(dst)
		return append(dst, '"')
	}
	return append(dst, "null"...)
}

// appendFloat writes a double; whole numbers keep one decimal, as in Salesforce's answers.
func appendFloat(dst []byte, f float64) []byte {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		dst = strconv.AppendInt(dst, int64(f), 10)
		return append(dst, ".0"...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\ufffd"...)
				i++
				start = i
				continue
			}
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, c)
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// Text returns v as a person reads it; "" for null.
func Text(v Value) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case Date:
		return v.String()
	case DateTime:
		return v.String()
	}
	return ""
}

// Fold returns the form of s under which Salesforce compares text.
func Fold(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || (c >= 'A' && c <= 'Z') {
			return strings.ToLower(s)
		}
	}
	return s
}

// Compare orders two values of the same kind; null comes first. Text is compared folded.
func Compare(a, b Value) int {
	if a == nil || b == nil {
		return cmp.Compare(rank(a), rank(b))
	}
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return strings.Compare(Fold(x), Fold(y))
		}
	case bool:
		if y, ok := b.(bool); ok {
			return cmp.Compare(rankBool(x), rankBool(y))
		}
	case Date:
		if y, ok := b.(Date); ok {
			return cmp.Compare(x, y)
		}
	case DateTime:
		if y, ok := b.(DateTime); ok {
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(number(a), number(b))
}

func rank(v Value) int {
	if v == nil {
		return 0
	}
	return 1
}

func rankBool(b bool) int {
	if b {
		return 1
	}
	return 0
}

func number(v Value) float64 {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	}
	return math.NaN()
}
