package orgtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Record is one record of the org.
type Record struct {
	ID, Object string
	Key        string // external id, "" for inserts
	Fields     map[string]any
	Created    time.Time
	// History holds the values of field Rev__c in the order they were written.
	History []float64
}

// Request is one request that changes records, as it arrived.
type Request struct {
	Method, Object, KeyField string
	Records                  []map[string]any
	// Job is the bulk job, "" for a collection.
	Job string
	// Token is the bearer token of a collection: a test that gives each process its own can tell whose a request is.
	Token string
}

// Fault is what happens to a request.
type Fault struct {
	// Status and Body answer instead of the org.
	Status int
	Body   string
	// AfterCommit: the records are written all the same, and the answer is lost when Status is 0.
	AfterCommit bool
	// Hang holds the request until the client gives up.
	Hang bool
}

// Org is the org. Set the functions before it is used.
type Org struct {
	// Fault decides about a whole request; nil lets it through.
	Fault func(Request) *Fault
	// QueryFault decides about a query.
	QueryFault func(soql string) *Fault
	// Refuse decides about one record: code and message, or "".
	Refuse func(record map[string]any) (code, message string)
	// Converted are the converted Leads, by id, and the Contact each became; "" for none that can be seen. Records that link
	// to one are refused.
	Converted map[string]string
	// Committed is called after a request's records, or a chunk of a job's, were written and before it is answered.
	Committed func(Request)
	// JobFault decides about a request of the Bulk API. Set AfterCommit to lose the answer only.
	JobFault func(step JobStep, job string) *Fault
	// JobRun is called before a job's first row and may hold it; nil for nothing special.
	JobRun func(Job) JobPlan
	// Limits is called before the limits are told and may hold them.
	Limits func()

	server *httptest.Server

	mu       sync.Mutex
	records  []*Record
	byKey    map[string]*Record
	inFlight map[string]int
	problems []string
	requests []Request
	queries  []string
	busy     int
	peak     int
	used     int
	max      int
	limits   int // status of /limits, 0 for fine
	batches  int // that remain
	jobs     []*job
	polls    int
	running  sync.WaitGroup
	now      func() time.Time
}

// New starts an org that ends with the test.
func New(tb testing.TB) *Org {
	tb.Helper()
	o := &Org{byKey: map[string]*Record{}, inFlight: map[string]int{}, max: 1_000_000, batches: maxBatches, now: time.Now}
	o.server = httptest.NewServer(http.HandlerFunc(o.serve))
	tb.Cleanup(func() {
		o.server.CloseClientConnections()
		o.server.Close()
		o.running.Wait()
	})
	return o
}

// URL is the instance address.
func (o *Org) URL() string { return o.server.URL }

// SetUsage sets what the limit header says.
func (o *Org) SetUsage(used, limit int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.used, o.max = used, limit
}

// SetLimitsStatus makes the limits resource answer with a status; 0 heals it.
func (o *Org) SetLimitsStatus(status int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.limits = status
}

// Add puts a record into the org as somebody else would.
func (o *Org) Add(object string, created time.Time, fields map[string]any) *Record {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.create(object, "", fields)
	r.Created = created
	return r
}

// Records returns all records of an object, in order of creation.
func (o *Org) Records(object string) []Record {
	o.mu.Lock()
	defer o.mu.Unlock()
	var found []Record
	for _, r := range o.records {
		if r.Object == object {
			found = append(found, *r)
		}
	}
	return found
}

// Requests returns the requests that changed, or were to change, records.
func (o *Org) Requests() []Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.requests)
}

// Queries returns the SOQL that was asked.
func (o *Org) Queries() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.queries)
}

// Peak is the most requests that were in flight together.
func (o *Org) Peak() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.peak
}

// Problems returns what a well-behaved writer would not have done.
func (o *Org) Problems() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.problems)
}

func (o *Org) serve(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	o.used++
	w.Header().Set("Sforce-Limit-Info", fmt.Sprintf("api-usage=%d/%d", o.used, o.max))
	o.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch path := regexp.MustCompile(`^/services/data/v\d+\.0`).ReplaceAllString(r.URL.Path, ""); {
	case path == "/limits":
		o.serveLimits(w)
	case path == "/query" || path == "/queryAll":
		soql := r.URL.Query().Get("q")
		if o.QueryFault != nil {
			if f := o.QueryFault(soql); f != nil {
				answer(w, r, f)
				return
			}
		}
		o.serveQuery(w, soql)
	case strings.HasPrefix(path, "/jobs/ingest"):
		o.serveJobs(w, r, strings.Trim(strings.TrimPrefix(path, "/jobs/ingest"), "/"))
	case strings.HasPrefix(path, "/composite/sobjects"):
		o.serveCollection(w, r, path)
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]`))
	}
}

func (o *Org) serveCollection(w http.ResponseWriter, r *http.Request, path string) {
	req := Request{Method: r.Method, Token: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}
	if rest := strings.TrimPrefix(path, "/composite/sobjects/"); rest != path {
		req.Object, req.KeyField, _ = strings.Cut(rest, "/")
	}
	var body struct{ Records []map[string]any }
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`[{"errorCode":"JSON_PARSER_ERROR","message":"bad"}]`))
		return
	}
	req.Records = body.Records
	if req.Object == "" && len(req.Records) > 0 {
		req.Object, _ = req.Records[0]["attributes"].(map[string]any)["type"].(string)
	}
	leave := o.enter(req)
	defer leave()
	var fault *Fault
	if o.Fault != nil {
		fault = o.Fault(req)
	}
	if fault != nil && !fault.AfterCommit {
		answer(w, r, fault)
		return
	}
	results := o.commit(req)
	if o.Committed != nil {
		o.Committed(req)
	}
	if fault != nil {
		answer(w, r, fault)
		return
	}
	_ = json.NewEncoder(w).Encode(results)
}

func answer(w http.ResponseWriter, r *http.Request, f *Fault) {
	switch {
	case f.Hang:
		<-r.Context().Done()
	case f.Status == 0:
		panic(http.ErrAbortHandler)
	default:
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte(f.Body))
	}
}

// enter watches what is in flight together.
func (o *Org) enter(req Request) (leave func()) {
	keys := map[string]bool{}
	for _, rec := range req.Records {
		for _, name := range []string{req.KeyField, "id"} {
			if v, ok := rec[name].(string); ok && name != "" {
				if keys[v] {
					o.problem("record " + v + " twice in one request")
				}
				keys[v] = true
			}
		}
	}
	for _, rec := range req.Records {
		if parent, ok := rec["Parent__c"].(string); ok {
			keys["parent "+parent] = true
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests = append(o.requests, req)
	o.busy++
	o.peak = max(o.peak, o.busy)
	for k := range keys {
		if o.inFlight[k]++; o.inFlight[k] > 1 {
			o.problems = append(o.problems, k+" in two requests at a time")
		}
	}
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.busy--
		for k := range keys {
			o.inFlight[k]--
		}
	}
}

func (o *Org) problem(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.problems = append(o.problems, text)
}

func (o *Org) commit(req Request) []map[string]any {
	results := make([]map[string]any, len(req.Records))
	for i, rec := range req.Records {
		if o.Refuse != nil {
			if code, message := o.Refuse(rec); code != "" {
				results[i] = map[string]any{"success": false, "errors": []any{
					map[string]any{"statusCode": code, "message": message, "fields": []string{}},
				}}
				continue
			}
		}
		if o.linksConverted(rec) {
			results[i] = map[string]any{"success": false, "errors": []any{map[string]any{
				"statusCode": "CANNOT_UPDATE_CONVERTED_LEAD", "message": "cannot reference converted lead", "fields": []string{},
			}}}
			continue
		}
		o.mu.Lock()
		key, _ := rec[req.KeyField].(string)
		r, created := o.byKey[req.Object+"/"+key], false
		if id, byID := rec["id"].(string); byID {
			r = o.byID(id)
		} else if key == "" {
			r = nil
		}
		if r == nil {
			r, created = o.create(req.Object, key, nil), true
		}
		for name, v := range rec {
			r.Fields[name] = v
		}
		if rev, ok := rec["Rev__c"].(float64); ok {
			r.History = append(r.History, rev)
		}
		results[i] = map[string]any{"id": r.ID, "success": true, "errors": []any{}, "created": created}
		o.mu.Unlock()
	}
	return results
}

// byID finds a record that is to be updated; nil when the test has made none.
func (o *Org) byID(id string) *Record {
	for _, r := range o.records {
		if r.ID == id {
			return r
		}
	}
	return nil
}

func (o *Org) create(object, key string, fields map[string]any) *Record {
	r := &Record{
		ID: fmt.Sprintf("00TSM%010dAA2", len(o.records)+1)[:18], Object: object, Key: key,
		Fields: map[string]any{}, Created: o.now(),
	}
	for name, v := range fields {
		r.Fields[name] = v
	}
	o.records = append(o.records, r)
	if key != "" {
		o.byKey[object+"/"+key] = r
	}
	return r
}

var (
	fromObject = regexp.MustCompile(`FROM (\w+)`)
	inScope    = regexp.MustCompile(`WHERE (\w+) IN \(([^)]*)\)`)
	since      = regexp.MustCompile(`CreatedDate >= (\S+)`)
)
