package visit

import (
	"time"

	"github.com/throughline-dev/throughline/services/visits/ranges"
)

// Action is what happened in an activity.
type Action uint8

// The actions.
const (
	ActionNone Action = iota
	ActionVideoStarted
	ActionVideoProgress
	ActionVideoEnded
	ActionClicked
	ActionDocumentOpened
	ActionPageViewed
	ActionDocumentClosed
)

// Ends reports whether the action is an explicit close.
func (a Action) Ends() bool { return a == ActionVideoEnded || a == ActionDocumentClosed }

// Activity is one raw fact. Its byte slices are borrowed from the record it was read from.
type Activity struct {
	EventID, Workspace, Session []byte
	// EventHash stands for EventID in Visit.Seen.
	EventHash uint64
	// Offset in the activities topic, and Arrival, the broker's time of the record.
	Offset  int64
	Arrival time.Time
	// TraceParent is the record's trace context.
	TraceParent []byte
	// At is when it happened, by the producer's clock.
	At               time.Time
	SettingsRevision int64
	// Bulk: a replay fed it.
	Bulk bool

	Content ContentView
	Subject SubjectView

	Action Action
	// Ranges of ActionVideoProgress, in any order.
	Ranges []ranges.Range
	// Completed of ActionVideoEnded.
	Completed bool
	// Label and URL of ActionClicked.
	Label, URL []byte
	// Page of ActionPageViewed and ActionDocumentClosed, 0 is unknown; DwellSeconds of ActionPageViewed.
	Page         uint32
	DwellSeconds float64
	// Registration is a stream.v1.Registration, of an activity that tells of one; such an activity belongs to no visit.
	Registration []byte
}

// ContentView is a Content whose texts are borrowed.
type ContentView struct {
	ID, Title, URL, OwnerKey, OwnerSealed []byte
	Kind                                  Kind
	LengthSeconds                         float64
	PageCount                             uint32
	PublishedAt                           time.Time
}

// SubjectView is a Subject whose texts are borrowed.
type SubjectView struct {
	PersonKey, Sealed []byte
	Evidence          Evidence
}

// Reset empties a and keeps its memory.
func (a *Activity) Reset() { *a = Activity{Ranges: a.Ranges[:0]} }

// Limits bound what one visit remembers (promise 7).
type Limits struct {
	// EventIDs is the most events whose repetition is recognised; beyond it the oldest can count twice.
	EventIDs int `yaml:"event_ids"`
	// Ranges is the most disjoint stretches; beyond it the smallest gaps count as watched.
	Ranges int `yaml:"ranges"`
	// Clicks is the most clicks whose times are kept to tell double clicks that arrive out of order.
	Clicks int `yaml:"clicks"`
	// Pages is the most pages with a time of their own; further pages count in the sum only.
	Pages int `yaml:"pages"`
}

// DefaultLimits returns limits that no real visit reaches.
func DefaultLimits() Limits {
	return Limits{EventIDs: 1024, Ranges: 256, Clicks: 64, Pages: 1024}
}
