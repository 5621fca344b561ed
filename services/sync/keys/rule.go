package keys

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/width"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/internal/normalize"
)

// Rule says when two keys are equal, and which rows have none.
type Rule struct {
	kind       kind
	ignoreCase bool
	blank      []string
	// braces: the field can hold a GUID with braces.
	braces bool
}

// Field is the field that holds the records' keys: its type, as Salesforce names types, and its length in characters, 0 if unknown.
type Field struct {
	Type   string
	Length int
}

// bracedGUID is the length of a GUID with braces.
const bracedGUID = 38

type kind uint8

const (
	text kind = iota
	email
	id
	number
	day
)

// DefaultBlank are the texts that count as a blank key, unless a push has its own (WALK-27).
func DefaultBlank() []string { return []string{"null", "n/a", "none", "-"} }

// NewRule returns the rule for a key field. blank nil means DefaultBlank.
func NewRule(field Field, ignoreCase bool, blank []string) Rule {
	if len(blank) == 0 {
		blank = DefaultBlank()
	}
	r := Rule{ignoreCase: ignoreCase, braces: field.Length == 0 || field.Length >= bracedGUID}
	for _, b := range blank {
		r.blank = append(r.blank, strings.ToLower(strings.TrimSpace(b)))
	}
	switch field.Type {
	case "email":
		r.kind, r.ignoreCase = email, true
	case "id", "reference":
		r.kind = id
	case "int", "long", "double", "currency", "percent":
		r.kind = number
	case "date":
		r.kind = day
	}
	return r
}

// Email reports whether the keys are e-mail addresses.
func (r Rule) Email() bool { return r.kind == email }

// Key is a row's key.
type Key struct {
	// Norm is equal for equal keys.
	Norm string
	// Values are what to ask Salesforce for: strings or float64. None: no record can have such a key.
	Values []any

	spellings []string
}

// Of reads a row's key; blank reports that there is none. A text that no field of the rule's type holds, such as an id with a wrong
// checksum, is a key that no record has.
func (r Rule) Of(raw string) (key Key, blank bool) {
	trimmed := strings.TrimSpace(raw)
	folded := strings.TrimSpace(width.Fold.String(trimmed))
	if folded == "" || slices.Contains(r.blank, strings.ToLower(folded)) {
		return Key{}, true
	}
	switch r.kind {
	case id:
		full, err := salesforce.ID(folded, "")
		if err != nil {
			return Key{Norm: folded}, false
		}
		return Key{Norm: full, Values: []any{full}, spellings: []string{full}}, false
	case number:
		n, err := strconv.ParseFloat(folded, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return Key{Norm: folded}, false
		}
		canonical := strconv.FormatFloat(n, 'f', -1, 64)
		return Key{Norm: canonical, Values: []any{n}, spellings: []string{canonical}}, false
	case day:
		return Key{Norm: folded, Values: []any{folded}, spellings: []string{folded}}, false
	case email:
		if address, err := normalize.Email(folded); err == nil {
			return r.spelled(address, strings.ToLower(folded)), false
		}
		return r.spelled(folded), false
	default:
		return r.text(trimmed, folded), false
	}
}

var guid = regexp.MustCompile(`^\{?([0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})\}?$`)

func (r Rule) text(trimmed, folded string) Key {
	if bare := guid.FindStringSubmatch(folded); bare != nil {
		if !r.braces {
			return r.spelled(bare[1])
		}
		return r.spelled(bare[1], "{"+bare[1]+"}")
	}
	return r.spelled(folded, trimmed)
}

// spelled makes a key of its spellings; the first is the one by which rows are compared.
func (r Rule) spelled(spellings ...string) Key {
	k := Key{Norm: r.fold(spellings[0])}
	for _, s := range spellings {
		folded := r.fold(s)
		if slices.Contains(k.spellings, folded) {
			continue
		}
		k.spellings = append(k.spellings, folded)
		k.Values = append(k.Values, s)
	}
	return k
}

func (r Rule) fold(s string) string {
	if r.ignoreCase {
		return strings.ToLower(s)
	}
	return s
}

// Record brings the value of a record's key field into the form that Equal compares; false for a field that is empty.
func (r Rule) Record(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		v = strings.TrimSpace(v)
		if r.kind == id {
			full, err := salesforce.ID(v, "")
			return full, err == nil
		}
		return r.fold(v), v != ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}

// Spellings are all forms of Record that are equal to the key. A record has one of them, and so at most one row's key.
func (k Key) Spellings() []string { return k.spellings }
