package integration

import (
	"fmt"
	"time"

	"cel.dev/cel-go/cel"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
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
	// Registrant is what a registration says of its person; nil for a view.
	Registrant *streamv1.Registrant
	// Language is the workspace's language, the second to last choice (XC-34).
	Language string
	// TimeZone is the workspace's zone (IANA), used when the action names none; may be empty.
	TimeZone string
	// ZoneRule is the workspace's, used when the action has none.
	ZoneRule configv1.ZoneRule
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
	registrant    *streamv1.Registrant
	historyURL    string
	traceID       string

	input    *Input
	language language
	zone     *time.Location
	// fixedZone is zone without regard to who is assigned.
	fixedZone *time.Location
	// guessed is true when no setting named a zone that exists; reading the zone then warns.
	guessed bool
	// ofAssignee is true when the assignee's own zone is wanted.
	ofAssignee bool
	assigned   assigned
	warnings   []string
	parts      []string
	sheet      *sheet
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
		registrant: in.Registrant,
		historyURL: in.HistoryURL,
		traceID:    in.TraceID,
		parts:      make([]string, 0, 24),
	}
	f.useZone(nil)
	return f
}

// useZone picks the zone for days and dates: the action's, else the workspace's, else the org's, else UTC (IMM-25). a may
// be nil, for what is no action's.
func (f *frame) useZone(a *action) {
	var rule configv1.ZoneRule
	f.zone, f.guessed = nil, false
	if a != nil {
		f.zone, rule = a.zone, a.spec.GetAssignment().GetZoneRule()
	}
	if rule == configv1.ZoneRule_ZONE_RULE_UNSPECIFIED && f.zone == nil {
		rule = f.input.ZoneRule
	}
	if rule != configv1.ZoneRule_ZONE_RULE_ORG {
		f.tryZone(f.input.TimeZone)
	}
	f.tryZone(f.input.Resolved.GetOrgTimeZone())
	if f.zone == nil {
		f.zone, f.guessed = time.UTC, true
	}
	f.fixedZone, f.ofAssignee = f.zone, rule == configv1.ZoneRule_ZONE_RULE_ASSIGNEE
}

// tryZone uses a zone if there is none yet and the name is one.
func (f *frame) tryZone(name string) {
	if f.zone != nil {
		return
	}
	if z, err := LoadZone(name); err == nil {
		f.zone = z
	}
}

// useAssigneesZone replaces the zone by the assignee's own where that is wanted and known.
func (f *frame) useAssigneesZone() {
	if !f.ofAssignee {
		return
	}
	if z, err := LoadZone(f.assigned.timeZone); err == nil {
		f.zone, f.guessed = z, false
		return
	}
	f.warn("the assignee's time zone is not known; %s was used", f.zone)
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
