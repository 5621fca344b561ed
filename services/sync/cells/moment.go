package cells

import (
	"errors"
	"strings"
	"time"
	"unicode"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// format is how dates and times are written in a column.
type format struct {
	layout  string
	hasZone bool
	hasTime bool
}

// tokens of a format, and what the standard library calls them.
var tokens = strings.NewReplacer("YYYY", "2006", "MM", "01", "DD", "02", "hh", "15", "mm", "04", "ss", "05")

var errFormat = errors.New("a date format consists of YYYY, MM, DD, hh, mm, ss and what stands between them, and needs year, month and day")

func parseFormat(f string) (*format, error) {
	rest := strings.NewReplacer("YYYY", "", "MM", "", "DD", "", "hh", "", "mm", "", "ss", "").Replace(f)
	other := func(r rune) bool {
		ascii := r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r))
		return r == '_' || (ascii && r != 'T' && r != 'Z')
	}
	if strings.ContainsFunc(rest, other) || !strings.Contains(f, "YYYY") || !strings.Contains(f, "MM") || !strings.Contains(f, "DD") {
		return nil, errFormat
	}
	return &format{layout: tokens.Replace(f), hasTime: strings.Contains(f, "hh")}, nil
}

// usual are the formats of a column whose mapping names none.
var usual = []format{
	{layout: time.DateOnly},
	{layout: time.RFC3339Nano, hasZone: true, hasTime: true},
	{layout: "2006-01-02T15:04:05.999-0700", hasZone: true, hasTime: true},
	{layout: "2006-01-02T15:04:05", hasTime: true},
	{layout: "2006-01-02 15:04:05", hasTime: true},
}

// timeOf reads a cell as a date or a time; hasTime says which.
func (c *Converter) timeOf(cell *streamv1.Cell) (at time.Time, hasTime, ok bool) {
	formats := usual
	if c.format != nil {
		formats = []format{*c.format}
	}
	s := strings.TrimSpace(Text(cell))
	for _, f := range formats {
		if at, err := time.ParseInLocation(f.layout, s, c.zone); err == nil {
			return at, f.hasTime, true
		}
	}
	return time.Time{}, false, false
}

// Years that Salesforce takes. Source: SOAP API Developer Guide, "Primitive Data Types".
const (
	minYear = 1700
	maxYear = 4000
)

func (c *Converter) moment(cell *streamv1.Cell) (Value, error) {
	at, hasTime, ok := c.timeOf(cell)
	if !ok {
		return Value{}, c.misfit("the cell is not written as the mapping's date format says")
	}
	if at.Year() < minYear || at.Year() > maxYear {
		return Value{}, c.misfit("the year is not one of 1700 to 4000")
	}
	if c.kind == datetime {
		return Value{V: at.UTC().Format("2006-01-02T15:04:05.000Z")}, nil
	}
	if hasTime {
		at = at.In(c.zone) // the day it was there
	}
	return Value{V: at.Format(time.DateOnly)}, nil
}
