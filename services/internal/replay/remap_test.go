package replay_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/replay"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// failedWrite adds the dead letter of a write of an engagement's revision.
func (b *testBundle) failedWrite(key, engagement string, revision int64) {
	b.t.Helper()
	write, err := proto.Marshal(&streamv1.Write{
		WriteKey: key, Workspace: "acme", Connection: "main", Integration: "to-do", EngagementId: engagement, Revision: revision,
		OccurredAt: timestamppb.New(b.at),
	})
	require.NoError(b.t, err)
	b.dead("writer", "SF_VALIDATION", stage.Record{Topic: topic.Writes, Key: []byte("acme/main"), Value: write})
}

// resolved adds the record that a write was made from.
func (b *testBundle) resolved(id string, headers ...stage.Header) {
	b.log = append(b.log, stage.Record{
		Topic: topic.Resolved, Offset: int64(len(b.log)), Time: b.at, Key: []byte("acme/person"), Value: []byte("resolved " + id),
		Headers: append([]stage.Header{{Key: stage.HeaderID, Value: []byte(id)}}, headers...),
	})
}

func remapOf(m stage.Message) string {
	for _, h := range m.Headers {
		if h.Key == topic.HeaderRemap {
			return string(h.Value)
		}
	}
	return ""
}

func TestANewMappingIsAskedForWithWhatMappingRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.log = nil
	b.resolved("e-1-7-main", stage.Header{Key: topic.HeaderRemap, Value: []byte("old/one")})
	b.resolved("e-1-8-main")
	b.resolved("e-2-3-main")
	b.failedWrite("w-1", "e-1", 8)
	b.failedWrite("w-2", "e-1", 7)
	b.failedWrite("w-3", "e-1", 7)
	b.failedWrite("w-4", "e-9", 1) // its record is gone
	b.dead("mapping", "MAPPING_INVALID", stage.Record{Topic: topic.Resolved, Key: []byte("acme/person"), Value: []byte("given up")})
	b.dead("mapping", "MAPPING_INVALID", stage.Record{
		Topic: topic.Resolved, Key: []byte("acme/person"), Value: []byte("given up again"),
		Headers: []stage.Header{{Key: topic.HeaderRemap, Value: []byte("to-do/w-5")}},
	})
	b.dead("ingest", "BAD_SCHEMA", stage.Record{Topic: "events", Value: []byte("{}")})
	b.dead("writer", "BAD_SCHEMA", stage.Record{Topic: topic.Writes, Key: []byte("acme/main"), Value: []byte{0xff}})

	filter := replay.Filter{From: b.at}
	dry, err := (&replay.Replayer{Log: b.log, Opener: b.inst, Restart: replay.Restart{NewMapping: true}}).Run(t.Context(), filter)
	require.NoError(t, err)
	require.Equal(t, 2, dry.Unreadable, "a dry run tells what never can be mapped anew")

	out := &published{}
	r := &replay.Replayer{Log: b.log, Opener: b.inst, Publisher: out, Rate: 1e9, Restart: replay.Restart{NewMapping: true}}
	report, err := r.Run(t.Context(), filter)
	require.NoError(t, err)
	require.Equal(t, 5, report.Replayed)
	require.Equal(t, 3, report.Unreadable)
	var text bytes.Buffer
	report.Render(&text)
	require.Contains(t, text.String(), "no longer in "+topic.Resolved)
	require.Contains(t, text.String(), "before anything was mapped")
	got := map[string]string{}
	for _, m := range out.messages {
		require.Equal(t, topic.Resolved, m.Topic)
		require.Equal(t, "acme/person", string(m.Key))
		got[remapOf(m)] = string(m.Value)
	}
	require.Equal(t, map[string]string{
		"to-do/w-1": "resolved e-1-8-main", "to-do/w-2": "resolved e-1-7-main", "to-do/w-3": "resolved e-1-7-main",
		"*": "given up", "to-do/w-5": "given up again",
	}, got)

	// Not asked for, nothing asks for it, not even what was given up when it had been.
	out.messages, r.NewMapping = nil, false
	report, err = r.Run(t.Context(), filter)
	require.NoError(t, err)
	require.Equal(t, 8, report.Replayed)
	for _, m := range out.messages {
		require.Empty(t, remapOf(m))
	}
}

func TestResolvedRecordsAreLookedForSinceTheEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.log = nil
	b.resolved("e-1-1-main")
	b.log[0].Time = b.at.Add(-time.Hour)
	b.failedWrite("w-1", "e-1", 1)
	out := &published{}
	report, err := (&replay.Replayer{Log: b.log, Opener: b.inst, Publisher: out, Restart: replay.Restart{NewMapping: true}}).Run(t.Context(), replay.Filter{Stage: "writer"})
	require.NoError(t, err)
	require.Zero(t, report.Replayed)
	require.Equal(t, 1, report.Unreadable, "and it is told")
}
