package trace

import (
	"time"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// Place is where a record lies in Kafka, and when it was written there.
type Place struct {
	Topic       string    `json:"topic"`
	Partition   int       `json:"partition"`
	Offset      int64     `json:"offset"`
	Written     time.Time `json:"written"`
	TraceParent string    `json:"traceparent,omitempty"`
	// ID is the record's CloudEvents id.
	ID string `json:"id,omitempty"`
}

// Journey is the whole way of one event. Parts the event never reached are empty.
type Journey struct {
	Workspace string
	EventID   string
	// Activity is the event as ingest accepted it; nil when it was refused or not found.
	Activity      *streamv1.Activity
	ActivityPlace Place
	// Visits holds the first revision that contains the event and, if it is another one, the newest.
	Visits []VisitStep
	// Engagements, Resolved and Writes likewise: what the event caused first, and what stands now.
	Engagements []EngagementStep
	Resolved    []ResolvedStep
	Writes      []WriteStep
	// Dead is what was given up on the way, oldest first, also if it has been replayed since.
	Dead []DeadStep
	// Outcomes is what became of the event, its visit and its writes, oldest first.
	Outcomes []*streamv1.Outcome
	// RunLogAway is set when config could not be asked for outcomes: there may be some.
	RunLogAway bool
}

// VisitStep is a visit revision and where it lies.
type VisitStep struct {
	Visit *streamv1.Visit
	Place Place
}

// EngagementStep is an engagement revision and where it lies.
type EngagementStep struct {
	Engagement *streamv1.Engagement
	Place      Place
}

// ResolvedStep is a resolution and where it lies.
type ResolvedStep struct {
	Resolved *streamv1.Resolved
	Place    Place
}

// WriteStep is a write and where it lies. Its fields stay sealed.
type WriteStep struct {
	Write *streamv1.Write
	Place Place
}

// Found reports whether anything is known of the event.
func (j *Journey) Found() bool { return j.Activity != nil || len(j.Outcomes) > 0 }
