package rest

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/throughline-dev/throughline/services/simulator/internal/bulk"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

// listSize is how many jobs a page of the list has.
const listSize = 1_000

// jobInfo is a job as answers show it.
type jobInfo struct {
	ID             string  `json:"id"`
	Operation      string  `json:"operation"`
	Object         string  `json:"object,omitempty"`
	CreatedByID    string  `json:"createdById"`
	CreatedDate    string  `json:"createdDate"`
	SystemModstamp string  `json:"systemModstamp"`
	State          string  `json:"state"`
	ExternalID     string  `json:"externalIdFieldName,omitempty"`
	Rule           string  `json:"assignmentRuleId,omitempty"`
	Concurrency    string  `json:"concurrencyMode"`
	ContentType    string  `json:"contentType"`
	APIVersion     float64 `json:"apiVersion"`
	JobType        string  `json:"jobType"`
	ContentURL     string  `json:"contentUrl,omitempty"`
	LineEnding     string  `json:"lineEnding"`
	Delimiter      string  `json:"columnDelimiter"`
	Query          string  `json:"query,omitempty"`
	Error          string  `json:"errorMessage,omitempty"`
	*progress
}

// progress is what answers about one job tell beside the job itself.
type progress struct {
	Processed  int   `json:"numberRecordsProcessed"`
	Failed     *int  `json:"numberRecordsFailed,omitempty"`
	Retries    int   `json:"retries"`
	Total      int64 `json:"totalProcessingTime"` // milliseconds
	Active     int64 `json:"apiActiveProcessingTime"`
	ApexActive int64 `json:"apexProcessingTime"`
}

func info(j *bulk.Job, full bool) jobInfo {
	out := jobInfo{
		ID: j.ID, Operation: j.Operation, Object: j.Object, CreatedByID: j.User, State: string(j.State), Query: j.Query,
		CreatedDate: record.NewDateTime(j.Created).String(), SystemModstamp: record.NewDateTime(j.Modified).String(),
		ExternalID: j.ExternalID, Rule: j.Rule, Concurrency: "Parallel", ContentType: "CSV", APIVersion: float64(j.Version),
		JobType: map[bulk.Kind]string{bulk.Ingest: "V2Ingest", bulk.Query: "V2Query"}[j.Kind], LineEnding: j.LineEnding,
		Delimiter: j.Delimiter,
	}
	if j.Kind == bulk.Ingest && j.State == bulk.Open {
		out.ContentURL = "services/data/v" + strconv.Itoa(j.Version) + ".0/jobs/ingest/" + j.ID + "/batches"
	}
	if !full {
		return out
	}
	out.Error = j.Error
	out.progress = &progress{Processed: j.Processed, Total: j.Took.Milliseconds(), Active: j.Took.Milliseconds()}
	if j.Kind == bulk.Ingest {
		out.Failed = &j.Failed
	}
	return out
}

func bulkRefusal(err *bulk.Error) reply { return failure(err.Status, err.Code, err.Message) }

// bulkJobs answers /jobs/ingest and /jobs/query: POST makes a job, GET lists them.
func (s *Server) bulkJobs(c *call) reply {
	switch c.Method {
	case http.MethodPost:
		return s.bulkCreate(c)
	case http.MethodGet:
		return s.bulkList(c)
	}
	return methodNotAllowed(c.Method, "GET,POST")
}

// jobRequest is the body that makes a job.
type jobRequest struct {
	Object      string `json:"object"`
	Operation   string `json:"operation"`
	ExternalID  string `json:"externalIdFieldName"`
	ContentType string `json:"contentType"`
	LineEnding  string `json:"lineEnding"`
	Delimiter   string `json:"columnDelimiter"`
	Rule        string `json:"assignmentRuleId"`
	Query       string `json:"query"`
}

func (s *Server) bulkCreate(c *call) reply {
	body, content := c.body, (*string)(nil)
	if media, params, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err == nil && strings.HasPrefix(media, "multipart/") {
		if c.route.kind == bulk.Query {
			return failure(http.StatusBadRequest, "INVALIDJOB", "InvalidJob : a query job takes no content")
		}
		var failed *reply
		if body, content, failed = jobParts(c.body, params["boundary"]); failed != nil {
			return *failed
		}
	}
	var req jobRequest
	if err := json.Unmarshal([]byte(body), &req); err != nil {
		return failure(http.StatusBadRequest, "JSON_PARSER_ERROR", err.Error())
	}
	job, refused := s.newJob(c, &req)
	if refused != nil {
		return bulkRefusal(refused)
	}
	made, refused := s.jobs.Create(c.Context(), job, content)
	if refused != nil {
		return bulkRefusal(refused)
	}
	return ok(info(&made, false))
}

// jobParts takes a multipart body apart: the part "job" is the job, the part "content" its data.
func jobParts(body, boundary string) (job string, content *string, failed *reply) {
	bad := func(message string) *reply {
		rep := failure(http.StatusBadRequest, "INVALIDJOB", "InvalidJob : "+message)
		return &rep
	}
	parts := map[string]string{}
	r := multipart.NewReader(strings.NewReader(body), boundary)
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", nil, bad("the multipart body cannot be read")
		}
		text, err := io.ReadAll(part) // no longer than the request
		if err != nil {
			return "", nil, bad("the multipart body cannot be read")
		}
		parts[part.FormName()] = string(text)
	}
	data, hasContent := parts["content"]
	job, hasJob := parts["job"]
	switch {
	case !hasJob || !hasContent:
		return "", nil, bad("a multipart request has the parts job and content")
	case len(data) > bulk.MaxMultipart && utf8.RuneCountInString(data) > bulk.MaxMultipart:
		return "", nil, bad("the content of a multipart request may have 100000 characters")
	}
	return job, &data, nil
}

// newJob checks a request for a job.
func (s *Server) newJob(c *call, req *jobRequest) (bulk.Job, *bulk.Error) {
	job := bulk.Job{
		Kind: c.route.kind, Version: c.route.version, Operation: req.Operation, Object: req.Object, Query: req.Query,
		ExternalID: req.ExternalID, Rule: req.Rule, LineEnding: req.LineEnding, Delimiter: req.Delimiter, User: c.caller.UserID,
		Origin: origin("bulk", c.route.version, c.Header.Get("Sforce-Call-Options")),
	}
	if job.LineEnding == "" {
		job.LineEnding = bulk.LF
	}
	if job.Delimiter == "" {
		job.Delimiter = "COMMA"
	}
	invalid := func(message string) (bulk.Job, *bulk.Error) {
		return job, &bulk.Error{Status: http.StatusBadRequest, Code: "INVALIDJOB", Message: "InvalidJob : " + message}
	}
	switch {
	case req.ContentType != "" && req.ContentType != "CSV":
		return invalid("Unsupported contentType: " + req.ContentType)
	case job.LineEnding != bulk.LF && job.LineEnding != bulk.CRLF:
		return invalid("Unsupported lineEnding: " + job.LineEnding)
	case !bulk.KnownDelimiter(job.Delimiter):
		return invalid("Unsupported columnDelimiter: " + job.Delimiter)
	case job.Kind == bulk.Query && (req.Operation != "query" && req.Operation != "queryAll" || req.Query == ""):
		return invalid("a query job needs a query, and query or queryAll for its operation")
	case job.Kind == bulk.Query:
		job.Object, job.ExternalID, job.Rule = queried(req.Query), "", ""
		return job, nil
	}
	return s.newIngest(c, job)
}

// queried is the object that a query job is about, empty when the query cannot be read: the job then fails.
func queried(text string) string {
	q, err := soql.Parse(text)
	if err != nil {
		return ""
	}
	return q.From.Text
}

func (s *Server) newIngest(c *call, job bulk.Job) (bulk.Job, *bulk.Error) {
	refuse := func(code, message string) (bulk.Job, *bulk.Error) {
		return job, &bulk.Error{Status: http.StatusBadRequest, Code: code, Message: message}
	}
	o, found := s.org.Schema.Object(job.Object)
	if !found || !c.caller.Access.Object(o).Read {
		return refuse("INVALIDJOB", "InvalidJob : Unable to find object: "+job.Object)
	}
	job.Object, job.Query = o.Name, ""
	switch job.Operation {
	case "insert", "update", "delete":
		job.ExternalID = ""
	case "hardDelete":
		return refuse("FEATURENOTENABLED", "FeatureNotEnabled : hardDelete operation requires special user profile permission, please contact your system administrator")
	case "upsert":
		f, known := o.Field(job.ExternalID)
		if !known || !f.KeyField() || !c.caller.Access.Visible(o, f) {
			return refuse("INVALIDJOB", "InvalidJob : External ID was blank or not found for "+o.Name)
		}
		job.ExternalID = f.Name
	default:
		return refuse("INVALIDOPERATION", "InvalidOperation : Unsupported operation: "+job.Operation)
	}
	return job, nil
}

func (s *Server) bulkList(c *call) reply {
	page, next, valid := s.jobs.List(c.route.kind, c.URL.Query().Get("queryLocator"), listSize)
	if !valid {
		return failure(http.StatusBadRequest, "INVALID_QUERY_LOCATOR", "invalid query locator")
	}
	answer := struct {
		Done    bool      `json:"done"`
		Records []jobInfo `json:"records"`
		Next    *string   `json:"nextRecordsUrl"`
	}{Done: next == "", Records: make([]jobInfo, len(page))}
	for i := range page {
		answer.Records[i] = info(&page[i], false)
	}
	if next != "" {
		url := c.route.path() + "/jobs/" + string(c.route.kind) + "?queryLocator=" + next
		answer.Next = &url
	}
	return ok(answer)
}

// bulkUpload answers /jobs/ingest/<id>/batches: PUT takes the data.
func (s *Server) bulkUpload(c *call) reply {
	if c.Method != http.MethodPut {
		return methodNotAllowed(c.Method, "PUT")
	}
	if media, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || media != "text/csv" {
		return failure(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "the data of a job is text/csv")
	}
	if refused := s.jobs.Upload(c.Context(), c.route.id, c.body); refused != nil {
		return bulkRefusal(refused)
	}
	return reply{status: http.StatusCreated}
}

// bulkJob answers /jobs/<kind>/<id>.
func (s *Server) bulkJob(c *call) reply {
	switch c.Method {
	case http.MethodGet:
		job, refused := s.jobs.Get(c.route.kind, c.route.id)
		if refused != nil {
			return bulkRefusal(refused)
		}
		return ok(info(&job, true))
	case http.MethodDelete:
		if refused := s.jobs.Delete(c.Context(), c.route.kind, c.route.id); refused != nil {
			return bulkRefusal(refused)
		}
		return reply{status: http.StatusNoContent}
	case http.MethodPatch:
		var req struct {
			State bulk.State `json:"state"`
		}
		if err := json.Unmarshal([]byte(c.body), &req); err != nil {
			return failure(http.StatusBadRequest, "JSON_PARSER_ERROR", err.Error())
		}
		job, refused := s.jobs.Change(c.Context(), c.route.kind, c.route.id, req.State)
		if refused != nil {
			return bulkRefusal(refused)
		}
		return ok(info(&job, false))
	}
	return methodNotAllowed(c.Method, "GET,PATCH,DELETE")
}

// bulkResults answers with the results of a job as CSV.
func (s *Server) bulkResults(c *call) reply {
	if c.Method != http.MethodGet {
		return methodNotAllowed(c.Method, "GET")
	}
	if c.route.kind == bulk.Ingest {
		body, n, refused := s.jobs.Results(c.route.id, c.route.part)
		if refused != nil {
			return bulkRefusal(refused)
		}
		return reply{status: http.StatusOK, body: body, csv: true, records: n}
	}
	values := c.URL.Query()
	size := 0
	if text := values.Get("maxRecords"); text != "" {
		var err error
		if size, err = strconv.Atoi(text); err != nil || size < 1 {
			return failure(http.StatusBadRequest, "API_ERROR", "maxRecords must be a number above 0")
		}
	}
	page, refused := s.jobs.QueryResults(c.route.id, values.Get("locator"), size)
	if refused != nil {
		return bulkRefusal(refused)
	}
	next := page.Next
	if next == "" {
		next = "null"
	}
	return reply{status: http.StatusOK, body: page.CSV, csv: true, records: page.Records, headers: map[string]string{
		"Sforce-Locator": next, "Sforce-NumberOfRecords": strconv.Itoa(page.Records),
	}}
}
