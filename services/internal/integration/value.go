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

// sheet holds the fields of one record in two allocations instead of two per field.
type sheet struct {
	fields []streamv1.FieldValue
	texts  []streamv1.FieldValue_Text
}

func newSheet(n int) *sheet {
	return &sheet{fields: make([]streamv1.FieldValue, n), texts: make([]streamv1.FieldValue_Text, n)}
}

// add turns a value into the sheet's next field; absent becomes null.
func (s *sheet) add(name string, v value) *streamv1.FieldValue {
	field := &s.fields[0]
	s.fields = s.fields[1:]
	field.Field = name
	switch v.kind {
	case text:
		field.Value = s.text(v.text)
	case number:
		field.Value = &streamv1.FieldValue_Number{Number: v.number}
	case flag:
		field.Value = &streamv1.FieldValue_Flag{Flag: v.flag}
	case instant:
		field.Value = s.text(v.at.UTC().Format(salesforceTime))
	case absent:
	}
	return field
}

func (s *sheet) text(content string) *streamv1.FieldValue_Text {
	t := &s.texts[0]
	s.texts = s.texts[1:]
	t.Text = content
	return t
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
