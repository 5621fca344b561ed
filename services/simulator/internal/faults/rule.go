package faults

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Action is what befalls a request.
type Action string

// The actions.
const (
	// Status answers with Status and a Salesforce error array (Code, Message), or with Body when it is set.
	Status Action = "status"
	// Maintenance answers 503 with an HTML page.
	Maintenance Action = "maintenance"
	// DropBefore closes the connection without an answer; the request has no effect.
	DropBefore Action = "drop_before"
	// DropAfter closes the connection after the request has taken effect.
	DropAfter Action = "drop_after"
	// Delay lets the request wait before it takes effect.
	Delay Action = "delay"
	// ExpireSession revokes the token that the request carries, so that it and the following fail with INVALID_SESSION_ID.
	ExpireSession Action = "expire_session"
	// QuotaExceeded answers 403 REQUEST_LIMIT_EXCEEDED.
	QuotaExceeded Action = "quota_exceeded"
	// RowError refuses single records of a write with Code and Message.
	RowError Action = "row_error"
	// LockRow refuses single records of a write with UNABLE_TO_LOCK_ROW.
	LockRow Action = "lock_row"
	// FailJob lets a bulk job fail before its next chunk with Code and Message: rows done stay done, the others are
	// unprocessed. SlowJob lets it wait before its next chunk.
	FailJob Action = "fail_job"
	SlowJob Action = "slow_job"
	// GapEvent lets single changes give a gap event only, or with Code GAP_OVERFLOW an overflow event.
	GapEvent Action = "gap_event"
)

// Rule is one scripted fault. Empty conditions match everything.
type Rule struct {
	// ID names the rule in statistics and for deletion; one is made when it is empty.
	ID string `yaml:"id,omitempty" json:"id"`
	// Org is the org's key. Route is a route as listed in docs/simulator.md, with * as wildcard: "collections.*" is
	// "collections" and all that begins with "collections.".
	Org    string `yaml:"org,omitempty" json:"org,omitempty"`
	Route  string `yaml:"route,omitempty" json:"route,omitempty"`
	Object string `yaml:"object,omitempty" json:"object,omitempty"`
	Method string `yaml:"method,omitempty" json:"method,omitempty"`

	// Nth lists which matches are hit, counted from 1; Every hits each n-th; Probability hits by seeded chance. At most
	// one of them; none hits all. For row actions they choose among records, for job
	// actions among chunks of 200 rows, not requests.
	Nth         []int   `yaml:"nth,omitempty" json:"nth,omitempty"`
	Every       int     `yaml:"every,omitempty" json:"every,omitempty"`
	Probability float64 `yaml:"probability,omitempty" json:"probability,omitempty"`
	Seed        uint64  `yaml:"seed,omitempty" json:"seed,omitempty"`
	// Times ends the rule after so many hits. From and Until limit it to a span of the simulator's clock.
	Times int       `yaml:"times,omitempty" json:"times,omitempty"`
	From  time.Time `yaml:"from,omitempty" json:"from,omitzero"`
	Until time.Time `yaml:"until,omitempty" json:"until,omitzero"`

	Action Action `yaml:"action" json:"action"`
	// Status, Code, Message and Body fill the answer. Wait is how long a delay lasts, and how long a dropped connection
	// hangs before it is closed.
	Status  int    `yaml:"status,omitempty" json:"status,omitempty"`
	Code    string `yaml:"code,omitempty" json:"code,omitempty"`
	Message string `yaml:"message,omitempty" json:"message,omitempty"`
	Body    string `yaml:"body,omitempty" json:"body,omitempty"`
	// Location is where an answer of status 3xx sends the client.
	Location string        `yaml:"location,omitempty" json:"location,omitempty"`
	Wait     time.Duration `yaml:"wait,omitempty" json:"wait,omitempty"`
}

// Validate checks the rule. Errors name the key.
func (r *Rule) Validate() error {
	known := []Action{Status, Maintenance, DropBefore, DropAfter, Delay, ExpireSession, QuotaExceeded, RowError, LockRow, FailJob, SlowJob, GapEvent}
	if !slices.Contains(known, r.Action) {
		return fmt.Errorf("action: %q is not one of %v", r.Action, known)
	}
	if r.Action == Status && (r.Status < 300 || r.Status > 599) {
		return fmt.Errorf("status: %d is not from 300 to 599", r.Status)
	}
	if r.Location != "" && (r.Action != Status || r.Status > 399) {
		return errors.New("location: belongs to a status of 300 to 399")
	}
	if (r.Action == Delay || r.Action == SlowJob) && r.Wait <= 0 {
		return fmt.Errorf("wait: must be above 0 for %s", r.Action)
	}
	if r.Action == RowError && r.Code == "" {
		return errors.New("code: must not be empty for a row error")
	}
	if r.Action == GapEvent && r.Code != "" && r.Code != "GAP_OVERFLOW" {
		return errors.New("code: must be GAP_OVERFLOW or empty for a gap event")
	}
	if r.Probability < 0 || r.Probability > 1 {
		return fmt.Errorf("probability: %v is not from 0 to 1", r.Probability)
	}
	chosen := 0
	for _, set := range []bool{len(r.Nth) > 0, r.Every > 0, r.Probability > 0} {
		if set {
			chosen++
		}
	}
	if chosen > 1 {
		return errors.New("nth: only one of nth, every and probability may be set")
	}
	return r.validateRoute()
}

// rows reports whether the rule hits records rather than requests.
func (r *Rule) rows() bool { return r.Action == RowError || r.Action == LockRow }

// events reports whether the rule hits change events rather than requests.
func (r *Rule) events() bool { return r.Action == GapEvent }

// chunks reports whether the rule hits the chunks of bulk jobs rather than requests.
func (r *Rule) chunks() bool { return r.Action == FailJob || r.Action == SlowJob }
