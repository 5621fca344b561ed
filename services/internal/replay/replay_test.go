package replay_test

import (
	"bytes"
	"context"
	"errors"
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
		if r.Topic != s.Topic {
			continue
		}
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
		if r.Topic != s.Topic || (!s.From.IsZero() && !r.Time.IsZero() && r.Time.Before(s.From)) {
			continue
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
		{Key: stage.HeaderID, Value: []byte("w-1")},
		{Key: stage.HeaderTraceParent, Value: []byte("00-aa-bb-01")},
		{Key: topic.HeaderClass, Value: []byte("bulk")},
	}, out.messages[0].Headers, "and the class, so that it takes no calls from what happens now")
	require.Empty(t, out.messages[0].Type, "or the client would add headers of its own")
	require.Equal(t, stage.Message{Topic: "events", Key: []byte("theirs"), Value: []byte(`{"id":"e-2"}`), Headers: []stage.Header{
		{Key: topic.HeaderClass, Value: []byte("bulk")},
	}}, out.messages[1])
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
