package accumulate_test

import (
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
	"github.com/throughline-dev/throughline/services/visits/accumulate"
	"github.com/throughline-dev/throughline/services/visits/totals"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type bundle struct {
	*testing.T
	state *stage.Table
	stats *accumulate.Stats
	next  int64
}

func setup(t *testing.T) *bundle {
	t.Helper()
	return &bundle{T: t, state: stage.NewTable(), stats: &accumulate.Stats{}}
}

func (b *bundle) records(visits ...*streamv1.Visit) []stage.Record {
	b.Helper()
	var out []stage.Record
	for _, v := range visits {
		value, err := proto.Marshal(v)
		require.NoError(b, err)
		out = append(out, stage.Record{
			Topic: topic.Visits, Offset: b.next, Time: noon, Value: value,
			Key:     topic.PersonKey(v.GetWorkspace(), v.GetSubject().GetPersonKey()),
			Headers: []stage.Header{{Key: stage.HeaderTraceParent, Value: []byte("trace-" + v.GetLastEventId())}},
		})
		b.next++
	}
	return out
}

// process handles a batch with a processor as it is after a restart, and saves the state.
func (b *bundle) process(batch []stage.Record) *stage.Outbox {
	b.Helper()
	out := new(stage.Outbox)
	p := accumulate.New(totals.DefaultLimits(), b.stats, b.state)
	require.NoError(b, p.Process(b.Context(), batch, out))
	b.state.Commit()
	return out
}

func (b *bundle) take(visits ...*streamv1.Visit) []*streamv1.Engagement {
	b.Helper()
	out := b.process(b.records(visits...))
	require.Empty(b, out.DeadLetters())
	var engagements []*streamv1.Engagement
	for _, m := range out.Messages() {
		e := new(streamv1.Engagement)
		require.NoError(b, proto.Unmarshal(m.Value, e))
		require.Equal(b, topic.Engagements, m.Topic)
		require.Equal(b, "acme/mia", string(m.Key))
		require.Equal(b, "trace-"+e.GetVisit().GetLastEventId(), m.TraceParent)
		engagements = append(engagements, e)
	}
	return engagements
}

func sitting(id string, revision int64, change ...func(*streamv1.Visit)) *streamv1.Visit {
	v := &streamv1.Visit{
		VisitId: id, Workspace: "acme", Session: "s-" + id, Revision: revision, State: streamv1.VisitState_VISIT_STATE_OPEN,
		Content:   &streamv1.Content{ContentId: "c", Title: "Onboarding", LengthSeconds: 100},
		Subject:   &streamv1.Subject{PersonKey: "mia", Evidence: streamv1.Evidence_EVIDENCE_ASKED},
		StartedAt: timestamppb.New(noon), LastActivityAt: timestamppb.New(noon.Add(time.Minute)), LastEventId: "e-" + id,
	}
	for _, f := range change {
		f(v)
	}
	return v
}

func watched(from, to float64) func(*streamv1.Visit) {
	return func(v *streamv1.Visit) {
		v.Ranges, v.WatchedSeconds, v.CountsAsView = []*streamv1.TimeRange{{From: from, To: to}}, to-from, true
	}
}

func closed(v *streamv1.Visit) { v.State = streamv1.VisitState_VISIT_STATE_CLOSED }

func withdrawn(v *streamv1.Visit) { v.Withdrawn = true }

func TestEngagements(t *testing.T) {
	t.Parallel()

	t.Run("TotalsRunOverVisits", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "LOOM-29")
		b := setup(t)
		b.take(sitting("v1", 2, watched(0, 40), closed))
		got := b.take(sitting("v2", 9, watched(30, 60), closed))
		require.Len(t, got, 1)
		e := got[0]
		require.Equal(t, ids.EngagementID("acme", "mia", "c"), e.GetEngagementId())
		require.EqualValues(t, 2, e.GetVisits())
		require.EqualValues(t, 2, e.GetViews())
		require.InDelta(t, 60, e.GetPercentWatched(), 1e-9, "distinct seconds over all visits")
		require.InDelta(t, 70, e.GetWatchedSeconds(), 1e-9, "with repeats")
		require.Equal(t, "v2", e.GetVisit().GetVisitId())
		require.EqualValues(t, 2, e.GetRevision(), "the offset of the visit revision, plus one")
	})

	t.Run("PercentNeverDecreases", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "LOOM-29")
		b := setup(t)
		b.take(sitting("v1", 2, watched(0, 80)))
		got := b.take(sitting("v2", 4, watched(0, 10), func(v *streamv1.Visit) { v.Content.LengthSeconds = 200 }))
		require.InDelta(t, 80, got[0].GetPercentWatched(), 1e-9)
	})

	t.Run("OnlyTheLastOpenRevisionOfABatchIsToldButEveryClosedOne", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		got := b.take(
			sitting("v1", 2, watched(0, 10)), sitting("v1", 4, watched(0, 20)), sitting("v2", 4, watched(50, 60)),
			sitting("v1", 7, watched(0, 30), closed), sitting("v1", 8, watched(0, 40)), sitting("v1", 11, watched(0, 50), closed),
		)
		require.Len(t, got, 3)
		require.Equal(t, "v2", got[0].GetVisit().GetVisitId())
		require.InDelta(t, 40, got[1].GetWatchedSeconds(), 1e-9, "the first close tells the totals of its moment")
		require.EqualValues(t, 7, got[1].GetVisit().GetRevision())
		require.InDelta(t, 60, got[2].GetWatchedSeconds(), 1e-9)
		require.EqualValues(t, 3, b.stats.Coalesced.Load())
	})

	t.Run("RepeatedAndOlderRevisionsHaveNoEffect", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-5")
		b := setup(t)
		first := b.records(sitting("v1", 6, watched(0, 30), closed))
		require.Len(t, b.process(first).Messages(), 1)
		require.Empty(t, b.process(first).Messages(), "a replay")
		require.Empty(t, b.take(sitting("v1", 6, watched(0, 30), closed)), "sent twice")
		require.Empty(t, b.take(sitting("v1", 2, watched(0, 10))), "late")
	})

	t.Run("AWithdrawnVisitLeavesTheRow", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.take(sitting("v1", 2, watched(0, 30)), sitting("v2", 4, watched(50, 60)))
		got := b.take(sitting("v1", 6, withdrawn))
		require.Len(t, got, 1)
		require.EqualValues(t, 1, got[0].GetVisits())
		require.InDelta(t, 10, got[0].GetPercentWatched(), 1e-9)
		got = b.take(sitting("v2", 8, withdrawn))
		require.Zero(t, got[0].GetVisits())
		require.Zero(t, got[0].GetPercentWatched())
	})

	t.Run("NobodyHearsOfAVisitThatWasNeverTheirs", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.Empty(t, b.take(sitting("v1", 6, withdrawn)))
	})

	t.Run("WhatIsNoVisitIsGivenUpAndTheRestGoesOn", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		batch := b.records(
			sitting("v1", 2), sitting("", 2), sitting("v1", 4, func(v *streamv1.Visit) { v.Subject = nil }),
			sitting("v1", 4, func(v *streamv1.Visit) { v.Content = nil }), sitting("v3", 2),
		)
		batch[0].Value = []byte("\xff")
		out := b.process(batch)
		require.Len(t, out.DeadLetters(), 4)
		require.Len(t, out.Messages(), 1)
	})

	t.Run("AStateEntryFromANewerProgramIsLeftAlone", func(t *testing.T) {
		t.Parallel()
		newer, err := proto.Marshal(&statev1.Totals{Version: 99})
		require.NoError(t, err)
		id := ids.EngagementID("acme", "mia", "c")
		for _, entry := range [][]byte{newer, []byte("\xff")} {
			b := setup(t)
			b.state.Apply(stage.Entry{Key: id, Value: entry})
			out := b.process(b.records(sitting("v1", 2)))
			require.Len(t, out.DeadLetters(), 1)
			require.Equal(t, "BAD_SCHEMA", out.DeadLetters()[0].Reason)
			value, _ := b.state.Get(id)
			require.Equal(t, entry, value)
		}
	})
}

func FuzzProcess(f *testing.F) {
	value, err := proto.Marshal(sitting("v1", 2, watched(0, 3)))
	require.NoError(f, err)
	state, err := proto.Marshal(&statev1.Totals{Version: 1, Visits: []*statev1.Contribution{{VisitId: "v1"}}})
	require.NoError(f, err)
	f.Add(value, state)
	f.Fuzz(func(t *testing.T, value, state []byte) {
		table := stage.NewTable()
		table.Apply(stage.Entry{Key: ids.EngagementID("acme", "mia", "c"), Value: state})
		out := new(stage.Outbox)
		p := accumulate.New(totals.DefaultLimits(), &accumulate.Stats{}, table)
		require.NoError(t, p.Process(t.Context(), []stage.Record{{Value: value}, {Value: value, Offset: 1}}, out))
	})
}
