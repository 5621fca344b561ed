package bulk

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strconv"

	"github.com/throughline-dev/throughline/services/simulator/internal/journal"
	"github.com/throughline-dev/throughline/services/simulator/internal/org"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

// Part is one of the three result files of an ingest job.
type Part string

// The parts, as they stand in addresses.
const (
	Successful  Part = "successfulResults"
	FailedRows  Part = "failedResults"
	Unprocessed Part = "unprocessedrecords"
)

// Results writes a part of a finished job's results as CSV, in an order of its own, and returns how many rows it has.
func (s *Store) Results(id string, part Part) ([]byte, int, *Error) {
	s.mu.Lock()
	w, err := s.find(Ingest, id)
	if err == nil && !w.State.Final() {
		err = notFinished()
	}
	if err != nil {
		s.mu.Unlock()
		return nil, 0, err
	}
	job, num, data, outcomes := w.Job, w.num, w.data, w.outcomes
	s.mu.Unlock()
	sh, _ := readSheet(&job, data) // why the job failed is in the job; its rows are here all the same
	var out bytes.Buffer
	csv := newWriter(&job, &out)
	n := 0
	if part == Unprocessed {
		csv.write(sh.header...)
		for _, line := range sh.rows[min(len(outcomes), len(sh.rows)):] {
			csv.write(line.cells...)
			n++
		}
		return out.Bytes(), n, nil
	}
	second := map[Part]string{Successful: "sf__Created", FailedRows: "sf__Error"}[part]
	csv.write(append([]string{"sf__Id", second}, sh.header...)...)
	// Salesforce does not promise the order of the input: this is another, and the same at every call.
	for _, i := range rand.New(rand.NewPCG(num, 0xb01c)).Perm(len(outcomes)) {
		o := &outcomes[i]
		if (o.Error != "") != (part == FailedRows) {
			continue
		}
		value := o.Error
		if part == Successful {
			value = strconv.FormatBool(o.Created)
		}
		csv.write(append([]string{o.ID, value}, sh.rows[i].cells...)...)
		n++
	}
	return out.Bytes(), n, nil
}

func notFinished() *Error {
	return refuse("INVALIDJOBSTATE", "The job is not finished: its results can be had in the states JobComplete, Failed and Aborted")
}

// answer is the result of a query job.
type answer struct {
	Header []string
	Rows   [][]string
}

// query runs a query job, and returns why it fails, or "".
func (s *Store) query(ctx context.Context, w *work, j *Job, caller org.Caller) string {
	if reason := s.trouble(ctx, ""); reason != "" {
		return reason
	}
	s.Writer.Wait(ctx)
	parsed, err := soql.Parse(j.Query)
	if err != nil {
		return refusedQuery(err)
	}
	res := &answer{}
	var failed error
	err = s.Org.View(ctx, func() {
		env := s.Org.Query(caller, "")
		env.Deleted = j.Operation == "queryAll"
		res.Header, res.Rows, failed = env.Sheet(parsed)
	})
	if err != nil || ctx.Err() != nil {
		return cutShort
	}
	if failed != nil {
		return refusedQuery(failed)
	}
	value, err := json.Marshal(res)
	if err != nil {
		return "Unknown : " + err.Error()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.State.Final() {
		return cutShort
	}
	w.result, w.Processed = res, len(res.Rows)
	if _, err := s.Org.Keep([]journal.Entry{{Key: s.jobKey(w.ID) + partResult, Value: value}}, nil); err != nil {
		return cutShort
	}
	return ""
}

// refusedQuery is the text of a job whose query Salesforce does not run: the code stands inside.
func refusedQuery(err error) string {
	code := ""
	if refused := new(soql.Error); errors.As(err, &refused) {
		code = refused.Code + ": "
	}
	return "InvalidBatch : Failed to process query: " + code + err.Error()
}

// Page is a part of a query job's result. Next is the locator of what follows, empty at the end.
type Page struct {
	CSV     []byte
	Records int
	Next    string
}

// maxPage is how many records a page of a query's result has at most.
const maxPage = 50_000

// QueryResults writes up to n records from the locator on; n of 0 leaves the number to the org.
func (s *Store) QueryResults(id, locator string, n int) (Page, *Error) {
	s.mu.Lock()
	w, err := s.find(Query, id)
	if err == nil && (w.State != JobComplete || w.result == nil) {
		err = notFinished()
	}
	if err != nil {
		s.mu.Unlock()
		return Page{}, err
	}
	job, res := w.Job, w.result
	s.mu.Unlock()
	from := 0
	if locator != "" {
		plain, bad := base64.RawURLEncoding.DecodeString(locator)
		at, malformed := strconv.Atoi(string(plain))
		if bad != nil || malformed != nil || at < 0 || at > len(res.Rows) {
			return Page{}, refuse("INVALID_QUERY_LOCATOR", "invalid query locator: "+locator)
		}
		from = at
	}
	if n <= 0 || n > maxPage {
		n = maxPage
	}
	to := min(from+n, len(res.Rows))
	var out bytes.Buffer
	csv := newWriter(&job, &out)
	csv.write(res.Header...)
	for _, row := range res.Rows[from:to] {
		csv.write(row...)
	}
	page := Page{CSV: out.Bytes(), Records: to - from}
	if to < len(res.Rows) {
		page.Next = base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(to)))
	}
	return page, nil
}
