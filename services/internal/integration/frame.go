package integration

import (
	"fmt"
	"time"

	"cel.dev/cel-go/cel"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// Input is one resolved engagement with its personal data opened. The program reads it and keeps nothing.
type Input struct {
	// Resolved is the engagement and the people found in one org.
	Resolved *streamv1.Resolved
	// Viewer is the opened subject; nil or without an address when nobody knows who it was.
	Viewer *streamv1.PersonalData
	// Owner is the opened content owner; nil when unknown.
	Owner *streamv1.PersonalData
	// Language is the workspace's language, the second to last choice (XC-34).
	Language string
	// TimeZone is the workspace's zone (IANA), used when the action names none; may be empty.
	TimeZone string
	// HistoryURL leads to the viewer's history; it names the person by an opaque key only (IMM-24). May be empty.
	HistoryURL string
	// TraceID is the W3C trace id of the event; may be empty.
	TraceID string
}

// frame is the state of one evaluation: what paths and CEL read, and what the current action decided.
type frame struct {
	engagement    *streamv1.Engagement
	visit         *streamv1.Visit
	content       *streamv1.Content
	resolution    *streamv1.Resolution
	person        *streamv1.Person
	viewer, owner *streamv1.PersonalData
	historyURL    string
	traceID       string

	input    *Input
	language language
	zone     *time.Location
	// guessed is true when no setting named a zone that exists; reading the zone then warns.
	guessed  bool
	assigned assigned
	warnings []string
	parts    []string
	sheet    *sheet
}

func newFrame(in *Input) *frame {
	e := in.Resolved.GetEngagement()
	f := &frame{
		input:      in,
		engagement: e,
		visit:      e.GetVisit(),
		content:    e.GetContent(),
		resolution: in.Resolved.GetResolution(),
		person:     in.Resolved.GetResolution().GetPerson(),
		viewer:     in.Viewer,
		owner:      in.Owner,
		historyURL: in.HistoryURL,
		traceID:    in.TraceID,
		parts:      make([]string, 0, 24),
	}
	f.useZone(nil)
	return f
}

// useZone picks the zone: the action's, else the workspace's, else the org's, else UTC (IMM-25).
func (f *frame) useZone(action *time.Location) {
	f.zone, f.guessed = action, false
	for _, name := range [...]string{f.input.TimeZone, f.input.Resolved.GetOrgTimeZone()} {
		if f.zone != nil {
			return
		}
		if z, err := LoadZone(name); err == nil {
			f.zone = z
		}
	}
	if f.zone == nil {
		f.zone, f.guessed = time.UTC, true
	}
}

// localZone is the zone for days and dates.
func (f *frame) localZone() *time.Location {
	if f.guessed {
		f.warn("the org's time zone is not known; UTC was used")
		f.guessed = false
	}
	return f.zone
}

func (f *frame) warn(format string, args ...any) {
	f.warnings = append(f.warnings, fmt.Sprintf(format, args...))
}

// clean makes a value safe, and warns when it was not text.
func (f *frame) clean(s string, keepLines bool) string {
	cleaned, invalid := clean(s, keepLines)
	if invalid {
		f.warn("invalid UTF-8 was replaced")
	}
	return cleaned
}

// ResolveName hands CEL its variables.
func (f *frame) ResolveName(name string) (any, bool) {
	if r, ok := roots[name]; ok {
		return r.get(f).Interface(), true
	}
	if read, ok := plain[name]; ok {
		return read(f).text, true
	}
	return nil, false
}

// Parent is part of CEL's interface; there is none.
func (f *frame) Parent() cel.Activation { return nil }
