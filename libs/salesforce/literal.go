package salesforce

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of SOQL literals. Source: Salesforce Developer Limits Quick Reference, "SOQL and SOSL Limits for Search Queries". The
// years are those that dates may have.
const (
	// MaxLiteral is the most characters of one text in a WHERE clause.
	MaxLiteral = 4000
	minYear    = 1700
	maxYear    = 4000
)

// Literal returns a value as a SOQL literal for comparison with a field, as the field's describe demands. It takes
//   - nil for every field: NULL;
//   - a string for texts, picklists, e-mail addresses, phone numbers and URLs: quoted, at most MaxLiteral characters;
//   - a string for id and reference: an id of 15 or 18 characters whose checksum fits, written with 18;
//   - a bool for boolean;
//   - an int, int64, or a float64 without fraction for int and long; with one for double, currency and percent too;
//   - a time.Time for date, the day in the time's own zone, and for datetime, to the second in UTC; or a string of
//     the form 2026-08-10, or RFC 3339 for datetime. Years are 1700 to 4000.
//
// Every other pair is an error, as is a field that cannot be filtered; none quotes the value (promise 8). The text is made for a
// statement that Query encodes. Source: SOQL and SOSL Reference, "Quoted String Escape Sequences" and "Date Formats and Date
// Literals".
func Literal(field FieldDescribe, value any) (string, error) {
	if !field.Filterable {
		return "", &Error{
			Class: ClassConfig, Reason: ReasonMappingInvalid, Code: CodeBadRequest, Fields: []string{field.Name},
			Detail: "the field cannot be searched by: it is encrypted, long, or not the kind; choose another",
		}
	}
	if value == nil {
		return "NULL", nil
	}
	switch field.Type {
	case "string", "picklist", "multipicklist", "combobox", "textarea", "phone", "url", "email", "encryptedstring":
		return textLiteral(field, value)
	case "id", "reference":
		return idLiteral(field, value)
	case "boolean":
		if b, ok := value.(bool); ok {
			return strings.ToUpper(strconv.FormatBool(b)), nil
		}
	case "int", "long", "double", "currency", "percent":
		return numberLiteral(field, value)
	case "date", "datetime":
		return timeLiteral(field, value)
	}
	return "", misfit(field, value)
}

// LiteralList returns values as a SOQL list for IN, at least one; see Literal. NULL cannot be in a list.
func LiteralList[T any](field FieldDescribe, values []T) (string, error) {
	if len(values) == 0 {
		return "", badRequest("a list for IN needs at least one value", field.Name)
	}
	var b strings.Builder
	b.WriteByte('(')
	for i, v := range values {
		if any(v) == nil {
			return "", badRequest("NULL cannot be in a list for IN", field.Name)
		}
		literal, err := Literal(field, v)
		if err != nil {
			return "", err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(literal)
	}
	b.WriteByte(')')
	return b.String(), nil
}

func textLiteral(field FieldDescribe, value any) (string, error) {
	s, ok := value.(string)
	if !ok {
		return "", misfit(field, value)
	}
	if utf8.RuneCountInString(s) > MaxLiteral {
		return "", badRequest("the text is longer than the 4,000 characters a literal may have", field.Name)
	}
	// Quote would drop what SOQL cannot write, and so find other records.
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
		return (r < 0x20 && !strings.ContainsRune("\n\r\t\b\f", r)) || r == 0x7f
	}) {
		return "", badRequest("the text holds control characters or broken UTF-8, which no field holds", field.Name)
	}
	return Quote(s), nil
}

func idLiteral(field FieldDescribe, value any) (string, error) {
	s, ok := value.(string)
	if !ok {
		return "", misfit(field, value)
	}
	id, err := ID(s, "")
	if err != nil {
		return "", badRequest(err.Error(), field.Name)
	}
	return Quote(id), nil
}

func numberLiteral(field FieldDescribe, value any) (string, error) {
	switch v := value.(type) {
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		whole := field.Type == "int" || field.Type == "long"
		if math.IsNaN(v) || math.IsInf(v, 0) || (whole && (v != math.Trunc(v) || math.Abs(v) > 1<<53)) {
			return "", badRequest("the number is not finite, or not whole as the field demands", field.Name)
		}
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	}
	return "", misfit(field, value)
}

func timeLiteral(field FieldDescribe, value any) (string, error) {
	layout := time.DateOnly
	if field.Type == "datetime" {
		layout = time.RFC3339
	}
	var at time.Time
	switch v := value.(type) {
	case time.Time:
		at = v
	case string:
		var err error
		if at, err = time.Parse(layout, v); err != nil {
			return "", badRequest("the text is not a "+field.Type+" such as "+time.DateOnly+" or, with a time, RFC 3339", field.Name)
		}
	default:
		return "", misfit(field, value)
	}
	if field.Type == "datetime" {
		at = at.UTC()
	}
	if at.Year() < minYear || at.Year() > maxYear {
		return "", badRequest("the year is not one of 1700 to 4000", field.Name)
	}
	if field.Type == "datetime" {
		return DateTime(at), nil
	}
	return at.Format(time.DateOnly), nil
}

func misfit(field FieldDescribe, value any) error {
	return badRequest(fmt.Sprintf("a Go %T cannot be compared with a field of type %s", value, field.Type), field.Name)
}
