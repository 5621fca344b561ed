package salesforce

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// maxSOQL is the most characters of a query in a body. Source: Salesforce Developer Limits Quick Reference, "SOQL and SOSL
// Limits for Search Queries".
const maxSOQL = 100_000

// BulkQueryConfig says how query jobs are waited for and read.
type BulkQueryConfig struct {
	// PollMin is the time between the first two looks at a job, PollMax the longest between two; each look is a call.
	PollMin time.Duration `yaml:"poll_min"`
	PollMax time.Duration `yaml:"poll_max"`
	// Wait is how long one AwaitBulkQuery waits in all.
	Wait time.Duration `yaml:"wait"`
	// Page is how many records are asked for at a time; one page is held in memory, and is at most max_response_bytes.
	Page int `yaml:"page"`
}

func (c BulkQueryConfig) validate() error {
	switch {
	case c.PollMin <= 0:
		return errors.New("bulk_query.poll_min: must be above 0")
	case c.PollMax < c.PollMin:
		return errors.New("bulk_query.poll_max: must not be below poll_min")
	case c.Wait <= 0 || c.Wait > 7*24*time.Hour:
		return errors.New("bulk_query.wait: must be above 0 and at most 168h, for which Salesforce keeps a job")
	case c.Page < 1:
		return errors.New("bulk_query.page: must be at least 1")
	}
	return nil
}

// BulkQueryRequest describes a query job.
type BulkQueryRequest struct {
	// SOQL is the query, up to 100,000 characters, without GROUP BY, OFFSET, TYPEOF, aggregate functions, subqueries and
	// compound fields. Source: Bulk API 2.0 and Bulk API Developer Guide, "Bulk API 2.0 Query".
	SOQL string
	// All asks for deleted, merged and archived records too; ask for IsDeleted to tell them apart.
	All bool
}

// CreateBulkQuery makes a query job, which begins by itself. It changes no data, so no error of it is Ambiguous: a job whose
// answer was lost runs to its end for nobody, and costs one of the 10,000 query jobs of 24 hours. Needs API 47.0. Source: Bulk
// API 2.0 and Bulk API Developer Guide, "Create a Query Job"; Limits Quick Reference, "Bulk API and Bulk API 2.0 Limits and
// Allocations".
func (c *Client) CreateBulkQuery(ctx context.Context, req BulkQueryRequest) (BulkJob, error) {
	switch {
	case strings.TrimSpace(req.SOQL) == "":
		return BulkJob{}, badRequest("no query")
	case len(req.SOQL) > maxSOQL && utf8.RuneCountInString(req.SOQL) > maxSOQL:
		e := badRequest("the query has more than 100,000 characters; ask for fewer keys at a time")
		e.Split = true
		return BulkJob{}, e
	}
	operation := bulkQuery
	if req.All {
		operation = bulkQueryAll
	}
	r := &call{method: http.MethodPost, path: "/jobs/query", template: "/jobs/query", reads: true}
	job, err := c.bulkJob(ctx, r, map[string]string{
		"operation": operation, "query": req.SOQL, "contentType": "CSV", "lineEnding": "LF", "columnDelimiter": "COMMA",
	})
	return job, bulkNames(err)
}

// The operations of query jobs.
const (
	bulkQuery    = "query"
	bulkQueryAll = "queryAll"
)

// BulkQuery tells where a query job stands. See IsBulkQueryGone.
func (c *Client) BulkQuery(ctx context.Context, id string) (BulkJob, error) {
	if id == "" {
		return BulkJob{}, errNoJob()
	}
	job, err := c.bulkJob(ctx, bulkQueryCall(http.MethodGet, id), nil)
	return job, bulkQueryError(err)
}

// AbortBulkQuery ends a query job; there are no results then. A job that has ended already is refused with INVALIDJOBSTATE.
func (c *Client) AbortBulkQuery(ctx context.Context, id string) (BulkJob, error) {
	if id == "" {
		return BulkJob{}, errNoJob()
	}
	job, err := c.bulkJob(ctx, bulkQueryCall(http.MethodPatch, id), map[string]string{"state": string(BulkAborted)})
	return job, bulkQueryError(err)
}

// DeleteBulkQuery removes an ended query job with its results, which count towards the org's space for them until then. One
// that is gone already is no error. Source: Bulk API 2.0 and Bulk API Developer Guide, "Delete a Query Job".
func (c *Client) DeleteBulkQuery(ctx context.Context, id string) error {
	if id == "" {
		return errNoJob()
	}
	_, _, err := c.do(ctx, bulkQueryCall(http.MethodDelete, id))
	if err = bulkQueryError(err); IsBulkQueryGone(err) {
		return nil
	}
	return err
}

// AwaitBulkQuery waits until a query job has ended, for Config.BulkQuery.Wait at most, and returns it with what Err says of it:
// nil only when its results can be read. ClassTransient errors of single looks are waited out; any other ends the wait at once.
// A job that has not ended in time is CodeTimeout: it goes on, so wait again or abort it.
func (c *Client) AwaitBulkQuery(ctx context.Context, id string) (BulkJob, error) {
	var last BulkJob
	cfg := c.cfg.BulkQuery
	limit, wait := c.clock.Now().Add(cfg.Wait), cfg.PollMin
	for {
		job, err := c.BulkQuery(ctx, id)
		switch {
		case err == nil && job.State.Ended():
			if e := job.Err(); e != nil {
				return job, e
			}
			return job, nil
		case err == nil:
			last = job
		case ctx.Err() != nil || ClassOf(err) != ClassTransient || IsBulkQueryGone(err):
			return last, err
		}
		left := limit.Sub(c.clock.Now())
		if left <= 0 { // Promise 7
			return last, &Error{
				Class: ClassTransient, Reason: ReasonUnavailable, Code: CodeTimeout,
				Detail: "the query job has not ended within bulk_query.wait; wait again, or abort it",
			}
		}
		if err := pause(ctx, min(wait, left)); err != nil {
			return last, err
		}
		wait = min(wait*3/2, cfg.PollMax)
	}
}

// pause waits, and returns an error when ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return transportError(ctx, ctx.Err(), false)
	}
}

// IsBulkQueryGone reports whether there is no use in asking this query job again: it was deleted or is older than seven days, its
// locator is unknown, or it was made with another api_version. Begin with a new job. Source: Bulk API 2.0 and Bulk API Developer
// Guide, "Get Results for a Query Job".
func IsBulkQueryGone(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.jobGone()
}

func (e *Error) jobGone() bool {
	return e.Status == http.StatusConflict || e.Code == "INVALID_QUERY_LOCATOR" ||
		(e.Status == http.StatusNotFound && e.Code == "NOT_FOUND")
}

func bulkQueryCall(method, id string) *call {
	return &call{
		method: method, path: "/jobs/query/" + url.PathEscape(id), template: "/jobs/query/{id}", api: apiBulk, reads: true,
	}
}

// errNoJob refuses an empty id, which would make the address of a job that of all jobs.
func errNoJob() *Error { return badRequest("no job") }

// bulkQueryError reads an error as one about a query job that was made before: a missing job is not a missing field.
func bulkQueryError(err error) error {
	var e *Error
	if errors.As(err, &e) && e.jobGone() {
		e.Class, e.Reason, e.Detail = ClassTransient, ReasonUnavailable, "the query job or its results are gone; make another job"
	}
	return bulkNames(err)
}

// bulkNames classifies the names of job-level errors, which come in capitals when a request meets them.
func bulkNames(err error) error {
	var e *Error
	if errors.As(err, &e) && e.Class == ClassUnknown {
		for name, v := range bulkFailures {
			if strings.ToUpper(name) == e.Code {
				e.Class, e.Reason, e.Split = v.class, v.reason, v.split
			}
		}
	}
	return err
}

var codeLike = regexp.MustCompile(`[A-Z]+(?:_[A-Z]+)+`)

// queryFailure classifies why a query job failed: by the code that Salesforce puts into the text, as in "InvalidBatch : Failed to
// process query: INVALID_FIELD: …", else by the job-level name.
func queryFailure(message string) *Error {
	for _, code := range codeLike.FindAllString(message, -1) {
		if _, known := codeTable[code]; known {
			_, text, _ := strings.Cut(message, code)
			return newError(0, code, strings.TrimLeft(text, " :"), nil)
		}
	}
	name, text, _ := strings.Cut(message, ":")
	name = strings.TrimSpace(name)
	v, known := bulkFailures[name]
	if !known {
		v = verdict{ClassUnknown, ReasonRejected, false}
	}
	return &Error{Class: v.class, Reason: v.reason, Split: v.split && name == "Timeout", Code: name, Detail: Scrub(strings.TrimSpace(text))}
}
