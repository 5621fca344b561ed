package conform

import (
	"strconv"
	"strings"
	"time"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// Field types as describe names them. Source: Object Reference, "Field Types".
const (
	typeBoolean       = "boolean"
	typePicklist      = "picklist"
	typeMultiPicklist = "multipicklist"
	typeDate          = "date"
	typeDateTime      = "datetime"
	typeTime          = "time"
)

// cuttable are the types whose values are texts of any content, up to a length.
var cuttable = set("string", "textarea", "phone", "url", "email", "combobox", "encryptedstring")

// textual are the types that take a text.
var textual = union(cuttable, set(typePicklist, typeMultiPicklist, "reference", "id"))

// lineTypes are the types that can take a marker line besides other text.
var lineTypes = set("string", "textarea")

var numeric = set("int", "long", "double", "currency", "percent")

// unsupported are types that a record cannot be given by a mapping.
var unsupported = set("base64", "address", "location", "anyType", "complexvalue", "datacategorygroupreference")

// mismatch tells why a field does not take what a mapping gives, with the code; "" when it does or when nobody can tell.
func mismatch(f integration.TargetField, d *configv1.DescribedField) (code, why string) {
	if unsupported[d.GetType()] {
		return "UNSUPPORTED_FIELD_TYPE", "it cannot be mapped"
	}
	if f.Kind == integration.ValueUnknown {
		return "", ""
	}
	if why = refuse(f, d.GetType()); why != "" {
		return "TYPE_MISMATCH", why
	}
	return "", ""
}

func refuse(f integration.TargetField, fieldType string) string {
	gives := "the mapping gives " + f.Kind.String()
	switch {
	case textual[fieldType]:
		if f.Kind == integration.ValueText || f.Kind == integration.ValueTime {
			return ""
		}
		return gives + "; make it a text, e.g. by a template or string()"
	case numeric[fieldType]:
		if f.Kind == integration.ValueNumber || isNumber(f.Literal) {
			return ""
		}
		return gives + ", and it takes a number"
	case fieldType == typeBoolean:
		if f.Kind == integration.ValueFlag || strings.EqualFold(f.Literal, "true") || strings.EqualFold(f.Literal, "false") {
			return ""
		}
		return gives + ", and it takes yes or no"
	case fieldType == typeDate, fieldType == typeDateTime, fieldType == typeTime:
		return refuseTime(f, fieldType)
	default:
		return "" // a type newer than this program
	}
}

// refuseTime judges what is mapped to a point in time. A day is a text: which day it is depends on a zone (IMM-25).
func refuseTime(f integration.TargetField, fieldType string) string {
	gives := "the mapping gives " + f.Kind.String()
	switch {
	case f.Kind == integration.ValueTime:
		if fieldType == typeDateTime {
			return ""
		}
		if fieldType == typeDate {
			return gives + ", and which day that is depends on the zone; end the path with |day, or use day() in an expression"
		}
		return gives + ", and it takes a time of day"
	case f.Kind != integration.ValueText:
		return gives
	case f.Literal == "":
		return ""
	}
	layouts := map[string][]string{
		typeDate: {time.DateOnly}, typeDateTime: {time.RFC3339, "2006-01-02T15:04:05.000Z0700", "2006-01-02T15:04:05Z0700"},
		typeTime: {"15:04:05Z", "15:04:05.000Z", "15:04:05", "15:04:05.000"},
	}[fieldType]
	for _, layout := range layouts {
		if _, err := time.Parse(layout, f.Literal); err == nil {
			return ""
		}
	}
	return "the constant is not one in a form that Salesforce reads, such as " + layouts[0]
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

func set(names ...string) map[string]bool {
	out := map[string]bool{}
	for _, name := range names {
		out[name] = true
	}
	return out
}

func union(sets ...map[string]bool) map[string]bool {
	out := map[string]bool{}
	for _, s := range sets {
		for name := range s {
			out[name] = true
		}
	}
	return out
}
