package integration

import (
	"strconv"
	"time"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// kind is the type of a value.
type kind uint8

const (
	absent kind = iota
	text
	number
	flag
	instant
)

func (k kind) String() string {
	return [...]string{"nothing", "a text", "a number", "yes or no", "a time"}[k]
}

// value is what a source yields. The zero value is absent.
type value struct {
	kind   kind
	flag   bool
	text   string
	number float64
	at     time.Time
}

func textValue(s string) value {
	if s == "" {
		return value{}
	}
	return value{kind: text, text: s}
}

func numberValue(n float64) value { return value{kind: number, number: n} }
func flagValue(b bool) value      { return value{kind: flag, flag: b} }
func instantValue(t time.Time) value {
	return value{kind: instant, at: t}
}

// salesforceTime is how Salesforce takes and returns a datetime: UTC, milliseconds.
const salesforceTime = "2006-01-02T15:04:05.000Z"

// asField turns a value into a field; absent becomes null.
func (v value) asField(name string) *streamv1.FieldValue {
	field := &streamv1.FieldValue{Field: name}
	switch v.kind {
	case text:
		field.Value = &streamv1.FieldValue_Text{Text: v.text}
	case number:
		field.Value = &streamv1.FieldValue_Number{Number: v.number}
	case flag:
		field.Value = &streamv1.FieldValue_Flag{Flag: v.flag}
	case instant:
		field.Value = &streamv1.FieldValue_Text{Text: v.at.UTC().Format(salesforceTime)}
	case absent:
	}
	return field
}

// asText is how a value reads in a template when no format is given.
func (v value) asText(f *frame) string {
	switch v.kind {
	case text:
		return v.text
	case number:
		return formatNumber(v.number, 2)
	case flag:
		return strconv.FormatBool(v.flag)
	case instant:
		return f.language.dateTime(v.at.In(f.localZone()))
	case absent:
	}
	return ""
}
