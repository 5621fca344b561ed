package replay_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/replay"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

const traceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// history is everything of one write that was refused: what identity and mapping read, and what became of it at each stage.
func history(t *testing.T) (*testBundle, *streamv1.Engagement) {
	t.Helper()
	b := setup(t)
	b.log = nil
	e := &streamv1.Engagement{
		EngagementId: "e-1", Workspace: "acme", Revision: 8,
		Visit: &streamv1.Visit{VisitId: "v-1", LastEventId: "0199d5a2-7c1e-7e61-a3c5-2f4f2f0c9d11", LastActivityAt: timestamppb.New(b.at)},
	}
	value, err := proto.Marshal(&streamv1.Resolved{Engagement: e, Connection: "main"})
	require.NoError(t, err)
	b.log = append(b.log, stage.Record{
		Topic: topic.Resolved, Time: b.at, Key: []byte("acme/person"), Value: value, Headers: []stage.Header{
			{Key: stage.HeaderID, Value: []byte("e-1-8-main")},
			{Key: stage.HeaderTraceParent, Value: []byte(traceParent)},
			{Key: topic.HeaderClass, Value: []byte("bulk")},
		},
	})
	b.failedWrite("w-1", "e-1", 8)
	b.dead("mapping", "MAPPING_INVALID", stage.Record{Topic: topic.Resolved, Key: []byte("acme/person"), Value: value})
	engagement, err := proto.Marshal(e)
	require.NoError(t, err)
	b.dead("identity", "SF_UNAVAILABLE", stage.Record{Topic: topic.Unresolved, Key: []byte("acme/person"), Value: engagement})
	b.dead("visits", "BAD_SCHEMA", stage.Record{Topic: topic.Activities, Key: []byte("acme/session"), Value: []byte("x")})
	b.dead("ingest", "BAD_SCHEMA", stage.Record{Topic: "events", Value: []byte("{}")})
	return b, e
}

func headerOf(m stage.Message, name string) string {
	for _, h := range m.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

func (b *testBundle) restart(r replay.Restart, stageName string) (*replay.Report, []stage.Message) {
	b.t.Helper()
	out := &published{}
	report, err := (&replay.Replayer{Log: b.log, Opener: b.inst, Publisher: out, Rate: 1e9, Restart: r}).
		Run(b.t.Context(), replay.Filter{Stage: stageName})
	require.NoError(b.t, err)
	return report, out.messages
}

func TestProcessingRestartsAtTheChosenStage(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-7")

	t.Run("AFailedWrite", func(t *testing.T) {
		t.Parallel()
		b, e := history(t)
		for name, c := range map[string]struct {
			restart     replay.Restart
			topic, asks string
		}{
			"as it was":             {replay.Restart{}, topic.Writes, ""},
			"at the writer":         {replay.Restart{FromStage: replay.AtWriter}, topic.Writes, ""},
			"at mapping":            {replay.Restart{FromStage: replay.AtMapping}, topic.Resolved, "=to-do/w-1"},
			"newly mapped":          {replay.Restart{NewMapping: true}, topic.Resolved, "to-do/w-1"},
			"at identity":           {replay.Restart{FromStage: replay.AtIdentity}, topic.Engagements, "=to-do/w-1"},
			"at identity and newly": {replay.Restart{FromStage: replay.AtIdentity, NewMapping: true}, topic.Engagements, "to-do/w-1"},
		} {
			report, messages := b.restart(c.restart, "writer")
			require.Equal(t, 1, report.Replayed, "%s: %v", name, report.Problems)
			require.Equal(t, c.topic, messages[0].Topic, name)
			require.Equal(t, c.asks, headerOf(messages[0], topic.HeaderRemap), name)
			require.Equal(t, topic.ClassBulk, headerOf(messages[0], topic.HeaderClass), name)
			if c.topic == topic.Engagements {
				got := &streamv1.Engagement{}
				require.NoError(t, proto.Unmarshal(messages[0].Value, got))
				require.True(t, proto.Equal(e, got), "what identity had read, revision and all")
				require.Equal(t, "e-1-8", messages[0].ID)
				require.Equal(t, "1", headerOf(messages[0], topic.HeaderAnew), "what identity remembers may be what was wrong")
				require.Equal(t, traceParent, messages[0].TraceParent)
				require.Equal(t, "acme/person", string(messages[0].Key))
			}
		}
		for _, back := range []string{replay.AtVisits, replay.AtIngest} {
			report, messages := b.restart(replay.Restart{FromStage: back}, "writer")
			require.Empty(t, messages)
			require.Contains(t, report.Problems[0], "is counted there already")
		}
	})

	t.Run("EveryStagesLetters", func(t *testing.T) {
		t.Parallel()
		b, _ := history(t)
		for _, c := range []struct {
			stage, from, topic, problem string
		}{
			{"mapping", "", topic.Resolved, ""},
			{"mapping", replay.AtIdentity, topic.Engagements, ""},
			{"mapping", replay.AtWriter, "", "was given up at mapping, before writer"},
			{"identity", "", topic.Unresolved, ""},
			{"identity", replay.AtIdentity, topic.Unresolved, ""},
			{"identity", replay.AtMapping, "", "was given up at identity, before mapping"},
			{"visits", "", topic.Activities, ""},
			{"visits", replay.AtVisits, topic.Activities, ""},
			{"visits", replay.AtIngest, "", "is counted there already"},
			{"ingest", "", "events", ""},
			{"ingest", replay.AtIngest, "events", ""},
		} {
			report, messages := b.restart(replay.Restart{FromStage: c.from}, c.stage)
			if c.problem != "" {
				require.Empty(t, messages)
				require.Contains(t, report.Problems[0], c.problem)
				continue
			}
			require.Len(t, messages, 1, "%s from %s: %v", c.stage, c.from, report.Problems)
			require.Equal(t, c.topic, messages[0].Topic)
		}
	})

	t.Run("InTheClassOfItsIntegrationOnlyIfAsked", func(t *testing.T) {
		t.Parallel()
		b, _ := history(t)
		for _, from := range []string{"", replay.AtMapping, replay.AtIdentity} {
			_, messages := b.restart(replay.Restart{FromStage: from, RealTime: true}, "writer")
			require.Empty(t, headerOf(messages[0], topic.HeaderClass), "also where an earlier replay had asked for it")
		}
	})

	t.Run("WhatCannotBe", func(t *testing.T) {
		t.Parallel()
		b, _ := history(t)
		for text, restart := range map[string]replay.Restart{
			"is none of ingest, visits, identity, mapping, writer": {FromStage: "sync"},
			"nothing is mapped anew":                               {FromStage: replay.AtWriter, NewMapping: true},
		} {
			_, err := (&replay.Replayer{Log: b.log, Opener: b.inst, Restart: restart}).Run(t.Context(), replay.Filter{Stage: "writer"})
			require.ErrorContains(t, err, text)
		}
	})
}

func TestALetterTellsEventReasonTraceAndAttempts(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-7")
	b := setup(t)
	b.log = nil
	write, err := proto.Marshal(&streamv1.Write{WriteKey: "w-1", Workspace: "acme", Connection: "main", EventId: "e-1"})
	require.NoError(t, err)
	b.dead("writer", "SF_VALIDATION", stage.Record{
		Topic: topic.Writes, Key: []byte("acme/main"), Value: write,
		Headers: []stage.Header{{Key: stage.HeaderTraceParent, Value: []byte(traceParent)}},
	})
	b.dead("writer", "SF_VALIDATION", stage.Record{
		Topic: topic.Writes, Offset: 1, Key: []byte("acme/main"), Value: write,
		Headers: []stage.Header{{Key: stage.HeaderTraceParent, Value: []byte("00-somebody@example.com-b-01")}},
	})
	report, err := (&replay.Replayer{Log: b.log, Opener: b.inst}).Run(t.Context(), replay.Filter{Workspace: "acme"})
	require.NoError(t, err)
	first := report.First[0]
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", first.Trace)
	require.Equal(t, "e-1", first.Event)
	require.EqualValues(t, 3, first.Attempts)
	require.Empty(t, report.First[1].Trace, "what is no trace id is not shown")
	one, err := (&replay.Replayer{Log: b.log, Opener: b.inst}).Run(t.Context(), replay.Filter{Letter: first.ID})
	require.NoError(t, err)
	require.Equal(t, 1, one.Matched)
}
