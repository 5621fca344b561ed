package sosl

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

// Malformed is the code for a search that cannot be read, or that uses a part of SOSL that the simulator does not have.
const Malformed = "MALFORMED_SEARCH"

// Limits of a search, as documented ("SOQL and SOSL Limits for Search Queries").
const (
	// MaxLength is how many characters a statement may have.
	MaxLength = 100_000
	// MaxRows is how many records an answer holds, over all objects.
	MaxRows = 2_000
)

// Search is a parsed search.
type Search struct {
	Words []Word
	// Group is which fields are searched: ALL, NAME, EMAIL, PHONE or SIDEBAR.
	Group string
	// Returning are the objects that are searched, each with what its answer shows.
	Returning []*soql.Query
	// Limit is how many records are returned in all.
	Limit int
}

// Groups are the groups of fields that can be searched.
var Groups = []string{"ALL", "NAME", "EMAIL", "PHONE", "SIDEBAR"}

func malformed(message string) error { return &soql.Error{Code: Malformed, Message: message} }

var (
	head    = regexp.MustCompile(`(?is)^\s*FIND\s*\{((?:[^\\}]|\\.)*)\}\s*(.*)$`)
	inGroup = regexp.MustCompile(`(?is)^IN\s+(\w+)\s+FIELDS\b\s*(.*)$`)
	returns = regexp.MustCompile(`(?is)^RETURNING\s+(.*)$`)
	object  = regexp.MustCompile(`^\s*(\w+)\s*`)
	limited = regexp.MustCompile(`(?is)^LIMIT\s+(\d+)\s*$`)
)

// Parse reads one search. Errors are *soql.Error.
func Parse(text string) (*Search, error) {
	if utf8.RuneCountInString(text) > MaxLength {
		return nil, malformed("SOSL statements cannot be longer than 100,000 characters.")
	}
	parts := head.FindStringSubmatch(text)
	if parts == nil {
		return nil, malformed("a search begins with FIND {words}")
	}
	words, err := ParseWords(parts[1])
	if err != nil {
		return nil, err
	}
	s := &Search{Words: words, Group: "ALL", Limit: MaxRows}
	rest := parts[2]
	if parts := inGroup.FindStringSubmatch(rest); parts != nil {
		if s.Group = strings.ToUpper(parts[1]); !slices.Contains(Groups, s.Group) {
			return nil, malformed("there is no group of fields " + parts[1])
		}
		rest = parts[2]
	}
	parts = returns.FindStringSubmatch(rest)
	if parts == nil {
		return nil, malformed("a search without RETURNING is not supported by this simulator, nor is what stands at: " + rest)
	}
	return s, s.returning(parts[1])
}

// returning reads the objects of a RETURNING clause and the LIMIT behind it.
func (s *Search) returning(rest string) error {
	for {
		name := object.FindStringSubmatch(rest)
		if name == nil {
			return malformed("RETURNING: an object is expected at: " + rest)
		}
		rest = rest[len(name[0]):]
		inside := ""
		if strings.HasPrefix(rest, "(") {
			end := closing(rest)
			if end < 0 {
				return malformed("RETURNING: a parenthesis is not closed")
			}
			inside, rest = rest[1:end], strings.TrimSpace(rest[end+1:])
		}
		q, err := Returning(name[1], inside)
		if err != nil {
			return err
		}
		s.Returning = append(s.Returning, q)
		if next, more := strings.CutPrefix(rest, ","); more {
			rest = next
			continue
		}
		break
	}
	if rest == "" {
		return nil
	}
	parts := limited.FindStringSubmatch(rest)
	if parts == nil {
		return malformed("not supported by this simulator: " + rest)
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil || n < 1 || n > MaxRows {
		return malformed("LIMIT must be between 1 and 2000")
	}
	s.Limit = n
	return nil
}

// Returning reads what an object's answer shows: fields, then WHERE, ORDER BY and LIMIT. Without fields it is the id.
func Returning(name, inside string) (*soql.Query, error) {
	fields, rest := inside, ""
	if at := clause.FindStringIndex(inside); at != nil {
		fields, rest = inside[:at[0]], inside[at[0]:]
	}
	if strings.TrimSpace(fields) == "" {
		fields = "Id"
	}
	q, err := soql.Parse("SELECT " + fields + " FROM " + name + " " + rest)
	if err != nil {
		return nil, malformed("RETURNING " + name + ": " + err.Error())
	}
	for _, item := range q.Select {
		if item.Path == nil {
			return nil, malformed("RETURNING " + name + ": fields only")
		}
	}
	if q.Count || len(q.GroupBy) > 0 {
		return nil, malformed("RETURNING " + name + ": fields only")
	}
	return q, nil
}

var clause = regexp.MustCompile(`(?i)\b(WHERE|ORDER\s+BY|LIMIT|OFFSET|USING)\b`)

// closing finds the parenthesis that closes the one at the beginning, past those inside and past strings.
func closing(s string) int {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '\'':
			quoted = !quoted
		case quoted:
		case s[i] == '(':
			depth++
		case s[i] == ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}
