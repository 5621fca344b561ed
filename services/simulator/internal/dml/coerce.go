package dml

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/throughline-dev/throughline/services/simulator/internal/jsonin"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// decode turns a JSON value into one of the field's kind. The value no longer shares the body's memory.
func (b *Binder) decode(f *schema.Field, v *jsonin.Value) (record.Value, error) {
	if v.Kind == jsonin.Null {
		return zero(f), nil
	}
	switch f.Storage {
	case schema.StoreText:
		return b.decodeText(f, v)
	case schema.StoreBool:
		if v.Kind == jsonin.Bool {
			return v.True, nil
		}
		if v.Kind == jsonin.String && (strings.EqualFold(v.Text, "true") || strings.EqualFold(v.Text, "false")) {
			return strings.EqualFold(v.Text, "true"), nil
		}
	case schema.StoreInt, schema.StoreDouble:
		return b.decodeNumber(f, v)
	case schema.StoreDate:
		return b.decodeDate(f, v)
	case schema.StoreDateTime:
		if v.Kind == jsonin.String {
			if v.Text == "" {
				return nil, nil
			}
			if t, ok := record.ParseDateTime(v.Text); ok {
				return t, nil
			}
		}
	}
	return nil, b.mismatch(f, v)
}

// zero is what clearing a field leaves: null, or false in a checkbox.
func zero(f *schema.Field) record.Value {
	if f.Storage == schema.StoreBool {
		return false
	}
	return nil
}

func (b *Binder) decodeText(f *schema.Field, v *jsonin.Value) (record.Value, error) {
	if v.Kind != jsonin.String {
		return nil, b.mismatch(f, v)
	}
	text := strings.TrimSpace(v.Text)
	if text == "" {
		return nil, nil
	}
	return strings.Clone(text), nil
}

func (b *Binder) decodeNumber(f *schema.Field, v *jsonin.Value) (record.Value, error) {
	if v.Kind != jsonin.Number && v.Kind != jsonin.String {
		return nil, b.mismatch(f, v)
	}
	if v.Kind == jsonin.String && v.Text == "" {
		return nil, nil
	}
	n, err := strconv.ParseFloat(v.Text, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) || strings.ContainsAny(v.Text, "xX_pP") {
		return nil, b.mismatch(f, v)
	}
	if f.Storage == schema.StoreInt {
		if n != math.Trunc(n) || math.Abs(n) > 1e15 {
			return nil, b.mismatch(f, v)
		}
		return int64(n), nil
	}
	return n, nil
}

func (b *Binder) decodeDate(f *schema.Field, v *jsonin.Value) (record.Value, error) {
	if v.Kind != jsonin.String {
		return nil, b.mismatch(f, v)
	}
	if v.Text == "" {
		return nil, nil
	}
	day, _, _ := strings.Cut(v.Text, "T")
	d, ok := record.ParseDate(day)
	if !ok {
		return nil, b.mismatch(f, v)
	}
	return d, nil
}

// check applies the field's own rules to a value: length, picklist, address, range. It returns the value as it is stored.
func check(f *schema.Field, v record.Value) (record.Value, *Error) {
	switch v := v.(type) {
	case string:
		return checkText(f, v)
	case int64:
		if limit := math.Pow10(f.Precision); math.Abs(float64(v)) >= limit {
			return nil, outOfRange(f, float64(v))
		}
	case float64:
		scaled := round(v, f.Scale)
		if math.Abs(scaled) >= math.Pow10(f.Precision-f.Scale) {
			return nil, outOfRange(f, v)
		}
		return scaled, nil
	case record.Date:
		return v, checkYear(f, v.Time().Year())
	case record.DateTime:
		return v, checkYear(f, v.Time().Year())
	}
	return v, nil
}

// Years that Salesforce accepts in dates.
const (
	minYear = 1700
	maxYear = 4000
)

func checkYear(f *schema.Field, year int) *Error {
	if year < minYear || year > maxYear {
		return refusef(codeRange, []string{f.Name}, "%s: invalid date: year %d", f.Label, year)
	}
	return nil
}

func outOfRange(f *schema.Field, n float64) *Error {
	return refusef(codeRange, []string{f.Name}, "%s: value outside of valid range on numeric field: %s",
		f.Label, strconv.FormatFloat(n, 'f', -1, 64))
}

// round rounds half away from zero to scale decimals.
func round(n float64, scale int) float64 {
	if n == math.Trunc(n) || scale > 15 {
		return n
	}
	shift := math.Pow10(scale)
	return math.Round(n*shift) / shift
}

func checkText(f *schema.Field, s string) (record.Value, *Error) {
	switch f.Type {
	case schema.ID, schema.Reference:
		return s, nil // checked with the record it points to
	case schema.Email:
		if !validEmail(s) {
			return nil, refusef("INVALID_EMAIL_ADDRESS", []string{f.Name}, "%s: invalid email address: %s", f.Label, s)
		}
	case schema.Picklist:
		if declared, ok := f.Active(s); ok {
			return declared, nil
		}
		if f.Restricted {
			return nil, refusef("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", []string{f.Name}, "%s: bad value for restricted picklist field: %s", f.Label, s)
		}
	case schema.MultiPicklist:
		return checkMulti(f, s)
	}
	if len(s) > f.Length {
		if n := units(s); n > f.Length {
			return nil, refusef(codeTooLong, []string{f.Name}, "%s: data value too large: %s (max length=%d)", f.Label, s, f.Length)
		}
	}
	return s, nil
}

func checkMulti(f *schema.Field, s string) (record.Value, *Error) {
	for part := range strings.SplitSeq(s, ";") {
		if _, ok := f.Active(part); !ok && f.Restricted {
			return nil, refusef("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", []string{f.Name}, "%s: bad value for restricted picklist field: %s", f.Label, part)
		}
	}
	return s, nil
}

// units counts s in UTF-16 code units, which is how the platform measures text.
func units(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// validEmail accepts what Salesforce's own check does: a local part of printable characters and a dotted domain.
func validEmail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || len(local) > 64 || !utf8.ValidString(s) || strings.ContainsAny(s, " \t\r\n<>()[],;:\"\\") {
		return false
	}
	if strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(s, "..") || strings.Contains(domain, "@") {
		return false
	}
	dot := strings.LastIndexByte(domain, '.')
	return dot > 0 && dot < len(domain)-1 && domain[0] != '-' && domain[0] != '.'
}
