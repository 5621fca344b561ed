package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/jsonin"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
)

const (
	// maxSubrequests is how many subrequests a composite or batch request may hold, maxHeavy how many of a composite's
	// may be queries or collections.
	maxSubrequests = 25
	maxHeavy       = 5
)

// subrequest is one request inside another.
type subrequest struct {
	method, url, reference string
	body                   string
	headers                map[string]string
}

var referenceID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_]*$`)

// composite answers /composite: requests in order, of which later ones may use answers of earlier ones.
func (s *Server) composite(c *call) reply {
	if c.Method == http.MethodGet {
		base := c.route.path() + "/composite"
		return ok(map[string]string{"batch": base + "/batch", "sobjects": base + "/sobjects"})
	}
	if c.Method != http.MethodPost {
		return methodNotAllowed(c.Method, "GET,POST")
	}
	v, failed := c.parse()
	if failed != nil {
		return *failed
	}
	subs, failed := subrequests(c, &v, "compositeRequest", maxSubrequests)
	if failed != nil {
		return *failed
	}
	if rep, bad := checkComposite(subs); bad {
		return rep
	}
	var replies []reply
	if v.GetTrue("allOrNone") {
		replies, _ = s.together(c, subs)
	} else {
		answers := answers{}
		for _, sub := range subs {
			replies = append(replies, s.compositeOne(c, sub, answers))
		}
	}
	return reply{status: http.StatusOK, body: appendComposite(nil, subs, replies), records: len(subs)}
}

// answers are the bodies of subrequests that succeeded, by reference id.
type answers map[string]jsonin.Value

func appendComposite(dst []byte, subs []subrequest, replies []reply) []byte {
	dst = append(dst, `{"compositeResponse":[`...)
	for i := range subs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendSubresult(dst, &subs[i], &replies[i])
	}
	return append(dst, "]}"...)
}

func checkComposite(subs []subrequest) (reply, bool) {
	heavy, seen := 0, map[string]bool{}
	for _, sub := range subs {
		if !referenceID.MatchString(sub.reference) {
			return failure(http.StatusBadRequest, "INVALID_INPUT", "Provided referenceId ('"+sub.reference+"') must start with a letter or a number, and it can contain only letters, numbers and underscores ('_')."), true
		}
		if seen[sub.reference] {
			return failure(http.StatusBadRequest, "INVALID_INPUT", "referenceId '"+sub.reference+"' is not unique"), true
		}
		seen[sub.reference] = true
		if strings.Contains(sub.url, "/query") || strings.Contains(sub.url, "/composite/sobjects") {
			heavy++
		}
	}
	if heavy > maxHeavy {
		return failure(http.StatusBadRequest, "LIMIT_EXCEEDED", fmt.Sprintf("a composite request may hold %d queries and collections at most", maxHeavy)), true
	}
	return reply{}, false
}

// listOf finds a list that may have so many members at most.
func listOf(v *jsonin.Value, key string, most int) (*jsonin.Value, *reply) {
	list, found := v.Get(key)
	if !found || list.Kind != jsonin.Array {
		rep := failure(http.StatusBadRequest, "JSON_PARSER_ERROR", key+" is required")
		return nil, &rep
	}
	if len(list.Members) > most {
		rep := failure(http.StatusBadRequest, "LIMIT_EXCEEDED", fmt.Sprintf("%s may hold %d entries at most", key, most))
		return nil, &rep
	}
	return list, nil
}

func subrequests(c *call, v *jsonin.Value, key string, most int) ([]subrequest, *reply) {
	list, failed := listOf(v, key, most)
	if failed != nil {
		return nil, failed
	}
	subs := make([]subrequest, 0, len(list.Members))
	for i := range list.Members {
		m := &list.Members[i].Value
		sub := subrequest{method: strings.ToUpper(m.GetText("method")), url: m.GetText("url"), reference: m.GetText("referenceId"), headers: map[string]string{}}
		for _, name := range []string{"body", "richInput"} {
			if body, has := m.Get(name); has && body.Kind != jsonin.Null {
				sub.body = c.body[body.Pos:body.End]
			}
		}
		if headers, has := m.Get("httpHeaders"); has {
			for j := range headers.Members {
				sub.headers[headers.Members[j].Key] = headers.Members[j].Value.Text
			}
		}
		subs = append(subs, sub)
	}
	return subs, nil
}

// compositeOne fills in references, runs one subrequest and remembers its answer.
func (s *Server) compositeOne(c *call, sub subrequest, answers answers) reply {
	address, err := fill(sub.url, answers, func(text string) string { return text })
	if err == nil {
		sub.url = address
		sub.body, err = fill(sub.body, answers, func(text string) string {
			quoted := record.AppendString(nil, text)
			return string(quoted[1 : len(quoted)-1])
		})
	}
	if err != nil {
		return failure(http.StatusBadRequest, "PROCESSING_HALTED", err.Error())
	}
	rep := s.inner(c, sub)
	if v, err := jsonin.Parse(string(rep.body)); err == nil && rep.status < http.StatusBadRequest {
		answers[sub.reference] = v
	}
	return rep
}

var reference = regexp.MustCompile(`@\{([A-Za-z0-9_]+)((?:\.[A-Za-z0-9_]+|\[\d+\])*)\}`)

// fill replaces @{reference.path} by what the answer holds there.
func fill(text string, answers answers, quote func(string) string) (string, error) {
	var failed error
	out := reference.ReplaceAllStringFunc(text, func(match string) string {
		parts := reference.FindStringSubmatch(match)
		answer, found := answers[parts[1]]
		if !found {
			failed = fmt.Errorf("Invalid reference specified. No value for %s found in the answers so far", match) //nolint:staticcheck // Salesforce's text
			return match
		}
		value, found := walk(&answer, parts[2])
		if !found {
			failed = fmt.Errorf("Invalid reference specified. No value for %s found in %s", strings.Trim(match, "@{}"), parts[1]) //nolint:staticcheck // Salesforce's text
			return match
		}
		return quote(value)
	})
	return out, failed
}

var step = regexp.MustCompile(`\.([A-Za-z0-9_]+)|\[(\d+)\]`)

func walk(v *jsonin.Value, path string) (string, bool) {
	for _, parts := range step.FindAllStringSubmatch(path, -1) {
		if parts[1] != "" {
			next, found := v.Get(parts[1])
			if !found {
				return "", false
			}
			v = next
			continue
		}
		at, err := strconv.Atoi(parts[2])
		if err != nil || v.Kind != jsonin.Array || at >= len(v.Members) {
			return "", false
		}
		v = &v.Members[at].Value
	}
	if v.Kind == jsonin.Bool {
		return strconv.FormatBool(v.True), true
	}
	return v.Text, v.Kind != jsonin.Object && v.Kind != jsonin.Array
}

// inner runs a subrequest on behalf of the outer call, which has been admitted already.
func (s *Server) inner(c *call, sub subrequest) reply {
	address, err := url.Parse(sub.url)
	if err != nil || sub.method == "" {
		return failure(http.StatusBadRequest, "INVALID_INPUT", "the subrequest's method or url cannot be read")
	}
	req := c.Clone(context.WithoutCancel(c.Context()))
	req.Method, req.URL = sub.method, address
	for name, value := range sub.headers {
		req.Header.Set(name, value)
	}
	inner := &call{Request: req, route: parseRoute(address.EscapedPath()), caller: c.caller, token: c.token, body: sub.body, rows: c.rows, tx: c.tx}
	switch inner.route.name {
	case routeComposite, routeBatch, routeGraph, routeTree, routeUnknown,
		routeBulkCreate, routeBulkList, routeBulkUpload, routeBulkJob, routeBulkResults:
		return notFound()
	}
	return s.dispatch(inner)
}

func appendSubresult(dst []byte, sub *subrequest, rep *reply) []byte {
	dst = append(dst, `{"body":`...)
	if len(rep.body) == 0 {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, rep.body...)
	}
	headers := map[string]string{}
	if rep.location != "" {
		headers["Location"] = rep.location
	}
	text, err := json.Marshal(headers)
	if err != nil {
		text = []byte("{}")
	}
	dst = append(dst, `,"httpHeaders":`...)
	dst = append(dst, text...)
	dst = append(dst, `,"httpStatusCode":`...)
	dst = strconv.AppendInt(dst, int64(rep.status), 10)
	dst = append(dst, `,"referenceId":`...)
	dst = record.AppendString(dst, sub.reference)
	return append(dst, '}')
}

// batch answers /composite/batch: independent requests, each of which counts as a call.
func (s *Server) batch(c *call) reply {
	if c.Method != http.MethodPost {
		return methodNotAllowed(c.Method, "POST")
	}
	v, failed := c.parse()
	if failed != nil {
		return *failed
	}
	subs, failed := subrequests(c, &v, "batchRequests", maxSubrequests)
	if failed != nil {
		return *failed
	}
	s.quota.Use(s.org.Now(), max(0, len(subs)-1))
	halt, hasErrors := v.GetTrue("haltOnError"), false
	results := []byte{'['}
	for i, sub := range subs {
		rep := failure(http.StatusPreconditionFailed, "BATCH_PROCESSING_HALTED", "Batch processing halted per request")
		if !halt || !hasErrors {
			if !strings.HasPrefix(sub.url, "/") {
				sub.url = "/services/data/" + sub.url
			}
			rep = s.inner(c, sub)
		}
		hasErrors = hasErrors || rep.status >= http.StatusBadRequest
		if i > 0 {
			results = append(results, ',')
		}
		results = append(results, `{"statusCode":`...)
		results = strconv.AppendInt(results, int64(rep.status), 10)
		results = append(results, `,"result":`...)
		if len(rep.body) == 0 {
			results = append(results, "null"...)
		}
		results = append(append(results, rep.body...), '}')
	}
	body := strconv.AppendBool([]byte(`{"hasErrors":`), hasErrors)
	body = append(append(body, `,"results":`...), results...)
	return reply{status: http.StatusOK, body: append(body, "]}"...), records: len(subs)}
}
