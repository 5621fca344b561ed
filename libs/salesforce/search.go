package salesforce

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of a search. Source: Salesforce Developer Limits Quick Reference, "SOQL and SOSL Limits for Search Queries".
const (
	// MaxSearchText is the most characters of a search text after escaping; of a longer one Salesforce drops operators.
	MaxSearchText = 4000
	// MaxSearchRows is how many records a search finds at most, over all objects.
	MaxSearchRows = 2000
)

// SearchScope is which fields a search looks in.
type SearchScope string

// The scopes. Source: REST API Developer Guide, "Search with Parameters in the Request Body".
const (
	SearchAll     SearchScope = "ALL"
	SearchName    SearchScope = "NAME"
	SearchEmail   SearchScope = "EMAIL"
	SearchPhone   SearchScope = "PHONE"
	SearchSidebar SearchScope = "SIDEBAR"
)

// Search is a search by text. The index is filled behind the writes, by seconds to minutes: never decide by a search whether a
// record exists already. Texts are split into words, case does not count.
type Search struct {
	// Text is what people typed; operators and wildcards in it are escaped. At least two characters, and at most MaxSearchText
	// when they are.
	Text string
	// Scope defaults to SearchAll.
	Scope SearchScope
	// Objects are searched in this order; at least one.
	Objects []SearchObject
	// Limit bounds the records over all objects, 1 to MaxSearchRows; 0 for MaxSearchRows.
	Limit int
}

// SearchObject is an object to search, with the fields to return: at least one.
type SearchObject struct {
	Name   string   `json:"name"`
	Fields []string `json:"fields"`
	// Limit bounds the records of this object, 1 to MaxSearchRows; 0 for no limit of its own.
	Limit int `json:"limit,omitempty"`
}

var searchEscapes = func() *strings.Replacer {
	var pairs []string
	for _, c := range `?&|!{}[]()^~*:\"'+-` {
		pairs = append(pairs, string(c), `\`+string(c))
	}
	return strings.NewReplacer(pairs...)
}()

// Search finds records by text and returns them by object in the order asked for. It counts as one call. A search
// that breaks a limit is CodeBadRequest.
// Source: REST API Developer Guide, "Search with Parameters in the Request Body"; SOQL and SOSL Reference, "Reserved Characters".
func (c *Client) Search(ctx context.Context, s Search) ([]Record, error) {
	body, err := s.body()
	if err != nil {
		return nil, err
	}
	r := &call{
		method: http.MethodPost, path: "/parameterizedSearch", template: "/parameterizedSearch", api: "rest", body: body, reads: true,
	}
	ans, _, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	var wire struct {
		Records *[]Record `json:"searchRecords"`
	}
	if json.Unmarshal(ans.body, &wire) != nil || wire.Records == nil {
		return nil, unparseable(r, ans.status)
	}
	return *wire.Records, nil
}

func (s Search) body() ([]byte, error) {
	text := searchEscapes.Replace(strings.ToValidUTF8(strings.TrimSpace(s.Text), " "))
	limit := func(n int) bool { return n >= 0 && n <= MaxSearchRows }
	switch n := utf8.RuneCountInString(text); {
	case utf8.RuneCountInString(strings.TrimSpace(s.Text)) < 2:
		return nil, badRequest("a search needs at least two characters")
	case n > MaxSearchText:
		return nil, badRequest("the search text is longer than 4,000 characters")
	case len(s.Objects) == 0 || slices.ContainsFunc(s.Objects, func(o SearchObject) bool {
		return o.Name == "" || len(o.Fields) == 0 || !limit(o.Limit)
	}):
		return nil, badRequest("a search names its objects, the fields to return of each, and limits of up to 2,000")
	case !limit(s.Limit):
		return nil, badRequest("a search finds up to 2,000 records")
	}
	scope := s.Scope
	switch scope {
	case "":
		scope = SearchAll
	case SearchAll, SearchName, SearchEmail, SearchPhone, SearchSidebar:
	default:
		return nil, badRequest("the search scope is not one of ALL, NAME, EMAIL, PHONE and SIDEBAR")
	}
	overall := s.Limit
	if overall == 0 {
		overall = MaxSearchRows
	}
	body, err := json.Marshal(map[string]any{"q": text, "in": scope, "sobjects": s.Objects, "overallLimit": overall})
	if err != nil {
		return nil, badRequest("the search cannot be encoded")
	}
	return body, nil
}
