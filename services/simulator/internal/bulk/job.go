package bulk

import (
	"net/http"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
)

// Kind is what a job is for.
type Kind string

// The kinds, as they stand in addresses.
const (
	Ingest Kind = "ingest"
	Query  Kind = "query"
)

// State is how far a job has come.
type State string

// The states, in Salesforce's spelling.
const (
	Open           State = "Open"
	UploadComplete State = "UploadComplete"
	InProgress     State = "InProgress"
	JobComplete    State = "JobComplete"
	Failed         State = "Failed"
	Aborted        State = "Aborted"
)

// Final reports whether a job in this state changes no more.
func (s State) Final() bool { return s == JobComplete || s == Failed || s == Aborted }

// Limits from "Bulk API and Bulk API 2.0 Limits and Allocations".
const (
	// MaxUpload is how many bytes one job takes, MaxMultipart how many characters the content of a multipart request may have.
	MaxUpload    = 150 << 20
	MaxMultipart = 100_000
	// ChunkSize is how many rows are written in one transaction, BatchSize how many count as one batch.
	ChunkSize = 200
	BatchSize = 10_000
	// Batches and Queries are the batches and the query jobs of 24 hours.
	Batches = 15_000
	Queries = 10_000

	maxHeader  = 32_000 // characters
	maxColumns = 5_000
	maxField   = 131_072 // characters
	maxRecord  = 400_000 // characters
	// openFor is how long a job may wait for its data, keptFor how long jobs and results can be had.
	openFor = 24 * time.Hour
	keptFor = 7 * 24 * time.Hour
)

// Limits of the simulator itself: how many jobs an org keeps — one more ends the oldest that is finished — and how many
// run at once.
const (
	maxJobs    = 10_000
	maxRunning = 4
)

// Job is one job as clients see it. Copies are safe to keep.
type Job struct {
	ID         string
	Kind       Kind
	Version    int // of the API that made it
	Operation  string
	Object     string
	Query      string
	ExternalID string `json:",omitempty"` // the field that finds the records of an upsert
	Rule       string `json:",omitempty"` // assignment rule; it does nothing
	LineEnding string
	Delimiter  string
	User       string
	Origin     string `json:",omitempty"` // of its changes, see org.Caller
	State      State
	Error      string `json:",omitempty"`
	Created    time.Time
	Modified   time.Time
	Uploaded   bool
	Again      bool `json:",omitempty"` // data came more than once, so that the job cannot be closed
	// Took is the time that the rows of a finished job took.
	Took time.Duration
	// Processed and Failed count rows; they follow from the results and are not stored.
	Processed int `json:"-"`
	Failed    int `json:"-"`
}

// Outcome is what became of one row.
type Outcome struct {
	ID      string `json:"i,omitempty"`
	Created bool   `json:"c,omitempty"`
	Error   string `json:"e,omitempty"`
}

// Error is a refused request. Code is one of the names in "Errors" of the Bulk API 2.0 guide, in upper case.
type Error struct {
	Status  int
	Code    string
	Message string
}

// Error returns code and message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

func refuse(code, message string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: message}
}

func unknownJob() *Error {
	return &Error{Status: http.StatusNotFound, Code: "NOT_FOUND", Message: "The requested resource does not exist"}
}

// unavailable says that something could not be stored; the client does not know what became of its request.
func unavailable() *Error {
	return &Error{Status: http.StatusServiceUnavailable, Code: "SERVER_UNAVAILABLE", Message: "Server Unavailable"}
}

// prefix begins the ids of jobs.
const prefix = "750"

func newID(orgID string, n uint64) string { return sfid.New(prefix, orgID[3:6], n) }

// work is a job with what belongs to it. The store's mutex guards it.
type work struct {
	Job
	num      uint64
	data     string // the upload
	outcomes []Outcome
	result   *answer // of a query job
	stop     func()  // ends the run; nil when there is none
}

func (w *work) add(outcomes []Outcome) {
	w.outcomes = append(w.outcomes, outcomes...)
	w.Processed += len(outcomes)
	for i := range outcomes {
		if outcomes[i].Error != "" {
			w.Failed++
		}
	}
}
