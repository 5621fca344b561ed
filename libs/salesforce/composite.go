package salesforce

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Limits of one request. Source: REST API Developer Guide, "Composite Request Body" and "Composite Graph Limits". A graph is
// also at most 15 deep and of 15 kinds of nodes, which is left to Salesforce to refuse.
const (
	// MaxComposite is how many subrequests a composite request carries.
	MaxComposite = 25
	// MaxCompositeQueries is how many of them may be queries or collections.
	MaxCompositeQueries = 5
	// MaxGraphs is how many graphs a graph request carries.
	MaxGraphs = 75
	// MaxGraphNodes is how many subrequests all graphs of a request carry together.
	MaxGraphNodes = 500
)

// CodeHalted is the code of a subrequest that was undone because another one of its transaction failed: repeat it without the
// culprit. Source: REST API Developer Guide, "allOrNone Parameters in Composite and Collections Requests".
const CodeHalted = "PROCESSING_HALTED"

// Reference stands for a value of an earlier subrequest's answer, as a field's value or in the place of an id.
type Reference string

// Ref refers to a value of an earlier subrequest's answer: "id" after a create or upsert, "Id" after a get; names are
// case-sensitive, and [0] picks from a list. Source: REST API Developer Guide, "Composite Subrequest Result".
func Ref(reference, path string) Reference { return Reference("@{" + reference + "." + path + "}") }

// target is the reference it is of.
func (r Reference) target() string {
	name, _, _ := strings.Cut(strings.TrimPrefix(string(r), "@{"), ".")
	return name
}

var (
	referenceName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_]*$`)
	referenceShape = regexp.MustCompile(`^@\{[A-Za-z0-9][A-Za-z0-9_]*\.[A-Za-z0-9_.\[\]]+\}$`)
)

// Subrequest is one step of a composite request or node of a graph; SubCreate and its neighbours make them.
type Subrequest struct {
	// Reference names the step within its request: letters, digits, underscores.
	Reference string

	method, path string
	query        url.Values
	fields       Fields
	body         bool
	isQuery      bool
	uses         []string // references the path holds
}

// SubCreate makes a record. Its name in the answer is "id".
func SubCreate(reference, object string, fields Fields) Subrequest {
	return Subrequest{
		Reference: reference, method: http.MethodPost, path: "/sobjects/" + url.PathEscape(object), fields: fields, body: true,
	}
}

// SubUpdate changes a record by id, which may be a Reference.
func SubUpdate[ID ~string](reference, object string, id ID, fields Fields) Subrequest {
	s := subRecord(reference, http.MethodPatch, object, string(id))
	s.fields, s.body = fields, true
	return s
}

// SubUpsert creates or changes a record by external id; see Upsert for which values are safe.
func SubUpsert(reference string, key Key, fields Fields) Subrequest {
	return Subrequest{
		Reference: reference, method: http.MethodPatch, fields: fields, body: true,
		path: "/sobjects/" + url.PathEscape(key.Object) + "/" + url.PathEscape(key.Field) + "/" + url.PathEscape(key.Value),
	}
}

// SubDelete deletes a record by id, which may be a Reference.
func SubDelete[ID ~string](reference, object string, id ID) Subrequest {
	return subRecord(reference, http.MethodDelete, object, string(id))
}

// SubGet reads fields of a record by id, which may be a Reference; graphs take it too.
func SubGet[ID ~string](reference, object string, id ID, fields ...string) Subrequest {
	s := subRecord(reference, http.MethodGet, object, string(id))
	if len(fields) > 0 {
		s.query = url.Values{"fields": {strings.Join(fields, ",")}}
	}
	return s
}

// SubQuery runs a SOQL query, of which only the first page comes; graphs do not take it.
func SubQuery(reference, soql string) Subrequest {
	return Subrequest{Reference: reference, method: http.MethodGet, path: "/query", query: url.Values{"q": {soql}}, isQuery: true}
}

func subRecord(reference, method, object, id string) Subrequest {
	s := Subrequest{Reference: reference, method: method, path: "/sobjects/" + url.PathEscape(object) + "/"}
	if referenceShape.MatchString(id) {
		s.path += id
		s.uses = []string{Reference(id).target()}
	} else {
		s.path += url.PathEscape(id)
	}
	return s
}

// refers lists the references the step uses.
func (s *Subrequest) refers() []string {
	uses := slices.Clone(s.uses)
	for _, f := range s.fields {
		if r, ok := f.Value.(Reference); ok {
			uses = append(uses, r.target())
		}
	}
	return uses
}

// appendJSON appends the step. Our records name their owner, so the org's assignment rules are kept out.
func (s *Subrequest) appendJSON(b []byte, version string) ([]byte, error) {
	path := "/services/data/v" + version + s.path
	if len(s.query) > 0 {
		path += "?" + s.query.Encode()
	}
	b = appendString(append(b, `{"method":`...), s.method)
	b = appendString(append(b, `,"url":`...), path)
	b = appendString(append(b, `,"referenceId":`...), s.Reference)
	if s.body {
		fields, err := resolved(s.fields)
		if err != nil {
			return b, err
		}
		if b, err = fields.appendJSON(append(b, `,"httpHeaders":{"Sforce-Auto-Assign":"FALSE"},"body":{`...), 0); err != nil {
			return b, err
		}
		b = append(b, '}')
	}
	return append(b, '}'), nil
}

// resolved writes references out as Salesforce reads them. A text that looks like one would be replaced by a value of another
// record, and nothing escapes it.
func resolved(fields Fields) (Fields, error) {
	out := slices.Clone(fields)
	for i := range out {
		switch v := out[i].Value.(type) {
		case Reference:
			if !referenceShape.MatchString(string(v)) {
				return nil, badRequest("a reference is not one that Ref makes", out[i].Name)
			}
			out[i].Value = string(v)
		case string:
			if strings.Contains(v, "@{") {
				return nil, badRequest("a text with @{ would be read as a reference; send this record by itself", out[i].Name)
			}
		}
	}
	return out, nil
}

// appendSteps appends the steps of one transaction, after checking that they can be told apart and refer back only.
func appendSteps(b []byte, steps []Subrequest, version string) ([]byte, error) {
	seen := make(map[string]bool, len(steps))
	b = append(b, '[')
	for i := range steps {
		s := &steps[i]
		if !referenceName.MatchString(s.Reference) || seen[s.Reference] {
			return b, badRequest("every subrequest needs a reference of its own, of letters, digits and underscores")
		}
		for _, used := range s.refers() {
			if !seen[used] {
				return b, badRequest("a subrequest refers to one that does not come before it")
			}
		}
		seen[s.Reference] = true
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = s.appendJSON(b, version); err != nil {
			return b, err
		}
	}
	return append(b, ']'), nil
}

// SubResult is what became of one subrequest.
type SubResult struct {
	// Reference is the subrequest's.
	Reference string
	// Status is its HTTP status.
	Status int
	// RecordResult tells of a change; Err is set for every failure, reads too.
	RecordResult
	// Body is the answer as it came; nil for none.
	Body json.RawMessage
}

// Halted reports whether the step was undone, or not done, only because another one failed.
func (r *SubResult) Halted() bool { return r.Err != nil && r.Err.Code == CodeHalted }

type wireSteps struct {
	Steps []struct {
		Body      json.RawMessage `json:"body"`
		Status    int             `json:"httpStatusCode"`
		Reference string          `json:"referenceId"`
	} `json:"compositeResponse"`
}

// results reads the answers in the order of the steps; ok is false when they are not these steps' answers.
func (w wireSteps) results(steps []Subrequest) ([]SubResult, bool) {
	if len(w.Steps) != len(steps) {
		return nil, false
	}
	out := make([]SubResult, len(steps))
	for i, answered := range w.Steps {
		at := slices.IndexFunc(steps, func(s Subrequest) bool { return s.Reference == answered.Reference })
		if at < 0 || out[at].Reference != "" {
			return nil, false
		}
		r := SubResult{Reference: answered.Reference, Status: answered.Status, Body: w.Steps[i].Body}
		if bytes.Equal(r.Body, []byte("null")) {
			r.Body = nil
		}
		err := checkAnswer(&call{method: http.MethodGet}, &answer{status: r.Status, body: r.Body})
		if err != nil {
			r.Err = asError(err)
		} else if steps[at].body {
			var made wireResult
			if len(r.Body) > 0 && json.Unmarshal(r.Body, &made) != nil { // a change by id answers nothing
				return nil, false
			}
			r.ID, r.Created = made.ID, made.Created || r.Status == http.StatusCreated
		}
		out[at] = r
	}
	return out, true
}

// WithoutCulprits returns the steps worth repeating after an all-or-nothing failure: those that were halted, without those
// that refer, directly or through others, to one that failed by itself.
func WithoutCulprits(steps []Subrequest, results []SubResult) []Subrequest {
	bad := map[string]bool{}
	for i := range results {
		if results[i].Err != nil && !results[i].Halted() {
			bad[results[i].Reference] = true
		}
	}
	var rest []Subrequest
	for i := range steps {
		if bad[steps[i].Reference] || slices.ContainsFunc(steps[i].refers(), func(used string) bool { return bad[used] }) {
			bad[steps[i].Reference] = true
			continue
		}
		rest = append(rest, steps[i])
	}
	return rest
}

func tooMany(what string, limit int) error {
	e := badRequest(fmt.Sprintf("a request carries 1 to %d %s", limit, what))
	e.Split = true
	return e
}
