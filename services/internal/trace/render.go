package trace

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

// Step is one line of a journey as a person reads it.
type Step struct {
	// At is when it was written, After how long after the first step that was.
	At    time.Time
	After time.Duration
	Stage string
	What  string
	// Where is topic/partition@offset; empty for an outcome.
	Where  string
	Detail []string
}

// Render prints the journey for a person: one row per step in order of time, each with how long after the event it was.
func (j *Journey) Render(w io.Writer) {
	if j.RunLogAway {
		defer fmt.Fprintln(w, "The config service does not answer: what is in Kafka is shown, outcomes are not.")
	}
	if !j.Found() {
		fmt.Fprintf(w, "Nothing is known of event %s in workspace %s.\n", j.EventID, j.Workspace)
		fmt.Fprintln(w, "If its id is not a UUIDv7, give the time it was sent: --since 2026-11-23T09:00:00Z.")
		return
	}
	steps := j.Steps()
	t := screen.NewTable(w, "stage", "written", "after", "what", "where")
	t.SetTitle("Event %s of workspace %s", j.EventID, j.Workspace)
	for _, s := range steps {
		what := s.What
		if len(s.Detail) > 0 {
			what += "\n  " + strings.Join(s.Detail, "\n  ")
		}
		t.AppendRow(screen.Row{s.Stage, s.At.UTC().Format("15:04:05.000"), s.After, what, s.Where})
	}
	t.Render()
	if tp := j.ActivityPlace.TraceParent; tp != "" {
		if parts := strings.Split(tp, "-"); len(parts) == 4 {
			fmt.Fprintf(w, "trace id %s\n", parts[1])
		}
	}
}

// Steps lists the journey in order of time.
func (j *Journey) Steps() []Step {
	var out []Step
	if a := j.Activity; a != nil {
		out = append(out, Step{
			At: j.ActivityPlace.Written, Stage: "ingest", Where: j.ActivityPlace.String(),
			What: fmt.Sprintf("accepted: %s of %s %q", kindOf(a), contentKind(a.GetContent()), a.GetContent().GetTitle()),
			Detail: []string{
				fmt.Sprintf("happened %s, session %s, settings revision %d", clock(a.GetOccurredAt().AsTime()), a.GetSession(), a.GetSettingsRevision()),
				subject(a.GetSubject()),
			},
		})
	}
	for _, v := range j.Visits {
		out = append(out, visitStep(v))
	}
	for _, e := range j.Engagements {
		out = append(out, Step{At: e.Place.Written, Stage: "visits", Where: e.Place.String(), What: fmt.Sprintf(
			"totals, revision %d: %d visits, %d views, %.1f %% watched, %.0f s reading",
			e.Engagement.GetRevision(), e.Engagement.GetVisits(), e.Engagement.GetViews(), e.Engagement.GetPercentWatched(), e.Engagement.GetDwellSeconds())})
	}
	for _, r := range j.Resolved {
		out = append(out, resolvedStep(r))
	}
	for _, w := range j.Writes {
		out = append(out, Step{
			At: w.Place.Written, Stage: "mapping", Where: w.Place.String(), What: fmt.Sprintf(
				"%s %s, revision %d", verb(w.Write.GetOperation()), w.Write.GetObject(), w.Write.GetRevision()),
			Detail: append([]string{
				fmt.Sprintf("integration %s version %d, settings revision %d", w.Write.GetIntegration(), w.Write.GetIntegrationVersion(), w.Write.GetSettingsRevision()),
				"write key " + w.Write.GetWriteKey(),
			}, w.Write.GetWarnings()...),
		})
	}
	for _, d := range j.Dead {
		out = append(out, deadStep(d))
	}
	for _, o := range j.Outcomes {
		out = append(out, outcomeStep(o))
	}
	slices.SortStableFunc(out, func(a, b Step) int { return a.At.Compare(b.At) })
	for i := range out {
		out[i].After = out[i].At.Sub(out[0].At).Round(time.Millisecond)
	}
	return out
}

func visitStep(v VisitStep) Step {
	state := "open"
	if v.Visit.GetState() == streamv1.VisitState_VISIT_STATE_CLOSED {
		state = "closed"
	}
	return Step{At: v.Place.Written, Stage: "visits", Where: v.Place.String(), What: fmt.Sprintf(
		"visit %s, revision %d, %s: %d activities, %.1f %% watched, %.0f s reading",
		v.Visit.GetVisitId(), v.Visit.GetRevision(), state, v.Visit.GetActivities(), v.Visit.GetPercentWatched(), v.Visit.GetDwellSeconds())}
}

func resolvedStep(r ResolvedStep) Step {
	res := r.Resolved.GetResolution()
	s := Step{At: r.Place.Written, Stage: "identity", Where: r.Place.String(), What: "connection " + r.Resolved.GetConnection() + ": "}
	if p := res.GetPerson(); p != nil {
		s.What += fmt.Sprintf("%s %s, owner %s", p.GetObject(), p.GetRecordId(), p.GetOwnerId())
		if p.GetPersonAccount() {
			s.What += ", person account " + p.GetAccountId()
		}
	} else {
		s.What += reason(res.GetReason())
	}
	if o := res.GetContentOwner(); o != nil {
		s.Detail = append(s.Detail, "content owner is user "+o.GetRecordId())
	}
	for _, u := range res.GetFixedUsers() {
		active := "inactive"
		if u.GetOwnerActive() {
			active = "active"
		}
		s.Detail = append(s.Detail, "user "+u.GetRecordId()+", whom an integration names, is "+active)
	}
	for _, c := range res.GetCandidates() {
		mark := "✗"
		if c.GetChosen() {
			mark = "✓"
		}
		s.Detail = append(s.Detail, fmt.Sprintf("%s %s %s, changed %s: %s", mark, c.GetObject(), c.GetRecordId(), c.GetLastModifiedAt().AsTime().Format(time.DateOnly), c.GetRule()))
	}
	return s
}

func outcomeStep(o *streamv1.Outcome) Step {
	s := Step{At: o.GetDecidedAt().AsTime(), Stage: o.GetStage(), What: strings.TrimPrefix(o.GetStatus().String(), "STATUS_")}
	if o.GetReason() != streamv1.Reason_REASON_UNSPECIFIED {
		s.What += "(" + reason(o.GetReason()) + ")"
	}
	if o.GetRecordId() != "" {
		s.What += " " + o.GetObject() + " " + o.GetRecordId()
	}
	if o.GetDetail() != "" {
		s.Detail = append(s.Detail, o.GetDetail())
	}
	if r := o.GetRequest(); r != nil {
		s.Detail = append(s.Detail, fmt.Sprintf("%s: HTTP %d, %d records, %.0f ms, attempt %d", r.GetRoute(), r.GetHttpStatus(), r.GetBatchSize(), r.GetDurationMs(), o.GetAttempts()))
	}
	if o.GetSalesforceCode() != "" {
		s.Detail = append(s.Detail, "Salesforce said "+o.GetSalesforceCode())
	}
	s.Detail = append(s.Detail, o.GetNotes()...)
	return s
}

// MarshalJSON writes the journey for machines; protobuf parts in their canonical JSON form.
func (j *Journey) MarshalJSON() ([]byte, error) {
	type part struct {
		Place   *Place          `json:"place,omitempty"`
		Message json.RawMessage `json:"message"`
	}
	out := map[string]any{"workspace": j.Workspace, "event_id": j.EventID, "found": j.Found()}
	if j.RunLogAway {
		out["run_log_away"] = true
	}
	var failed error
	add := func(name string, p *Place, m proto.Message) {
		raw, err := protojson.Marshal(m)
		if err != nil {
			failed = err
		}
		have, _ := out[name].([]part)
		out[name] = append(have, part{p, raw})
	}
	if j.Activity != nil {
		add("activity", &j.ActivityPlace, j.Activity)
	}
	for i := range j.Visits {
		add("visits", &j.Visits[i].Place, j.Visits[i].Visit)
	}
	for i := range j.Engagements {
		add("engagements", &j.Engagements[i].Place, j.Engagements[i].Engagement)
	}
	for i := range j.Resolved {
		add("resolved", &j.Resolved[i].Place, j.Resolved[i].Resolved)
	}
	for i := range j.Writes {
		add("writes", &j.Writes[i].Place, j.Writes[i].Write)
	}
	for i := range j.Dead {
		add("dead_letters", &j.Dead[i].Place, j.Dead[i].Letter)
	}
	for _, o := range j.Outcomes {
		add("outcomes", nil, o)
	}
	if failed != nil {
		return nil, failed
	}
	return json.Marshal(out)
}

// String is topic/partition@offset.
func (p Place) String() string { return fmt.Sprintf("%s/%d@%d", p.Topic, p.Partition, p.Offset) }

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

func reason(r streamv1.Reason) string { return strings.TrimPrefix(r.String(), "REASON_") }

func verb(o streamv1.Operation) string {
	return strings.ToLower(strings.TrimPrefix(o.String(), "OPERATION_"))
}

func contentKind(c *streamv1.Content) string {
	return strings.ToLower(strings.TrimPrefix(c.GetKind().String(), "CONTENT_KIND_"))
}

func subject(s *streamv1.Subject) string {
	if s == nil {
		return "nobody known yet"
	}
	return "person key " + s.GetPersonKey() + ", " + strings.ToLower(strings.TrimPrefix(s.GetEvidence().String(), "EVIDENCE_"))
}

// kindOf names the oneof case of an activity, e.g. "page_viewed".
func kindOf(a *streamv1.Activity) string {
	m := a.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("detail"))
	if field == nil {
		return "unknown activity"
	}
	return string(field.Name())
}
