package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/replay"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// many is a bundle with n letters of one kind, alternating between two partitions.
func many(t *testing.T, n int) *testBundle {
	t.Helper()
	b := setup(t)
	b.log = nil
	for i := range n {
		b.dead("ingest", "BAD_SCHEMA", stage.Record{Topic: "events", Offset: int64(i), Key: fmt.Append(nil, i), Value: []byte(`{"id":"e"}`)})
		b.log[i].Partition, b.log[i].Offset = i%2, int64(i/2)
	}
	return b
}

func keys(messages []stage.Message) []string {
	out := make([]string, len(messages))
	for i, m := range messages {
		out[i] = string(m.Key)
	}
	return out
}

func TestAStoppedReplayGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	const n = 250
	filter := replay.Filter{Reason: "BAD_SCHEMA"}

	t.Run("after an interrupt, without feeding any letter twice", func(t *testing.T) {
		t.Parallel()
		b := many(t, n)
		ctx, interrupt := context.WithCancel(t.Context())
		out := &published{after: interrupt}
		r := &replay.Replayer{Log: b.log, Opener: b.inst, Publisher: out, Rate: 1e9}
		report, err := r.Run(ctx, filter)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 100, report.Replayed, "a batch on its way arrives and is counted")
		require.Equal(t, "interrupted", report.Stopped)
		require.Zero(t, report.Unsure)
		require.NotNil(t, report.Last)
		require.Equal(t, "events/0@99", report.Last.Where)
		require.Contains(t, report.Resume, ":0=50-125,1=50-125")
		var text bytes.Buffer
		report.Render(&text)
		require.Contains(t, text.String(), "Stopped after 100 records were replayed to their topics: interrupted")

		// What fails again meanwhile is a new letter, and not part of the replay.
		b.dead("ingest", "BAD_SCHEMA", stage.Record{Topic: "events", Offset: n, Key: []byte("again"), Value: []byte(`{"id":"e"}`)})
		b.log[n].Offset = n / 2
		r.Log, r.Resume, out.after = b.log, report.Resume, nil
		report, err = r.Run(t.Context(), filter)
		require.NoError(t, err)
		require.Equal(t, n-100, report.Replayed)
		require.Empty(t, report.Resume)
		require.Len(t, out.messages, n)
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(keys(out.messages)))), n, "each once")
		require.NotContains(t, keys(out.messages), "again")
	})

	t.Run("after an error, with the batch whose fate is not known", func(t *testing.T) {
		t.Parallel()
		b := many(t, n)
		out := &published{failAt: 200, err: errors.New("no broker")}
		r := &replay.Replayer{Log: b.log, Opener: b.inst, Publisher: out, Rate: 1e9}
		report, err := r.Run(t.Context(), filter)
		require.ErrorContains(t, err, "replay 100 records after 100")
		require.Equal(t, 100, report.Unsure)
		require.Equal(t, "events/0@99", report.Last.Where)
		var text bytes.Buffer
		report.Render(&text)
		require.Contains(t, text.String(), "100 more may have arrived")

		out.messages, out.err = nil, nil
		r.Resume = report.Resume
		report, err = r.Run(t.Context(), filter)
		require.NoError(t, err)
		require.Equal(t, n-100, report.Replayed)
		require.Equal(t, "100", string(out.messages[0].Key))
	})

	t.Run("before anything happened", func(t *testing.T) {
		t.Parallel()
		b := many(t, 2)
		ctx, interrupt := context.WithCancel(t.Context())
		interrupt()
		out := &published{}
		report, err := (&replay.Replayer{Log: b.log, Opener: b.inst, Publisher: out}).Run(ctx, filter)
		require.ErrorIs(t, err, context.Canceled)
		require.Contains(t, report.Resume, ":0=0-1,1=0-1")
		require.Empty(t, out.messages)
	})

	t.Run("but not with another filter, or what is no mark", func(t *testing.T) {
		t.Parallel()
		b := many(t, 2)
		ctx, interrupt := context.WithCancel(t.Context())
		interrupt()
		report, _ := (&replay.Replayer{Log: b.log, Opener: b.inst}).Run(ctx, filter)
		out := &published{}
		r := &replay.Replayer{Log: b.log, Opener: b.inst, Publisher: out, Resume: report.Resume}
		_, err := r.Run(t.Context(), replay.Filter{Stage: "ingest"})
		require.ErrorContains(t, err, "another filter")
		own, _, _ := strings.Cut(report.Resume, ":")
		for _, bad := range []string{"x", own + ":", own + ":0", own + ":0=1", own + ":0=2-1", own + ":0=-1-1", own + ":0=0-1,0=0-1", own + ":" + strings.Repeat("0", 9000)} {
			r.Resume = bad
			_, err = r.Run(t.Context(), filter)
			require.ErrorContains(t, err, "--resume", "%q", bad)
		}
		require.Empty(t, out.messages)
	})
}

func FuzzMarks(f *testing.F) {
	f.Add("5f1c2a90:0=120-400,3=88-391")
	f.Fuzz(func(t *testing.T, text string) {
		r := &replay.Replayer{Log: letters{}, Resume: text}
		_, err := r.Run(t.Context(), replay.Filter{Stage: "ingest"})
		if err != nil {
			require.ErrorContains(t, err, "--resume")
		}
	})
}

func TestProgressKnowsTheTotal(t *testing.T) {
	t.Parallel()
	b := many(t, 250)
	b.dead("ingest", "BAD_SCHEMA", stage.Record{Topic: "events", Offset: 999, Value: make([]byte, deadletter.MaxValueBytes+1)})
	b.log[250].Offset = 125
	b.dead("writer", "SF_VALIDATION", stage.Record{Topic: topic.Writes, Key: []byte("acme/main")})
	b.log[251].Offset = 126
	var seen []replay.Progress
	r := &replay.Replayer{
		Log: b.log, Opener: b.inst, Publisher: &published{}, Rate: 1e9,
		Progress: func(p replay.Progress) { seen = append(seen, p) },
	}
	_, err := r.Run(t.Context(), replay.Filter{Reason: "BAD_SCHEMA"})
	require.NoError(t, err)
	require.Equal(t, []replay.Progress{{0, 251}, {100, 251}, {200, 251}, {251, 251}}, seen)

	r.Publisher, seen = nil, nil
	_, err = r.Run(t.Context(), replay.Filter{Reason: "BAD_SCHEMA"})
	require.NoError(t, err)
	require.Empty(t, seen, "a dry run is one")
}

// What is replayed slowly goes in small batches: otherwise nothing would arrive for long.
func TestASlowReplayDoesNotHoldRecordsBack(t *testing.T) {
	t.Parallel()
	b := many(t, 3)
	var sizes []int
	out := &published{}
	out.after = func() { sizes = append(sizes, len(out.messages)) }
	_, err := (&replay.Replayer{Log: b.log, Opener: b.inst, Publisher: out, Rate: 1.9}).Run(t.Context(), replay.Filter{Reason: "BAD_SCHEMA", To: b.at.Add(time.Minute)})
	require.NoError(t, err)
	require.Equal(t, []int{1}, sizes)
}

func TestASampleLeadsToTheTrace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	report, err := (&replay.Replayer{Log: b.log, Opener: b.inst}).Run(t.Context(), replay.Filter{Stage: "writer"})
	require.NoError(t, err)
	require.Equal(t, []string{"main", "e-1", "w-1"}, []string{report.First[0].Connection, report.First[0].Event, report.First[0].Write})
	require.EqualValues(t, 3, report.First[0].Attempts)
	var text bytes.Buffer
	report.Render(&text)
	require.Contains(t, text.String(), "e-1")

	const id = "0199d5a2-7c1e-7e61-a3c5-2f4f2f0c9d11"
	b.log = nil
	for _, producers := range []string{id, "mia@viewer.example"} {
		b.dead("ingest", "BAD_SCHEMA", stage.Record{Topic: "events", Value: []byte(`{"id":"` + producers + `"}`)})
	}
	report, err = (&replay.Replayer{Log: b.log, Opener: b.inst}).Run(t.Context(), replay.Filter{Stage: "ingest"})
	require.NoError(t, err)
	require.Equal(t, id, report.First[0].Event)
	require.Empty(t, report.First[1].Event, "a producer's id may be anything")
}
