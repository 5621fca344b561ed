package orgtest

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// maxBatches is how many bulk batches the org has in 24 hours.
const maxBatches = 15_000

// JobStep is a request of the Bulk API.
type JobStep string

// The steps.
const (
	JobCreate  JobStep = "create"
	JobUpload  JobStep = "upload"
	JobClose   JobStep = "close"
	JobAbort   JobStep = "abort"
	JobPoll    JobStep = "poll"
	JobResults JobStep = "results"
)

// Job is a bulk job as it stands.
type Job struct {
	ID, Object, Operation, KeyField, State, Message string
	// Rows are its records; a cell that is empty is not in them, and one that clears a field is nil.
	Rows []map[string]any
}

// JobPlan is what happens to a job.
type JobPlan struct {
	// Fail ends the job before this row, counted from 1, with Message; 0 lets it end well.
	Fail    int
	Message string
	// Forget leaves the rows of these keys out of all results.
	Forget []string
	// Deaf: it does not heed an abort before it has come to its end.
	Deaf bool
}

type job struct {
	Job
	plan                            JobPlan
	header                          []string
	cells                           [][]string
	successful, failed, unprocessed [][]string
	aborted                         bool
}

// SetBatches sets how many bulk batches remain.
func (o *Org) SetBatches(remaining int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.batches = remaining
}

func (o *Org) serveLimits(w http.ResponseWriter) {
	if o.Limits != nil {
		o.Limits()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.limits != 0 {
		w.WriteHeader(o.limits)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"DailyApiRequests":    map[string]int{"Max": o.max, "Remaining": o.max - o.used},
		"DailyBulkApiBatches": map[string]int{"Max": maxBatches, "Remaining": o.batches},
	})
}

// Jobs returns the bulk jobs there were.
func (o *Org) Jobs() []Job {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]Job, len(o.jobs))
	for i, j := range o.jobs {
		all[i] = j.Job
	}
	return all
}

func (o *Org) serveJobs(w http.ResponseWriter, r *http.Request, path string) {
	id, file, _ := strings.Cut(path, "/")
	body, _ := io.ReadAll(r.Body)
	var asked struct{ State, Object, Operation, ExternalIDFieldName string }
	if file != "batches" {
		_ = json.Unmarshal(body, &asked)
	}
	step := map[string]JobStep{"POST": JobCreate, "PUT": JobUpload, "GET": JobPoll, "PATCH": JobClose}[r.Method]
	switch {
	case asked.State == "Aborted":
		step = JobAbort
	case file != "" && r.Method == http.MethodGet:
		step = JobResults
	}
	var fault *Fault
	if o.JobFault != nil {
		if fault = o.JobFault(step, id); fault != nil && !fault.AfterCommit {
			answer(w, r, fault)
			return
		}
	}
	status, text := o.doJob(step, id, file, Job{
		Object: asked.Object, Operation: asked.Operation, KeyField: asked.ExternalIDFieldName, Message: string(body),
	})
	if fault != nil {
		answer(w, r, fault)
		return
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// doJob does one step. The upload comes in asked.Message.
func (o *Org) doJob(step JobStep, id, file string, asked Job) (status int, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if step == JobCreate {
		j := &job{Job: asked}
		j.ID, j.State, j.Message = fmt.Sprintf("750SM%010dAA2", len(o.jobs)+1), "Open", ""
		if j.Operation == "update" {
			j.KeyField = "Id"
		}
		o.jobs = append(o.jobs, j)
		return http.StatusOK, j.json()
	}
	at := slices.IndexFunc(o.jobs, func(j *job) bool { return j.ID == id })
	if at < 0 {
		return http.StatusNotFound, `[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]`
	}
	j := o.jobs[at]
	refusal := `[{"errorCode":"INVALIDJOBSTATE","message":"the job is ` + j.State + `"}]`
	switch step {
	case JobUpload:
		if j.State != "Open" || !j.read(asked.Message) {
			return http.StatusBadRequest, refusal
		}
		return http.StatusCreated, ""
	case JobClose:
		if j.State != "Open" {
			return http.StatusBadRequest, refusal
		}
		j.State = "InProgress"
		o.running.Go(func() { o.runJob(j) })
	case JobAbort:
		switch {
		case j.State == "Open":
			j.State, j.unprocessed = "Aborted", j.cells
		case j.State != "InProgress":
			return http.StatusBadRequest, refusal
		default:
			j.aborted = true
		}
	case JobResults:
		return http.StatusOK, j.results(file)
	case JobPoll:
		o.polls++
	case JobCreate:
	}
	return http.StatusOK, j.json()
}

// OpenJob makes a job with its rows, as another program would, and returns its id.
func (o *Org) OpenJob(asked Job, rows string) string {
	o.doJob(JobCreate, "", "", asked)
	jobs := o.Jobs()
	id := jobs[len(jobs)-1].ID
	o.doJob(JobUpload, id, "", Job{Message: rows})
	return id
}

// StartJob is OpenJob and puts the job under way.
func (o *Org) StartJob(asked Job, rows string) string {
	id := o.OpenJob(asked, rows)
	o.doJob(JobClose, id, "", Job{})
	return id
}

// Aborting reports whether a running job has been told to end.
func (o *Org) Aborting() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.ContainsFunc(o.jobs, func(j *job) bool { return j.aborted })
}

// Polls counts how often somebody asked where a job stands.
func (o *Org) Polls() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.polls
}

func (j *job) json() string {
	text, _ := json.Marshal(map[string]any{
		"id": j.ID, "object": j.Object, "operation": j.Operation, "state": j.State, "errorMessage": j.Message,
	})
	return string(text)
}

func (j *job) read(upload string) bool {
	rows, err := csv.NewReader(strings.NewReader(upload)).ReadAll()
	if err != nil || len(rows) < 2 || j.header != nil {
		return false
	}
	j.header, j.cells = rows[0], rows[1:]
	for _, cells := range j.cells {
		rec := map[string]any{}
		for i, cell := range cells {
			switch {
			case cell == "":
			case cell == "#N/A":
				rec[j.header[i]] = nil
			case j.header[i] == "Rev__c":
				rec["Rev__c"], _ = strconv.ParseFloat(cell, 64)
			default:
				rec[j.header[i]] = cell
			}
		}
		j.Rows = append(j.Rows, rec)
	}
	return true
}

// chunk is how many rows a job writes at a time.
const chunk = 20

func (o *Org) runJob(j *job) {
	request := Request{Method: http.MethodPost, Object: j.Object, KeyField: j.KeyField, Records: j.Rows, Job: j.ID}
	defer o.enter(request)()
	if o.JobRun != nil {
		plan := o.JobRun(j.Job)
		o.mu.Lock()
		j.plan = plan
		o.mu.Unlock()
	}
	state, message := "JobComplete", ""
	done := 0
	for done < len(j.Rows) {
		o.mu.Lock()
		aborted := j.aborted && !j.plan.Deaf
		o.mu.Unlock()
		if aborted {
			state = "Aborted"
			break
		}
		n := min(chunk, len(j.Rows)-done)
		if fail := j.plan.Fail - 1; fail >= 0 {
			if done >= fail {
				state, message = "Failed", j.plan.Message
				break
			}
			n = min(n, fail-done)
		}
		request.Records = j.Rows[done : done+n]
		o.note(j, done, o.commit(request))
		if o.Committed != nil {
			o.Committed(request)
		}
		done += n
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	j.State, j.Message, j.unprocessed = state, message, j.cells[done:]
}

func (o *Org) note(j *job, from int, results []map[string]any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := slices.Index(j.header, j.KeyField)
	for i, r := range results {
		cells := j.cells[from+i]
		if slices.Contains(j.plan.Forget, cells[key]) {
			continue
		}
		if id, ok := r["id"].(string); ok {
			j.successful = append(j.successful, append([]string{id, fmt.Sprint(r["created"])}, cells...))
			continue
		}
		e := r["errors"].([]any)[0].(map[string]any)
		j.failed = append(j.failed, append([]string{"", fmt.Sprintf("%s:%s:--", e["statusCode"], e["message"])}, cells...))
	}
}

// results returns a result file, in another order than the upload's.
func (j *job) results(file string) string {
	rows, own := j.unprocessed, []string(nil)
	switch strings.Trim(file, "/") {
	case "successfulResults":
		rows, own = j.successful, []string{"sf__Id", "sf__Created"}
	case "failedResults":
		rows, own = j.failed, []string{"sf__Id", "sf__Error"}
	}
	var b strings.Builder
	w := csv.NewWriter(&b)
	_ = w.Write(append(own, j.header...))
	for _, row := range slices.Backward(rows) {
		_ = w.Write(row)
	}
	w.Flush()
	return b.String()
}
