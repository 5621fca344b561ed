package cells

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// Converter fills one field from one column. Safe for concurrent use.
type Converter struct {
	mapping *configv1.ColumnMapping
	field   *configv1.DescribedField
	kind    kind
	format  *format
	zone    *time.Location
	yes, no map[string]bool
	choices map[string]bool
}

// kind is what values of a field are like.
type kind uint8

const (
	text kind = iota
	address
	choice
	choices
	number
	checkbox
	date
	datetime
	reference
	clock
)

var kinds = map[string]kind{
	"string": text, "textarea": text, "phone": text, "url": text, "encryptedstring": text, "email": address,
	"picklist": choice, "combobox": text, "multipicklist": choices, "int": number, "long": number, "double": number,
	"currency": number, "percent": number, "boolean": checkbox, "date": date, "datetime": datetime, "id": reference,
	"reference": reference, "time": clock,
}

// New makes the converter of a mapped column. The error says what about the mapping can never work.
func New(mapping *configv1.ColumnMapping, field *configv1.DescribedField) (*Converter, error) {
	k, known := kinds[field.GetType()]
	if !known {
		return nil, fmt.Errorf("field %s is of type %s, which cannot be filled from a report", field.GetName(), field.GetType())
	}
	c := &Converter{mapping: mapping, field: field, kind: k, zone: time.UTC}
	var err error
	if name := mapping.GetTimeZone(); name != "" {
		if c.zone, err = time.LoadLocation(name); err != nil {
			return nil, fmt.Errorf("field %s: the time zone of its mapping is not known", field.GetName())
		}
	}
	if f := mapping.GetDateFormat(); f != "" {
		if c.format, err = parseFormat(f); err != nil {
			return nil, fmt.Errorf("field %s: %w", field.GetName(), err)
		}
	}
	c.yes, c.no = words(mapping.GetTrueWords(), "true", "yes", "1"), words(mapping.GetFalseWords(), "false", "no", "0")
	if field.GetRestrictedPicklist() && (k == choice || k == choices) {
		c.choices = map[string]bool{}
		for _, p := range field.GetPicklist() {
			c.choices[p.GetValue()] = true
		}
	}
	return c, nil
}

func words(chosen []string, usual ...string) map[string]bool {
	if len(chosen) == 0 {
		chosen = usual
	}
	set := make(map[string]bool, len(chosen))
	for _, w := range chosen {
		set[strings.ToLower(strings.TrimSpace(w))] = true
	}
	return set
}

// Field is the API name of the field.
func (c *Converter) Field() string { return c.field.GetName() }

// Value is what a field is to be: a string, float64 or bool, nil to clear it.
type Value struct {
	V any
	// Keep leaves the field as it is.
	Keep bool
	// Warning is for the outcome, e.g. VALUE_TRUNCATED.
	Warning string
}

// Misfit is why a cell cannot be the field's value.
type Misfit struct{ Field, Detail string }

// Error names the field and what it takes, never the value.
func (m *Misfit) Error() string { return "field " + m.Field + ": " + m.Detail }

func (c *Converter) misfit(detail string) error { return &Misfit{c.field.GetName(), detail} }

// Convert makes the field's value of a cell. The error is a *Misfit.
func (c *Converter) Convert(cell *streamv1.Cell) (Value, error) {
	if Empty(cell) {
		return Value{Keep: !c.mapping.GetClearWhenEmpty()}, nil
	}
	switch c.kind {
	case number:
		return c.number(cell)
	case checkbox:
		return c.checkbox(cell)
	case date, datetime:
		return c.moment(cell)
	case reference:
		full, err := salesforce.ID(strings.TrimSpace(Text(cell)), "")
		if err != nil {
			return Value{}, c.misfit("the cell is not a Salesforce id of 15 or 18 characters")
		}
		return Value{V: full}, nil
	}
	s := tidy(Text(cell))
	switch {
	case s == "":
		return Value{Keep: !c.mapping.GetClearWhenEmpty()}, nil
	case c.kind == choice || c.kind == choices:
		return c.choice(s)
	default:
		return c.text(s)
	}
}

var lineFeeds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// tidy takes control characters out of a text, but for tabs and line feeds (XC-37): an org would refuse them, or drop them and look
// different for ever.
func tidy(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, lineFeeds.Replace(s)))
}

// Empty reports whether a cell says nothing. Zero and false say something (WALK-28).
func Empty(cell *streamv1.Cell) bool {
	switch v := cell.GetValue().(type) {
	case nil:
		return true
	case *streamv1.Cell_Text:
		return strings.TrimSpace(v.Text) == ""
	}
	return false
}

// Text writes a cell as text.
func Text(cell *streamv1.Cell) string {
	switch v := cell.GetValue().(type) {
	case *streamv1.Cell_Text:
		return v.Text
	case *streamv1.Cell_Number:
		return strconv.FormatFloat(v.Number, 'f', -1, 64)
	case *streamv1.Cell_Flag:
		return strconv.FormatBool(v.Flag)
	}
	return ""
}

// numberOf reads a cell as a number.
func numberOf(cell *streamv1.Cell) (float64, bool) {
	switch v := cell.GetValue().(type) {
	case *streamv1.Cell_Number:
		return v.Number, finite(v.Number)
	case *streamv1.Cell_Text:
		s := strings.TrimSpace(v.Text)
		if strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("+-.0123456789eE", r) }) {
			return 0, false // ParseFloat takes hexadecimals, infinities and underscores, too
		}
		n, err := strconv.ParseFloat(s, 64)
		return n, err == nil && finite(n)
	}
	return 0, false
}

func finite(n float64) bool { return !math.IsNaN(n) && !math.IsInf(n, 0) }

func (c *Converter) number(cell *streamv1.Cell) (Value, error) {
	n, ok := numberOf(cell)
	if !ok {
		return Value{}, c.misfit("the cell is not a number")
	}
	if c.mapping.GetFractionToPercent() {
		n *= 100
	}
	n = c.rounded(n)
	if whole := c.field.GetType() == "int" || c.field.GetType() == "long"; whole && n != math.Trunc(n) {
		return Value{}, c.misfit("the field takes whole numbers, and the cell has a fraction")
	}
	if digits := c.field.GetPrecision() - c.field.GetScale(); c.field.GetPrecision() > 0 && math.Abs(n) >= math.Pow10(int(digits)) {
		return Value{}, c.misfit(fmt.Sprintf("the number has more than the %d digits before the point that the field takes", digits))
	}
	return Value{V: n}, nil
}

// rounded brings a number to the places that the field keeps, as Salesforce does when it saves one.
func (c *Converter) rounded(n float64) float64 {
	if c.field.GetType() == "int" || c.field.GetType() == "long" || c.field.GetPrecision() == 0 {
		return n
	}
	unit := math.Pow10(int(c.field.GetScale()))
	// The double next to a half stands for the half that was written: 1.005 becomes 1.01.
	half := math.Nextafter(n*unit, math.Copysign(math.Inf(1), n))
	if r := math.Round(half) / unit; finite(r) {
		return r
	}
	return n
}

func (c *Converter) checkbox(cell *streamv1.Cell) (Value, error) {
	switch v := cell.GetValue().(type) {
	case *streamv1.Cell_Flag:
		return Value{V: v.Flag}, nil
	default:
		word := strings.ToLower(strings.TrimSpace(Text(cell)))
		if c.yes[word] {
			return Value{V: true}, nil
		}
		if c.no[word] {
			return Value{V: false}, nil
		}
		return Value{}, c.misfit("the cell is none of the words that mean true or false")
	}
}

func (c *Converter) choice(s string) (Value, error) {
	if c.choices == nil {
		return c.text(s)
	}
	parts := []string{s}
	if c.kind == choices {
		parts = strings.Split(s, ";")
	}
	for _, p := range parts {
		if c.choices[strings.TrimSpace(p)] {
			continue
		}
		switch c.mapping.GetOnUnknownValue() {
		case configv1.UnknownPicklistValue_UNKNOWN_PICKLIST_VALUE_WRITE:
		case configv1.UnknownPicklistValue_UNKNOWN_PICKLIST_VALUE_SKIP:
			return Value{Keep: true}, nil
		default:
			return Value{}, c.misfit("the field's restricted picklist lacks the value")
		}
	}
	return Value{V: s}, nil
}

func (c *Converter) text(s string) (Value, error) {
	limit := int(c.field.GetLength())
	if !utf8.ValidString(s) {
		return Value{}, c.misfit("the cell is not a text")
	}
	if limit <= 0 {
		return Value{V: s}, nil
	}
	fitted, was := integration.Fit(s, limit)
	if was == 0 {
		return Value{V: s}, nil
	}
	if c.mapping.GetOnTooLong() == configv1.TooLongPolicy_TOO_LONG_POLICY_FAIL || c.kind != text {
		return Value{}, c.misfit(fmt.Sprintf("the text has %d characters, and the field takes %d", was, limit))
	}
	return Value{V: fitted, Warning: fmt.Sprintf("VALUE_TRUNCATED %s: %d characters cut to %d", c.field.GetName(), was, limit)}, nil
}
