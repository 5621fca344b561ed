// Package marker finds records that were created without an external id, by the line of text they were given for that
// purpose. Salesforce cannot filter by long texts, so the query narrows by a filterable field and by time, and the
// line is compared here.
package marker

import (
	"sort"
	"strings"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

// Sought is one record to look for.
type Sought struct {
	// Key is the caller's name for it.
	Key string
	// Marker is the whole line, without line break.
	Marker string
	// ScopeValue is the value of the search's scope field; "" when the record has none.
	ScopeValue string
}

// Search is a look for records of one object that share their fields.
type Search struct {
	Object string
	// Field holds the marker, e.g. Description.
	Field string
	// ScopeField narrows the search, e.g. WhoId; "" when there is none.
	ScopeField string
	// Exact: a record counts only if its scope field has the very value sought; the marker says too little without it.
	Exact bool
	// Since is the earliest time the records can have been created at, with allowance for clocks that differ.
	Since  time.Time
	Sought []Sought
}

// Queries returns the SOQL of the search, each query short enough to be sent, to be asked over deleted records too. Records
// come oldest first.
func (s Search) Queries() []string {
	var scopes []string
	unscoped := s.ScopeField == ""
	seen := map[string]bool{}
	for _, one := range s.Sought {
		switch {
		case s.ScopeField == "" || one.ScopeValue == "":
			unscoped = true
		case !seen[one.ScopeValue]:
			seen[one.ScopeValue] = true
			scopes = append(scopes, one.ScopeValue)
		}
	}
	sort.Strings(scopes)
	var queries []string
	for len(scopes) > 0 {
		n := min(len(scopes), maxScopes)
		queries = append(queries, s.query(s.ScopeField+" IN "+salesforce.QuoteList(scopes[:n])+" AND "))
		scopes = scopes[n:]
	}
	if unscoped {
		narrow := ""
		if s.ScopeField != "" {
			narrow = s.ScopeField + " = NULL AND "
		}
		queries = append(queries, s.query(narrow))
	}
	return queries
}

// maxScopes ids, quoted and URL-encoded, take some 5 kB of a request line.
const maxScopes = 200

func (s Search) query(narrow string) string {
	fields := s.Field
	if s.Exact {
		fields += ", " + s.ScopeField
	}
	return "SELECT Id, CreatedDate, IsDeleted, " + fields + " FROM " + s.Object +
		" WHERE " + narrow + "CreatedDate >= " + salesforce.DateTime(s.Since) + " ORDER BY CreatedDate, Id"
}

// Found is a record that carries a marker.
type Found struct {
	RecordID string
	// Others is how many more records carry the same marker. The one found is the oldest that is not deleted.
	Others int
	// Deleted: somebody deleted it, and every other one.
	Deleted bool
}

// sign is what a record is recognised by.
func (s Search) sign(scope, marker string) [2]string {
	if !s.Exact {
		scope = ""
	}
	return [2]string{scope, marker}
}

// Match picks, for every key, the oldest record that carries its marker. records may come from several queries.
func (s Search) Match(records []salesforce.Record) map[string]Found {
	byMarker := make(map[[2]string]string, len(s.Sought))
	for _, one := range s.Sought {
		byMarker[s.sign(one.ScopeValue, one.Marker)] = one.Key
	}
	ordered := append([]salesforce.Record(nil), records...)
	sort.SliceStable(ordered, func(i, j int) bool {
		ti, tj := ordered[i].Time("CreatedDate"), ordered[j].Time("CreatedDate")
		if !ti.Equal(tj) {
			return ti.Before(tj)
		}
		return ordered[i].String("Id") < ordered[j].String("Id")
	})
	found := map[string]Found{}
	counted := map[string]bool{}
	for _, rec := range ordered {
		id := rec.String("Id")
		if id == "" || counted[id] {
			continue
		}
		counted[id] = true
		for line := range strings.Lines(rec.String(s.Field)) {
			key, ok := byMarker[s.sign(rec.String(s.ScopeField), strings.TrimSpace(line))]
			if !ok {
				continue
			}
			f, again := found[key]
			deleted := rec.Bool("IsDeleted")
			switch {
			case !again:
				f = Found{RecordID: id, Deleted: deleted}
			case f.Deleted && !deleted:
				f = Found{RecordID: id, Others: f.Others + 1}
			default:
				f.Others++
			}
			found[key] = f
			break
		}
	}
	return found
}
