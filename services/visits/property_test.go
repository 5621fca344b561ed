package visits_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/visits/accumulate"
	"github.com/throughline-dev/throughline/services/visits/collect"
	"github.com/throughline-dev/throughline/services/visits/totals"
	"github.com/throughline-dev/throughline/services/visits/visit"
)

const videoLength = 40

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type fixedRules visit.Rules

func (r fixedRules) Rules(string) (visit.Rules, error) { return visit.Rules(r), nil }

func (fixedRules) TellsUnknown(string, string, time.Time) bool { return false }

// event is one fact as the model sees it.
type event struct {
	id, session, content string
	at                   int
	person               string
	evidence             streamv1.Evidence
	kind                 string
	from, to             int
}

func drawEvents(t *rapid.T) []event {
	n := rapid.IntRange(1, 24).Draw(t, "events")
	times := rapid.Permutation(slices.Collect(func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	})).Draw(t, "times")
	var events []event
	for i := range n {
		e := event{
			id: fmt.Sprint("e", i), at: times[i],
			session: rapid.SampledFrom([]string{"s1", "s2", "s3"}).Draw(t, "session"),
			content: rapid.SampledFrom([]string{"c1", "c2"}).Draw(t, "content"),
			kind:    rapid.SampledFrom([]string{"start", "progress", "progress", "click", "end", "completed"}).Draw(t, "kind"),
			person:  rapid.SampledFrom([]string{"", "mia", "noa"}).Draw(t, "person"),
		}
		if e.person != "" {
			e.evidence = rapid.SampledFrom([]streamv1.Evidence{
				streamv1.Evidence_EVIDENCE_LINK, streamv1.Evidence_EVIDENCE_ASKED, streamv1.Evidence_EVIDENCE_SIGNED_IN,
			}).Draw(t, "evidence")
		}
		e.from = rapid.IntRange(0, videoLength-1).Draw(t, "from")
		e.to = rapid.IntRange(e.from+1, videoLength).Draw(t, "to")
		events = append(events, e)
	}
	return events
}

func (e event) activity() *streamv1.Activity {
	a := &streamv1.Activity{
		EventId: e.id, Workspace: "acme", Session: e.session,
		OccurredAt: timestamppb.New(noon.Add(time.Duration(e.at) * time.Second)),
		Content: &streamv1.Content{
			ContentId: e.content, Kind: streamv1.ContentKind_CONTENT_KIND_VIDEO, Title: e.content, LengthSeconds: videoLength,
		},
	}
	if e.person != "" {
		a.Subject = &streamv1.Subject{PersonKey: e.person, Sealed: []byte(e.person), Evidence: e.evidence}
	}
	switch e.kind {
	case "start":
		a.Detail = &streamv1.Activity_VideoStarted{VideoStarted: &streamv1.VideoStarted{}}
	case "progress":
		a.Detail = &streamv1.Activity_VideoProgress{VideoProgress: &streamv1.VideoProgress{
			Ranges: []*streamv1.TimeRange{{From: float64(e.from), To: float64(e.to)}},
		}}
	case "click":
		a.Detail = &streamv1.Activity_CallToActionClicked{CallToActionClicked: &streamv1.CallToActionClicked{Label: e.id}}
	default:
		a.Detail = &streamv1.Activity_VideoEnded{VideoEnded: &streamv1.VideoEnded{Completed: e.kind == "completed"}}
	}
	return a
}

// numbers are what the totals of one person and content must come to.
type numbers struct {
	Visits, Views, Clicks int
	Watched, Percent      float64
	First, Last           int
	LastLabel             string
}

type personContent struct{ person, content string }

// model computes the totals from the distinct events alone, second by second.
func model(events []event) map[personContent]numbers {
	type sittingKey struct{ session, content string }
	sittings := map[sittingKey][]event{}
	for _, e := range events {
		k := sittingKey{e.session, e.content}
		sittings[k] = append(sittings[k], e)
	}
	seen := map[personContent]*[videoLength]bool{}
	out := map[personContent]numbers{}
	for k, sitting := range sittings {
		slices.SortFunc(sitting, func(a, b event) int { return a.at - b.at })
		person := viewer(sitting)
		if person == "" {
			continue
		}
		pc := personContent{person, k.content}
		if seen[pc] == nil {
			seen[pc] = new([videoLength]bool)
		}
		n := out[pc]
		one, own := numbersOf(sitting)
		if n.Visits == 0 || one.First < n.First {
			n.First = one.First
		}
		if n.Visits == 0 || one.Last > n.Last {
			n.Last = one.Last
		}
		n.Visits++
		n.Views += one.Views
		n.Clicks += one.Clicks
		n.Watched += one.Watched
		for i := range own {
			seen[pc][i] = seen[pc][i] || own[i]
		}
		n.Percent = percent(seen[pc])
		out[pc] = n
	}
	for pc, n := range out {
		n.LastLabel = lastLabel(events, pc)
		out[pc] = n
	}
	return out
}

func viewer(sitting []event) (person string) {
	best := streamv1.Evidence(99) // smaller is stronger
	for _, e := range sitting {
		if e.person != "" && e.evidence <= best {
			person, best = e.person, e.evidence
		}
	}
	return person
}

func numbersOf(sitting []event) (n numbers, seen [videoLength]bool) {
	n.First, n.Last = sitting[0].at, sitting[len(sitting)-1].at
	completed, counted := false, -100
	for _, e := range sitting {
		switch e.kind {
		case "progress":
			n.Watched += float64(e.to - e.from)
			for i := e.from; i < e.to; i++ {
				seen[i] = true
			}
		case "completed":
			completed = true
		case "click":
			if e.at-counted > 2 {
				n.Clicks, counted = n.Clicks+1, e.at
			}
		}
	}
	if completed || n.Watched >= 5 || percent(&seen) >= 75 {
		n.Views = 1
	}
	return n, seen
}

func percent(seen *[videoLength]bool) float64 {
	var n float64
	for _, s := range seen {
		if s {
			n++
		}
	}
	return n / videoLength * 100
}

func lastLabel(events []event, pc personContent) (label string) {
	bySession := map[string][]event{}
	for _, e := range events {
		if e.content == pc.content {
			bySession[e.session] = append(bySession[e.session], e)
		}
	}
	last := -1
	for _, sitting := range bySession {
		slices.SortFunc(sitting, func(a, b event) int { return a.at - b.at })
		if viewer(sitting) != pc.person {
			continue
		}
		for _, e := range sitting {
			if e.kind == "click" && e.at > last {
				last, label = e.at, e.id
			}
		}
	}
	return label
}

// partition plays the runtime for one stage, and every way in which it can be interrupted.
type partition struct {
	t     *rapid.T
	log   []stage.Record
	state *stage.Table
	build func(*stage.Table) stage.Processor
	sent  []stage.Message
}

// run reads the log to its end in batches of any size. A batch, or a tick, may be interrupted before its outputs are
// acknowledged, between outputs and state, or between state and commit; the stage then starts again on what was saved.
func (p *partition) run(now time.Time) {
	proc := p.build(p.state)
	next, interruptions := 0, 0
	for next < len(p.log) {
		end := min(len(p.log), next+rapid.IntRange(1, 8).Draw(p.t, "batch"))
		out := new(stage.Outbox)
		require.NoError(p.t, proc.Process(context.Background(), p.log[next:end], out))
		require.Empty(p.t, out.DeadLetters())
		fate := "done"
		if interruptions < 6 {
			fate = rapid.SampledFrom([]string{"done", "done", "done", "nothing", "outputs", "state"}).Draw(p.t, "fate")
		}
		if p.settle(out, fate) {
			next = end
			p.tick(proc, now, rapid.IntRange(0, 1).Draw(p.t, "ticks"))
			continue
		}
		interruptions++
		proc = p.build(p.state)
	}
	p.tick(proc, now, 4)
	for range 3 {
		now = now.Add(time.Hour)
		p.tick(proc, now, 4)
	}
}

// settle makes a batch's effects happen as far as fate lets them, and reports whether the offset was committed.
func (p *partition) settle(out *stage.Outbox, fate string) bool {
	switch fate {
	case "nothing":
		p.state.Rollback()
		return false
	case "outputs":
		p.sent = append(p.sent, out.Messages()...)
		p.state.Rollback()
		return false
	case "state":
		p.sent = append(p.sent, out.Messages()...)
		p.state.Commit()
		return false
	}
	p.sent = append(p.sent, out.Messages()...)
	p.state.Commit()
	return true
}

func (p *partition) tick(proc stage.Processor, now time.Time, times int) {
	ticker, ok := proc.(stage.Ticker)
	if !ok {
		return
	}
	for i := range times {
		out := new(stage.Outbox)
		require.NoError(p.t, ticker.Tick(context.Background(), now.Add(time.Duration(i)*time.Second), out))
		p.settle(out, rapid.SampledFrom([]string{"done", "done", "nothing", "outputs"}).Draw(p.t, "tick"))
	}
	out := new(stage.Outbox)
	require.NoError(p.t, ticker.Tick(context.Background(), now.Add(time.Minute), out))
	p.settle(out, "done")
}

// records turns what was sent to a topic into its log.
func records(t *rapid.T, messages []stage.Message, name string) []stage.Record {
	var log []stage.Record
	for _, m := range messages {
		if m.Topic == name {
			log = append(log, stage.Record{Topic: name, Offset: int64(len(log)), Time: noon, Key: m.Key, Value: m.Value})
		}
	}
	return log
}

func TestWhateverHappensTheTotalsAreThoseOfTheDistinctEvents(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"LOOM-25", "LOOM-27", "LOOM-29", "LOOM-30", "LOOM-32", "XC-3", "XC-5"} {
		t.Attr("requirement", id)
	}
	rapid.Check(t, func(t *rapid.T) {
		events := drawEvents(t)
		delivered := slices.Concat(events, rapid.SliceOfN(rapid.SampledFrom(events), 0, 8).Draw(t, "repeated"))
		delivered = rapid.Permutation(delivered).Draw(t, "order")
		arrival := noon
		var log []stage.Record
		for i, e := range delivered {
			value, err := proto.Marshal(e.activity())
			require.NoError(t, err)
			arrival = arrival.Add(rapid.SampledFrom([]time.Duration{0, time.Second, 3 * time.Minute, 40 * time.Minute}).Draw(t, "gap"))
			log = append(log, stage.Record{Offset: int64(i), Time: arrival, Key: topic.SessionKey("acme", e.session), Value: value})
		}
		rules := visit.Rules{
			Silence: 30 * time.Minute, Settle: rapid.SampledFrom([]time.Duration{0, 2 * time.Minute}).Draw(t, "settle"),
			Cadence: time.Minute, Remember: 7 * 24 * time.Hour, ViewSeconds: 5, ViewPercent: 75,
		}
		collecting := &partition{t: t, log: log, state: stage.NewTable(), build: func(state *stage.Table) stage.Processor {
			p, err := collect.New(collect.DefaultConfig(), collect.Deps{Rules: fixedRules(rules), Stats: &collect.Stats{}, Now: noon}, state)
			require.NoError(t, err)
			return p
		}}
		collecting.run(arrival)
		accumulating := &partition{
			t: t, log: records(t, collecting.sent, topic.Visits), state: stage.NewTable(),
			build: func(state *stage.Table) stage.Processor {
				return accumulate.New(totals.DefaultLimits(), &accumulate.Stats{}, state)
			},
		}
		accumulating.run(arrival)
		require.Equal(t, model(events), newest(t, accumulating.sent))
	})
}

// newest reads the totals that the engagement revisions end in. Visits must be closed in the end.
func newest(t *rapid.T, messages []stage.Message) map[personContent]numbers {
	last := map[personContent]*streamv1.Engagement{}
	for _, m := range messages {
		e := new(streamv1.Engagement)
		require.NoError(t, proto.Unmarshal(m.Value, e))
		pc := personContent{e.GetSubject().GetPersonKey(), e.GetContent().GetContentId()}
		if last[pc].GetRevision() < e.GetRevision() {
			last[pc] = e
		} else if last[pc].GetRevision() == e.GetRevision() {
			require.True(t, proto.Equal(last[pc], e), "one revision, one content")
		}
	}
	out := map[personContent]numbers{}
	for pc, e := range last {
		if e.GetVisits() == 0 {
			continue
		}
		require.True(t, e.GetVisit().GetWithdrawn() || e.GetVisit().GetState() == streamv1.VisitState_VISIT_STATE_CLOSED)
		out[pc] = numbers{
			Visits: int(e.GetVisits()), Views: int(e.GetViews()), Clicks: int(e.GetCallToAction().GetClicks()),
			Watched: e.GetWatchedSeconds(), Percent: e.GetPercentWatched(), LastLabel: e.GetCallToAction().GetLastLabel(),
			First: int(e.GetFirstViewedAt().AsTime().Sub(noon).Seconds()), Last: int(e.GetLastViewedAt().AsTime().Sub(noon).Seconds()),
		}
	}
	return out
}
