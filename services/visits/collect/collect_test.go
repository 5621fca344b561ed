package collect_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	statev1 "github.com/throughline-dev/throughline/proto/throughline/state/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/visits/collect"
	"github.com/throughline-dev/throughline/services/visits/visit"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type fixedRules visit.Rules

func (r fixedRules) Rules(string) (visit.Rules, error) { return visit.Rules(r), nil }

func (fixedRules) TellsUnknown(string, string, time.Time) bool { return false }

// curious are rules of a workspace that wants to hear of unknown viewers of the document c, from since on.
type curious struct {
	fixedRules
	since time.Time
}

func (r curious) TellsUnknown(workspace, document string, at time.Time) bool {
	return workspace == "acme" && document == "c" && !at.Before(r.since)
}

func defaultRules() visit.Rules {
	return visit.Rules{
		Silence: 30 * time.Minute, Settle: 2 * time.Minute, Cadence: time.Minute, Remember: 7 * 24 * time.Hour,
		ViewSeconds: 5, ViewPercent: 75,
	}
}

// bundle is one partition: it plays the runtime for a processor.
type bundle struct {
	*testing.T
	cfg   collect.Config
	rules visit.Rules
	// curious makes the workspace want to hear of unknown viewers.
	curious bool
	state   *stage.Table
	stats   *collect.Stats
	proc    *collect.Processor
	now     time.Time
	next    int64
}

func setup(t *testing.T, change ...func(*bundle)) *bundle {
	t.Helper()
	b := &bundle{T: t, cfg: collect.DefaultConfig(), rules: defaultRules(), state: stage.NewTable(), stats: &collect.Stats{}, now: noon}
	for _, f := range change {
		f(b)
	}
	b.restart()
	return b
}

func settle(d time.Duration) func(*bundle) { return func(b *bundle) { b.rules.Settle = d } }

// restart builds the processor anew on what was saved.
func (b *bundle) restart() {
	b.Helper()
	var err error
	var rules collect.RuleBook = fixedRules(b.rules)
	if b.curious {
		rules = curious{fixedRules: fixedRules(b.rules), since: noon}
	}
	b.proc, err = collect.New(b.cfg, collect.Deps{Rules: rules, Stats: b.stats, Now: b.now}, b.state)
	require.NoError(b, err)
}

// records gives activities the next offsets and the current time of arrival.
func (b *bundle) records(activities ...*streamv1.Activity) []stage.Record {
	b.Helper()
	var out []stage.Record
	for _, a := range activities {
		value, err := proto.Marshal(a)
		require.NoError(b, err)
		out = append(out, stage.Record{
			Topic: topic.Activities, Offset: b.next, Time: b.now, Value: value,
			Key:     topic.SessionKey(a.GetWorkspace(), a.GetSession()),
			Headers: []stage.Header{{Key: stage.HeaderTraceParent, Value: fmt.Appendf(nil, "00-0af7651916cd43dd8448eb211c80319c-%016x-01", b.next)}},
		})
		b.next++
	}
	return out
}

// process handles a batch and saves the state.
func (b *bundle) process(batch []stage.Record) []stage.Message {
	b.Helper()
	out := b.attempt(batch)
	require.Empty(b, out.DeadLetters())
	b.state.Commit()
	return out.Messages()
}

// attempt handles a batch and leaves the state undecided.
func (b *bundle) attempt(batch []stage.Record) *stage.Outbox {
	b.Helper()
	out := new(stage.Outbox)
	require.NoError(b, b.proc.Process(b.Context(), batch, out))
	return out
}

func (b *bundle) take(activities ...*streamv1.Activity) []*streamv1.Visit {
	b.Helper()
	return visits(b.T, b.process(b.records(activities...)))
}

// after lets time pass, with ticks enough for the stage to notice that nothing arrives, and saves the state.
func (b *bundle) after(d time.Duration) []stage.Message {
	b.Helper()
	b.now = b.now.Add(d)
	var all []stage.Message
	for _, before := range []time.Duration{2, 1, 0} {
		out := new(stage.Outbox)
		require.NoError(b, b.proc.Tick(b.Context(), b.now.Add(-before*time.Second), out))
		b.state.Commit()
		all = append(all, out.Messages()...)
	}
	return all
}

func visits(t *testing.T, messages []stage.Message) []*streamv1.Visit {
	t.Helper()
	var out []*streamv1.Visit
	for _, m := range messages {
		if m.Topic != topic.Visits {
			continue
		}
		v := new(streamv1.Visit)
		require.NoError(t, proto.Unmarshal(m.Value, v))
		require.Equal(t, topic.TypeVisit, m.Type)
		require.Equal(t, string(topic.PersonKey(v.GetWorkspace(), ids.Person(v.GetSubject().GetPersonKey(), v.GetVisitId()))), string(m.Key))
		require.NotEmpty(t, m.TraceParent)
		out = append(out, v)
	}
	return out
}

func outcomes(t *testing.T, messages []stage.Message) []*streamv1.Outcome {
	t.Helper()
	var out []*streamv1.Outcome
	for _, m := range messages {
		if m.Topic != topic.Outcomes {
			continue
		}
		o := new(streamv1.Outcome)
		require.NoError(t, proto.Unmarshal(m.Value, o))
		out = append(out, o)
	}
	return out
}

// act builds an activity of session s with content c, seconds after noon.
func act(id string, seconds int, options ...func(*streamv1.Activity)) *streamv1.Activity {
	a := &streamv1.Activity{
		EventId: id, Workspace: "acme", Session: "s",
		OccurredAt: timestamppb.New(noon.Add(time.Duration(seconds) * time.Second)),
		Content:    &streamv1.Content{ContentId: "c", Kind: streamv1.ContentKind_CONTENT_KIND_VIDEO, Title: "Onboarding", LengthSeconds: 100},
		Detail:     &streamv1.Activity_VideoStarted{VideoStarted: &streamv1.VideoStarted{}},
	}
	for _, option := range options {
		option(a)
	}
	return a
}

func by(person string, evidence streamv1.Evidence) func(*streamv1.Activity) {
	return func(a *streamv1.Activity) {
		a.Subject = &streamv1.Subject{PersonKey: person, Sealed: []byte("sealed " + person), Evidence: evidence}
	}
}

func mia(a *streamv1.Activity) { by("mia", streamv1.Evidence_EVIDENCE_ASKED)(a) }

func watched(from, to float64) func(*streamv1.Activity) {
	return func(a *streamv1.Activity) {
		a.Detail = &streamv1.Activity_VideoProgress{VideoProgress: &streamv1.VideoProgress{Ranges: []*streamv1.TimeRange{{From: from, To: to}}}}
	}
}

func ended(a *streamv1.Activity) {
	a.Detail = &streamv1.Activity_VideoEnded{VideoEnded: &streamv1.VideoEnded{}}
}

func clicked(label string) func(*streamv1.Activity) {
	return func(a *streamv1.Activity) {
		a.Detail = &streamv1.Activity_CallToActionClicked{CallToActionClicked: &streamv1.CallToActionClicked{Label: label, Url: "https://x.example/" + label}}
	}
}

func document(a *streamv1.Activity) {
	a.Content.Kind, a.Content.LengthSeconds, a.Content.PageCount = streamv1.ContentKind_CONTENT_KIND_DOCUMENT, 0, 12
	a.Detail = &streamv1.Activity_DocumentOpened{DocumentOpened: &streamv1.DocumentOpened{}}
}

func page(n uint32, seconds float64) func(*streamv1.Activity) {
	return func(a *streamv1.Activity) {
		document(a)
		a.Detail = &streamv1.Activity_PageViewed{PageViewed: &streamv1.PageViewed{Page: n, DwellSeconds: seconds}}
	}
}

func left(n uint32) func(*streamv1.Activity) {
	return func(a *streamv1.Activity) {
		document(a)
		a.Detail = &streamv1.Activity_DocumentClosed{DocumentClosed: &streamv1.DocumentClosed{Page: n}}
	}
}

// savedState reads the state entry of the visit that act builds.
func (b *bundle) savedState() *statev1.OpenVisit {
	b.Helper()
	value, ok := b.state.Get(ids.VisitID("acme", "s", "c"))
	require.True(b, ok)
	state := new(statev1.OpenVisit)
	require.NoError(b, proto.Unmarshal(value, state))
	return state
}
