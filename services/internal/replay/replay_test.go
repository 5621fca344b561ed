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
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/replay"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/internal/trace"
)

// letters is a log of one partition, or of two when odd offsets are to be in another.
type letters []stage.Record

func (l letters) Scan(ctx context.Context, s trace.Scan) error {
	ranges := map[int]stage.OffsetRange{}
	for _, r := range l {
		ranges[r.Partition] = stage.OffsetRange{End: max(ranges[r.Partition].End, r.Offset+1)}
	}
	if s.Ranges != nil {
		ranges = s.Ranges
	}
	if s.Began != nil {
		s.Began(ranges)
	}
	for _, r := range l {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if within := ranges[r.Partition]; r.Offset < within.Start || r.Offset >= within.End {
			continue
		}
		if !s.Visit(r) {
			break
		}
	}
	return nil
}

// published takes messages, and fails from the one on that has the number failAt.
type published struct {
	messages []stage.Message
	failAt   int
	err      error
	after    func()
}

func (p *published) Publish(_ context.Context, m ...stage.Message) error {
	p.messages = append(p.messages, m...)
	if p.after != nil {
		p.after()
	}
	if len(p.messages) >= p.failAt {
		return p.err
	}
	return nil
}

type testBundle struct {
	t    *testing.T
	inst *seal.Installation
	log  letters
	at   time.Time
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	inst, err := seal.NewInstallation()
	require.NoError(t, err)
	b := &testBundle{t: t, inst: inst, at: time.Unix(1_700_000_000, 0).UTC()}
	write, err := proto.Marshal(&streamv1.Write{WriteKey: "w-1", Workspace: "acme", Connection: "main", EventId: "e-1"})
	require.NoError(t, err)
	b.dead("writer", "SF_VALIDATION", stage.Record{
		Topic: topic.Writes, Key: []byte("acme/main"), Value: write,
		Headers: []stage.Header{{Key: stage.HeaderID, Value: []byte("w-1")}, {Key: stage.HeaderTraceParent, Value: []byte("00-aa-bb-01")}},
	})
	b.dead("ingest", "BAD_SCHEMA", stage.Record{Topic: "events", Offset: 1, Key: []byte("theirs"), Value: []byte(`{"id":"e-2"}`)})
	b.dead("ingest", "BAD_SCHEMA", stage.Record{Topic: "events", Offset: 2, Value: []byte{0xff}})
	return b
}

func (b *testBundle) dead(name, reason string, r stage.Record) {
	b.t.Helper()
	m, err := deadletter.Encode(b.inst)(stage.DeadLetter{
		Stage: name, Reason: reason, Record: r, Attempts: 3, Time: b.at.Add(time.Duration(len(b.log)) * time.Hour),
	})
	require.NoError(b.t, err)
	b.log = append(b.log, stage.Record{Topic: m.Topic, Offset: int64(len(b.log)), Key: m.Key, Value: m.Value})
}

func TestARunWithoutAFilterIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := &published{}
	_, err := (&replay.Replayer{Log: b.log, Opener: b.inst, Publisher: out}).Run(t.Context(), replay.Filter{})
	require.ErrorIs(t, err, replay.ErrNoFilter)
	require.Empty(t, out.messages)
	_, err = (&replay.Replayer{Log: b.log, Opener: b.inst}).Run(t.Context(), replay.Filter{Reason: "NOPE"})
	require.ErrorContains(t, err, "--reason")
}

func TestFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		filter replay.Filter
		want   int
	}{
		"workspace":       {replay.Filter{Workspace: "acme"}, 1},
		"connection":      {replay.Filter{Connection: "main"}, 1},
		"stage":           {replay.Filter{Stage: "ingest"}, 2},
		"reason":          {replay.Filter{Reason: "BAD_SCHEMA"}, 2},
		"event of write":  {replay.Filter{Event: "e-1"}, 1},
		"event in JSON":   {replay.Filter{Event: "e-2"}, 1},
		"write":           {replay.Filter{Write: "w-1"}, 1},
		"from":            {replay.Filter{From: b.at.Add(time.Hour)}, 2},
		"to":              {replay.Filter{To: b.at.Add(time.Hour)}, 1},
		"all must hold":   {replay.Filter{Workspace: "acme", Stage: "ingest"}, 0},
		"other workspace": {replay.Filter{Workspace: "other"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, err := (&replay.Replayer{Log: b.log, Opener: b.inst}).Run(t.Context(), c.filter)
			require.NoError(t, err)
			require.Equal(t, c.want, report.Matched)
			require.Zero(t, report.Replayed)
		})
	}
}

func TestADryRunCounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	report, err := (&replay.Replayer{Log: b.log, Opener: b.inst}).Run(t.Context(), replay.Filter{From: b.at})
	require.NoError(t, err)
	require.Equal(t, []replay.Count{{"ingest", "BAD_SCHEMA", 2}, {"writer", "SF_VALIDATION", 1}}, report.Counts)
	require.Equal(t, b.at, report.Oldest)
	require.Equal(t, b.at.Add(2*time.Hour), report.Newest)
	var text bytes.Buffer
	report.Render(&text)
	require.Contains(t, text.String(), "--yes")
}

func TestTheOriginalIsPublishedAsItWas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := &published{}
	report, err := (&replay.Replayer{Log: b.log, Opener: b.inst, Publisher: out, Rate: 1e9}).Run(t.Context(), replay.Filter{From: b.at})
	require.NoError(t, err)
	require.Equal(t, 3, report.Replayed)
	require.Equal(t, topic.Writes, out.messages[0].Topic)
	require.Equal(t, "acme/main", string(out.messages[0].Key))
	require.Equal(t, []stage.Header{
		{Key: stage.HeaderID, Value: []byte("w-1")}, {Key: stage.HeaderTraceParent, Value: []byte("00-aa-bb-01")},
	}, out.messages[0].Headers)
	require.Empty(t, out.messages[0].Type, "or the client would add headers of its own")
	require.Equal(t, stage.Message{Topic: "events", Key: []byte("theirs"), Value: []byte(`{"id":"e-2"}`), Headers: []stage.Header{}}, out.messages[1])
}

func TestWhatCannotBeReplayedIsCounted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.dead("ingest", "BAD_SCHEMA", stage.Record{Topic: "events", Offset: 9, Value: make([]byte, deadletter.MaxValueBytes+1)})
	b.dead("runlog", "BAD_SCHEMA", stage.Record{Topic: topic.Ledger, Key: []byte("acme/main")})
	b.log = append(b.log, stage.Record{Topic: topic.DeadLetters, Value: []byte{0xff}})
	out := &published{}
	report, err := (&replay.Replayer{Log: b.log, Opener: b.inst, Publisher: out, Rate: 1e9}).Run(t.Context(), replay.Filter{From: b.at})
	require.NoError(t, err)
	require.Equal(t, 3, report.Replayed)
	require.Equal(t, 3, report.Unreadable)
	require.Contains(t, report.Problems[0], "events/0@9")
}

func TestABrokenReplaySaysSo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := &published{err: errors.New("no broker")}
	report, err := (&replay.Replayer{Log: b.log, Opener: b.inst, Publisher: out, Rate: 1e9}).Run(t.Context(), replay.Filter{From: b.at})
	require.ErrorContains(t, err, "run it again")
	require.Zero(t, report.Replayed)
}

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
}
