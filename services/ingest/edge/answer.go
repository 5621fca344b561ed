package edge

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/ingest/event"
	"github.com/throughline-dev/throughline/services/ingest/intake"
)

// Problem is the body of every answer that is not a success: application/problem+json (RFC 9457).
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Reason is a stable code; those of events are listed in docs/source-events.md.
	Reason string `json:"reason"`
	Detail string `json:"detail"`
	// ID is the event's id, as far as known.
	ID string `json:"id,omitempty"`
}

// Result says what became of one event.
type Result struct {
	// Index is the event's place in its batch, from 0.
	Index int    `json:"index"`
	ID    string `json:"id,omitempty"`
	// Status is ACCEPTED, SKIPPED or REJECTED.
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Summary is the body of the answer to a batch. Results lists the events that were not accepted; all others were.
type Summary struct {
	Accepted int      `json:"accepted"`
	Skipped  int      `json:"skipped"`
	Rejected int      `json:"rejected"`
	Results  []Result `json:"results,omitempty"`
}

func (s *Summary) add(index int, d *intake.Decision) {
	switch {
	case d.Accepted():
		s.Accepted++
		return
	case d.Rejected():
		s.Rejected++
	default:
		s.Skipped++
	}
	result := resultOf(d)
	result.Index = index
	s.Results = append(s.Results, result)
}

func resultOf(d *intake.Decision) Result {
	r := Result{ID: d.EventID, Status: "ACCEPTED"}
	if !d.Accepted() {
		r.Status, r.Reason, r.Detail = "SKIPPED", event.Code(d.Reason), d.Detail
	}
	if d.Rejected() {
		r.Status = "REJECTED"
	}
	return r
}

// Reasons of answers about a whole request.
const (
	reasonUnauthenticated = "UNAUTHENTICATED"
	reasonRateLimited     = "RATE_LIMITED"
	reasonOverloaded      = "OVERLOADED"
	reasonUnavailable     = "UNAVAILABLE"
	reasonUnsupported     = "UNSUPPORTED_MEDIA_TYPE"
	reasonBadRequest      = "BAD_REQUEST"
	reasonTooLarge        = "TOO_LARGE"
)

func refuse(w http.ResponseWriter, status int, reason, detail string) {
	problem(w, Problem{Status: status, Reason: reason, Detail: detail})
}

func retryAfter(w http.ResponseWriter, wait time.Duration) {
	seconds := int64((wait + time.Second - 1) / time.Second)
	w.Header().Set("Retry-After", strconv.FormatInt(max(seconds, 1), 10))
}

// refuseEvent answers for a single event that was rejected.
func refuseEvent(w http.ResponseWriter, d *intake.Decision) {
	status := http.StatusBadRequest
	switch d.Reason {
	case streamv1.Reason_REASON_TOO_LARGE:
		status = http.StatusRequestEntityTooLarge
	case streamv1.Reason_REASON_BAD_TENANT:
		status = http.StatusForbidden
	}
	problem(w, Problem{Status: status, Reason: event.Code(d.Reason), Detail: d.Detail, ID: d.EventID})
}

func problem(w http.ResponseWriter, p Problem) { p.Write(w) }

// Write answers a request with the problem.
func (p Problem) Write(w http.ResponseWriter) {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	write(w, p.Status, "application/problem+json", p)
}

func write(w http.ResponseWriter, status int, contentType string, body any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	// The client may be gone; there is nobody to tell.
	_ = json.NewEncoder(w).Encode(body)
}
