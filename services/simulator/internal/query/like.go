package query

import (
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

func like(q *soql.Query, c *column, x *soql.Comparison) (predicate, error) {
	if c.field.Storage != schema.StoreText || c.field.Type == schema.ID || c.field.Type == schema.Reference || c.field.Encryption != "" {
		return predicate{}, q.Invalid(x.Path.Pos, "INVALID_QUERY_FILTER_OPERATOR", "invalid operator")
	}
	if x.Value.Kind != soql.StringLiteral {
		return predicate{}, wrongType(q, c.field, x.Value)
	}
	pattern := parsePattern(x.Value.Text)
	return predicate{holds: func(r *record.Record) bool {
		s, ok := c.value(r).(string)
		return ok && pattern.match([]rune(record.Fold(s)))
	}}, nil
}

// pattern is a LIKE pattern: folded characters, with any and some for the wildcards.
type pattern []rune

// Wildcards, outside the range of Unicode.
const (
	anyRune  rune = -1 // _ : one character
	someRune rune = -2 // % : any number of characters
)

func parsePattern(s string) pattern {
	var p pattern
	literal := false
	for i := 0; i < len(s); {
		if s[i] == soql.EscapeMark {
			literal = true
			i++
			continue
		}
		end := i
		for end < len(s) && s[end] != soql.EscapeMark && s[end] != '_' && s[end] != '%' {
			end++
		}
		switch {
		case end > i:
			p = append(p, []rune(record.Fold(s[i:end]))...)
			i = end
			continue
		case literal:
			p = append(p, rune(s[i]))
		case s[i] == '_':
			p = append(p, anyRune)
		default:
			p = append(p, someRune)
		}
		literal = false
		i++
	}
	return p
}

// match takes time proportional to the lengths' product at worst: it goes back only to the last %.
func (p pattern) match(s []rune) bool {
	pi, si, star, mark := 0, 0, -1, 0
	for si < len(s) {
		switch {
		case pi < len(p) && p[pi] == someRune:
			star, mark = pi, si
			pi++
		case pi < len(p) && (p[pi] == anyRune || p[pi] == s[si]):
			pi++
			si++
		case star >= 0:
			mark++
			pi, si = star+1, mark
		default:
			return false
		}
	}
	for pi < len(p) && p[pi] == someRune {
		pi++
	}
	return pi == len(p)
}
