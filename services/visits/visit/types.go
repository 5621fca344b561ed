package visit

import (
	"time"

	"github.com/throughline-dev/throughline/services/visits/ranges"
)

// Kind tells a video from a document.
type Kind int32

// The kinds, with the numbers they have in the stream.
const (
	KindUnknown Kind = iota
	KindVideo
	KindDocument
)

// Evidence says how an address is known. The numbers are those of the stream: unknown counts as the weakest.
type Evidence int32

// The kinds of evidence.
const (
	EvidenceUnknown Evidence = iota
	EvidenceSignedIn
	EvidenceAsked
	EvidenceLink
)

// strength is larger for stronger evidence (LOOM-25).
func (e Evidence) strength() int {
	switch e {
	case EvidenceSignedIn:
		return 3
	case EvidenceAsked:
		return 2
	case EvidenceUnknown, EvidenceLink:
		return 1
	}
	return 1
}

// Cause says why a visit was closed.
type Cause int32

// The causes, with the numbers they have in the stream.
const (
	CauseNone Cause = iota
	CauseExplicit
	CauseSilence
)

// Subject is whom a visit is about; the zero value is nobody known.
type Subject struct {
	// PersonKey is the keyed hash that decides equality; "" while anonymous.
	PersonKey string
	// Sealed is the personal data, sealed; never opened here.
	Sealed []byte
	// Evidence is how the address is known.
	Evidence Evidence
}

// Known reports whether there is a person.
func (s Subject) Known() bool { return s.PersonKey != "" }

// Content is what was looked at. An activity may leave out what it does not know.
type Content struct {
	ID, Title, URL string
	Kind           Kind
	// LengthSeconds of a video, PageCount of a document; 0 is unknown.
	LengthSeconds float64
	PageCount     uint32
	// OwnerKey is the keyed hash of the owner's address, OwnerSealed the owner's personal data.
	OwnerKey    string
	OwnerSealed []byte
	PublishedAt time.Time
}

// Clicks sums up clicks on calls to action.
type Clicks struct {
	// Count is the number of clicks, double clicks counted once.
	Count uint32
	// Label, URL and At are those of the latest click.
	Label, URL string
	At         time.Time
	// Times of the remembered clicks in milliseconds since 1970, ascending, double clicks included.
	Times []int64
}

// PageDwell is the active time on one page.
type PageDwell struct {
	Page  uint32
	Dwell time.Duration
}

// Visit is one visit and what must be remembered of it. Its byte slices may be borrowed from the activities applied; who
// keeps a Visit longer than those encodes it first.
type Visit struct {
	ID, Workspace, Session string

	Content Content
	Subject Subject
	// SubjectAt is when the evidence for Subject occurred.
	SubjectAt time.Time

	StartedAt, LastActivityAt time.Time
	// Closing is true while the latest activity is an explicit close.
	Closing bool
	Closed  bool
	Cause   Cause

	Ranges  ranges.Set
	Watched time.Duration
	// Completed is true once the player said that it reached the end.
	Completed bool
	Clicks    Clicks

	// Pages in ascending order.
	Pages      []PageDwell
	Dwell      time.Duration
	ExitPage   uint32
	ExitPageAt time.Time

	Activities                uint32
	FirstEventID, LastEventID []byte
	// TraceParent is that of the last activity applied.
	TraceParent      []byte
	SettingsRevision int64

	// AppliedOffset is that of the last activity applied.
	AppliedOffset int64
	// Seen are the hashes of the events applied, oldest first.
	Seen []uint64
	// LastArrival is when the last activity arrived, by the broker's time.
	LastArrival time.Time
	// SentRevision is the revision the present subject got last, -1 for none, at SentAt.
	SentRevision int64
	SentAt       time.Time
	// Skipped is true once it was said that nobody is known: by an outcome, or by a revision without a subject.
	Skipped bool
	// ToldUnknown is true once a revision without a subject was sent (IMM-36).
	ToldUnknown bool
	// Bulk: a replay fed the latest activity; nobody waits for what is written of it.
	Bulk bool
	// FirstClosedAt is the closing time of the first closed revision; zero while there was none.
	FirstClosedAt time.Time
}

// Reset makes v a new visit without activities and keeps its memory.
func (v *Visit) Reset(id, workspace, session string) {
	*v = Visit{
		ID: id, Workspace: workspace, Session: session,
		Ranges: v.Ranges[:0], Pages: v.Pages[:0], Seen: v.Seen[:0],
		Clicks:        Clicks{Times: v.Clicks.Times[:0]},
		AppliedOffset: -1, SentRevision: -1,
	}
}

// Revision grows with every activity applied and with every closing: 2 × (offset of the last activity + 1), plus 1
// when closed. It depends on nothing but what was applied, so a replay comes to the same numbers.
func (v *Visit) Revision() int64 {
	r := 2 * (v.AppliedOffset + 1)
	if v.Closed {
		r++
	}
	return r
}

// Percent returns the share of the content watched, 0 to 100; 0 while the length is unknown.
func (v *Visit) Percent() float64 { return v.Ranges.Percent(v.Content.LengthSeconds) }

// CountsAsView reports whether the visit is a view by the rules (LOOM-27).
func (v *Visit) CountsAsView(r Rules) bool {
	if v.Content.Kind == KindDocument {
		return v.Dwell.Seconds() >= r.ViewSeconds
	}
	length := v.Content.LengthSeconds
	if length <= 0 {
		return v.Watched.Seconds() >= r.ViewSeconds
	}
	if v.Completed || v.Percent() >= r.ViewPercent {
		return true
	}
	return length >= r.ViewSeconds && v.Watched.Seconds() >= r.ViewSeconds
}
