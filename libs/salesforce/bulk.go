package salesforce

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// MaxBulkUpload is the most bytes of CSV that UploadBulkJob takes. Salesforce allows 150 MB after base64, some 100 MB raw; a
// result file repeats the rows, and an answer is held in memory, so the client stays below max_response_bytes. Source: Limits
// Quick Reference, "Bulk API and Bulk API 2.0 Limits and Allocations".
const MaxBulkUpload = 24 << 20

// BulkState is where a job stands. Source: Bulk API 2.0 and Bulk API Developer Guide, "Get Information About an Ingest Job".
type BulkState string

// The states of a job. It ends as JobComplete, where rows may have failed all the same, Failed, where rows done stay done,
// or Aborted.
const (
	BulkOpen           BulkState = "Open"
	BulkUploadComplete BulkState = "UploadComplete"
	BulkInProgress     BulkState = "InProgress"
	BulkJobComplete    BulkState = "JobComplete"
	BulkFailed         BulkState = "Failed"
	BulkAborted        BulkState = "Aborted"
)

// Ended reports whether nothing more will happen to the job's rows.
func (s BulkState) Ended() bool { return s == BulkJobComplete || s == BulkFailed || s == BulkAborted }

// BulkJob is a Bulk API 2.0 job, ingest or query. Salesforce keeps jobs and their results for seven days. Source: Limits Quick
// Reference, "Bulk API and Bulk API 2.0 Limits and Allocations".
type BulkJob struct {
	// ID is the job's, 18 characters.
	ID string `json:"id"`
	// Object is the API name of what is written or read.
	Object string `json:"object"`
	// Operation is insert, update or upsert, or query or queryAll.
	Operation string    `json:"operation"`
	State     BulkState `json:"state"`
	// Processed counts the rows done or found, Failed those of an ingest job that were refused.
	Processed int `json:"numberRecordsProcessed"`
	Failed    int `json:"numberRecordsFailed"`
	// Message says why the job as a whole failed; see Err.
	Message string `json:"errorMessage"`
}

// BulkRequest describes an ingest job.
type BulkRequest struct {
	// Operation is Insert, Update or Upsert.
	Operation Operation
	// Object is the API name.
	Object string
	// ExternalIDField is the API name of the key field; needed for Upsert, unused otherwise.
	ExternalIDField string
}

// CreateBulkJob makes an open job that takes one upload of comma-separated rows with LF line ends. After an Ambiguous error
// there may be one more open job, which Salesforce ends by itself after a day; none of its rows exist, for it has none. A
// request that makes no sense is CodeBadRequest. Source: Bulk API 2.0 and Bulk API Developer Guide, "Create a Job".
func (c *Client) CreateBulkJob(ctx context.Context, req BulkRequest) (BulkJob, error) {
	body := map[string]string{
		"object": req.Object, "operation": req.Operation.String(), "contentType": "CSV", "lineEnding": "LF", "columnDelimiter": "COMMA",
	}
	switch req.Operation {
	case Insert, Update:
	case Upsert:
		body["externalIdFieldName"] = req.ExternalIDField
	default:
		return BulkJob{}, badRequest("no operation")
	}
	return c.bulkJob(ctx, &call{method: http.MethodPost, path: "/jobs/ingest", template: "/jobs/ingest", object: req.Object}, body)
}

// UploadBulkJob sends the job's rows, as EncodeBulk makes them: once a job, at most MaxBulkUpload bytes. Nothing is done with
// them until CloseBulkJob, so a lost answer leaves nothing in doubt: abort the job and make another. More bytes are
// CodeBadRequest with Split. Source: Bulk API 2.0 and Bulk API Developer Guide, "Upload Job Data".
func (c *Client) UploadBulkJob(ctx context.Context, id string, rows []byte) error {
	if len(rows) > MaxBulkUpload {
		e := badRequest("the rows are more than one upload takes; make several jobs of them")
		e.Split = true
		return e
	}
	_, _, err := c.do(ctx, &call{
		method: http.MethodPut, path: "/jobs/ingest/" + url.PathEscape(id) + "/batches", template: "/jobs/ingest/{id}/batches",
		api: apiBulk, body: rows, header: http.Header{"Content-Type": {"text/csv; charset=UTF-8"}},
	})
	return err
}

// CloseBulkJob lets Salesforce begin. After an Ambiguous error ask BulkJob: a job that is still Open has not begun. Source:
// Bulk API 2.0 and Bulk API Developer Guide, "Close or Abort a Job".
func (c *Client) CloseBulkJob(ctx context.Context, id string) (BulkJob, error) {
	return c.bulkState(ctx, id, BulkUploadComplete)
}

// AbortBulkJob ends a job. Rows done stay done; the results tell which, and a chunk of up to 200 rows that is being written may
// still come through. After an Ambiguous error ask BulkJob, or abort again.
func (c *Client) AbortBulkJob(ctx context.Context, id string) (BulkJob, error) {
	return c.bulkState(ctx, id, BulkAborted)
}

func (c *Client) bulkState(ctx context.Context, id string, state BulkState) (BulkJob, error) {
	return c.bulkJob(ctx, bulkCall(http.MethodPatch, id), map[string]string{"state": string(state)})
}

// BulkJob tells where a job stands. Each look is a call of the org's allocation. A job that was deleted, or is older than seven
// days, is an *Error with status 404.
func (c *Client) BulkJob(ctx context.Context, id string) (BulkJob, error) {
	return c.bulkJob(ctx, bulkCall(http.MethodGet, id), nil)
}

// DeleteBulkJob removes an ended job with its data and results; one that runs is refused. Source: Bulk API 2.0 and Bulk API
// Developer Guide, "Delete a Job".
func (c *Client) DeleteBulkJob(ctx context.Context, id string) error {
	_, _, err := c.do(ctx, bulkCall(http.MethodDelete, id))
	return err
}

const apiBulk = "bulk"

func bulkCall(method, id string) *call {
	return &call{method: method, path: "/jobs/ingest/" + url.PathEscape(id), template: "/jobs/ingest/{id}", api: apiBulk}
}

func (c *Client) bulkJob(ctx context.Context, r *call, body map[string]string) (BulkJob, error) {
	r.api = apiBulk
	if body != nil {
		var err error
		if r.body, err = json.Marshal(body); err != nil {
			return BulkJob{}, badRequest("the job cannot be encoded")
		}
	}
	ans, _, err := c.do(ctx, r)
	if err != nil {
		return BulkJob{}, err
	}
	var job BulkJob
	if json.Unmarshal(ans.body, &job) != nil || job.ID == "" || job.State == "" {
		return BulkJob{}, unparseable(r, ans.status)
	}
	return job, nil
}

// bulkFailures classifies the names of job-level errors. Source: Bulk API 2.0 and Bulk API Developer Guide, "Errors".
var bulkFailures = map[string]verdict{
	"ClientInputError":   {ClassData, ReasonRejected, false},
	"ExceededQuota":      {ClassQuota, ReasonLimit, false},
	"FeatureNotEnabled":  {ClassConfig, ReasonAPIDisabled, false},
	"InvalidBatch":       {ClassData, ReasonRejected, true},
	"InvalidJob":         {ClassData, ReasonRejected, false},
	"InvalidJobState":    {ClassData, ReasonRejected, false},
	"InvalidOperation":   {ClassConfig, ReasonNoPermission, false},
	"InvalidSessionId":   {ClassTransient, ReasonAuthRevoked, false},
	"InvalidUser":        {ClassAuth, ReasonAuthRevoked, false},
	"Timeout":            {ClassTransient, ReasonUnavailable, true},
	"TooManyLockFailure": {ClassLock, ReasonLocked, true},
}

// Err is why the job as a whole ended before its rows were all done, nil when it did not. It says nothing about the rows that
// are done: read the results.
func (j BulkJob) Err() *Error {
	switch j.State {
	case BulkAborted:
		return &Error{Class: ClassTransient, Reason: ReasonUnavailable, Code: string(BulkAborted), Detail: "the job was aborted in Salesforce"}
	case BulkFailed:
	default:
		return nil
	}
	if j.Operation == bulkQuery || j.Operation == bulkQueryAll {
		return queryFailure(j.Message)
	}
	name, text, _ := strings.Cut(j.Message, ":")
	name = strings.TrimSpace(name)
	v, known := bulkFailures[name]
	if !known {
		v = verdict{ClassUnknown, ReasonRejected, false}
	}
	return &Error{Class: v.class, Reason: v.reason, Split: v.split, Code: name, Detail: Scrub(strings.TrimSpace(text))}
}
