package stage_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
)

// narrow is a broker whose topics take small messages only.
type narrow struct {
	*stagetest.Broker
	limits map[string]int
	saved  func(context.Context)
}

func (n *narrow) Produce(ctx context.Context, b stage.ProduceBatch) error {
	for _, m := range b.Messages {
		if limit, ok := n.limits[m.Topic]; ok && len(m.Value) > limit {
			return &stage.TooLargeError{Topic: m.Topic, ID: m.ID, Bytes: len(m.Value)}
		}
	}
	if len(b.Entries) > 0 && n.saved != nil {
		n.saved(ctx)
	}
	return n.Broker.Produce(ctx, b)
}

// truncated is a broker that promises one record of the state more than it has.
type truncated struct{ *stagetest.Broker }

func (b *truncated) Fetch(ctx context.Context, req stage.FetchRequest) (stage.Fetched, error) {
	f, err := b.Broker.Fetch(ctx, req)
	if req.Topic == "state" && f.End > 0 {
		f.End++
	}
	return f, err
}

// forgetful is a broker that denies, a few times, to have the next record, and tells the truth about where the partition begins
// and ends: as when the leader of a partition changes between the two questions.
type forgetful struct {
	*stagetest.Broker
	denied *atomic.Int64
}

func (b *forgetful) Fetch(ctx context.Context, req stage.FetchRequest) (stage.Fetched, error) {
	f, err := b.Broker.Fetch(ctx, req)
	if err == nil && len(f.Records) > 0 && req.Topic == "in" && b.denied.Load() > 0 {
		b.denied.Add(-1)
		return stage.Fetched{Start: 0, End: f.End}, stage.ErrOffsetOutOfRange
	}
	return f, err
}

// shortened is a broker that has deleted the records before start.
type shortened struct {
	*stagetest.Broker
	start int64
}

func (b *shortened) Fetch(ctx context.Context, req stage.FetchRequest) (stage.Fetched, error) {
	if req.Topic == "in" && req.Partition == 0 && req.Offset >= 0 && req.Offset < b.start {
		return stage.Fetched{Start: b.start, End: 3}, stage.ErrOffsetOutOfRange
	}
	if req.Topic == "in" && req.Partition == 0 && req.Offset < 0 {
		req.Offset = 0
		return b.Fetch(ctx, req)
	}
	return b.Broker.Fetch(ctx, req)
}

// refuser is a sink's handler that accepts nothing.
type refuser struct{}

func (refuser) Accept(context.Context, stage.Record) error {
	return stage.Permanent("BAD", errors.New("nobody can read this"))
}
func (refuser) Drain(context.Context) error { return nil }

func header(r stage.Record, key string) string { return string(r.Header(key)) }

func TestTrouble(t *testing.T) {
	t.Parallel()
	test := func(name string, f func(*testing.T, *testBundle)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { f(t, setup(t)) })
		})
	}
	large := stage.Record{Key: []byte("k"), Value: []byte(strings.Repeat("x", 100)), Headers: []stage.Header{{Key: "own", Value: []byte("h")}}}
	// bare expects the one dead letter of large, without its bytes.
	bare := func(t *testing.T, b *testBundle, reason string) {
		t.Helper()
		dead := b.Records("dead")
		require.Len(t, dead, 1)
		require.Empty(t, dead[0].Value)
		require.NotNil(t, dead[0].Value, "not a tombstone")
		require.Empty(t, header(dead[0], "own"))
		require.Equal(t, reason, header(dead[0], stage.HeaderDeadReason))
		require.Equal(t, "100", header(dead[0], stage.HeaderDeadBytes))
		require.Len(t, header(dead[0], stage.HeaderDeadHash), 64)
	}

	test("DeadLettersWithoutItsBytesWhatIsTooLargeForEveryTopic", func(t *testing.T, b *testBundle) {
		b.deps.Broker = &narrow{Broker: b.Broker, limits: map[string]int{"out": 50, "dead": 50}}
		s, stop := b.run(stagetest.Copy("out"))
		b.Append("in", 0, record("before"), large, record("after"))
		pass(time.Minute)
		require.EqualValues(t, 3, b.Committed(group))
		require.Len(t, b.Records("out"), 2)
		bare(t, b, stage.ReasonTooLarge)
		require.EqualValues(t, 1, s.Stats().Dead)
		stop()
	})

	test("KeepsTheHandlersReasonWhenItsDeadLetterIsTooLarge", func(t *testing.T, b *testBundle) {
		b.deps.Broker = &narrow{Broker: b.Broker, limits: map[string]int{"dead": 50}}
		_, stop := b.run(stagetest.Func(func(_ context.Context, batch []stage.Record, out *stage.Outbox) error {
			for _, r := range batch {
				out.Send(stage.Message{Topic: "out", Value: []byte("told")})
				out.DeadLetter(r, "BAD", "nobody can read this")
			}
			return nil
		}))
		b.Append("in", 0, large)
		pass(time.Minute)
		require.EqualValues(t, 1, b.Committed(group))
		require.NotEmpty(t, b.Records("out"), "what the handler had to tell is told")
		bare(t, b, "BAD")
		stop()
	})

	test("DeadLettersWithoutItsBytesWhatASinkCannotAccept", func(t *testing.T, b *testBundle) {
		b.deps.Broker = &narrow{Broker: b.Broker, limits: map[string]int{"dead": 50}}
		s, err := stage.NewSink(b.cfg, b.deps, func(stage.Partition, *stage.Table, stage.Port) (stage.SinkHandler, error) {
			return refuser{}, nil
		})
		require.NoError(t, err)
		stop := b.start(s)
		b.Append("in", 0, large)
		pass(time.Minute)
		require.EqualValues(t, 1, b.Committed(group))
		bare(t, b, "BAD")
		stop()
	})

	test("PausesWhenNoDeadLetterFits", func(t *testing.T, b *testBundle) {
		b.deps.Broker = &narrow{Broker: b.Broker, limits: map[string]int{"out": 50, "dead": -1}}
		s, stop := b.run(stagetest.Copy("out"))
		b.Append("in", 0, large)
		pass(2 * b.cfg.RetryBudget)
		require.ErrorContains(t, s.Ready(), "paused")
		require.Zero(t, b.Committed(group))
		stop()
	})

	test("SkipsNothingWhenABrokerDeniesAnOffsetThatItHas", func(t *testing.T, b *testBundle) {
		var denied atomic.Int64
		b.deps.Broker = &forgetful{Broker: b.Broker, denied: &denied}
		_, stop := b.run(stagetest.Copy("out"))
		b.Append("in", 0, record("a"), record("b"))
		pass(time.Second)
		denied.Store(3)
		b.Append("in", 0, record("c"), record("d"))
		pass(time.Minute)
		require.Zero(t, denied.Load())
		require.Len(t, b.Records("out"), 4)
		require.EqualValues(t, 4, b.Committed(group))
		stop()
	})

	test("GoesOnFromTheOldestRecordWhenTheTopicHasDeletedTheNext", func(t *testing.T, b *testBundle) {
		b.Append("in", 0, record("a"), record("b"), record("c"))
		b.deps.Broker = &shortened{Broker: b.Broker, start: 2}
		_, stop := b.run(stagetest.Copy("out"))
		pass(time.Minute)
		require.Len(t, b.Records("out"), 1)
		require.EqualValues(t, 3, b.Committed(group))
		stop()
	})

	test("DoesNotTickWhileItCannotSeeWhatIsWaiting", func(t *testing.T, b *testBundle) {
		var ticks atomic.Int64
		_, stop := b.run(func(stage.Partition, *stage.Table) (stage.Processor, error) {
			return &counting{ticks: &ticks}, nil
		})
		pass(10 * time.Second)
		require.Positive(t, ticks.Load())
		b.Fail(func(op stagetest.Operation) error {
			if op.Kind == "fetch" {
				return errors.New("the partition has no leader")
			}
			return nil
		})
		pass(10 * time.Second)
		before := ticks.Load()
		pass(time.Minute)
		require.Equal(t, before, ticks.Load(), "silence cannot be told from deafness")
		b.Fail(nil)
		pass(10 * time.Second)
		require.Greater(t, ticks.Load(), before)
		stop()
	})

	test("SavesStateOnlyWhileItsSessionIsSure", func(t *testing.T, b *testBundle) {
		var left []time.Duration
		b.deps.Broker = &narrow{Broker: b.Broker, saved: func(ctx context.Context) {
			deadline, ok := ctx.Deadline()
			require.True(t, ok)
			left = append(left, time.Until(deadline))
		}}
		_, stop := b.run(func(_ stage.Partition, state *stage.Table) (stage.Processor, error) {
			return process(func(context.Context, []stage.Record, *stage.Outbox) error {
				state.Put("k", []byte("v"))
				return nil
			}), nil
		})
		for range 4 {
			b.Append("in", 0, record("x"))
			pass(3 * time.Second)
		}
		stop()
		require.Len(t, left, 4)
		for _, d := range left {
			require.Positive(t, d)
			require.LessOrEqual(t, d, b.cfg.SessionTimeout)
		}
	})

	test("SaysSoWhenItsStateCannotBeReadToItsEnd", func(t *testing.T, b *testBundle) {
		b.Append("state", 0, record("x"))
		b.deps.Broker = &truncated{b.Broker}
		s, stop := b.run(stagetest.Copy("out"))
		pass(3 * b.cfg.StallAfter)
		require.ErrorContains(t, s.Ready(), "nothing comes at offset 1, before the end at 2")
		stop()
	})
}

// counting counts its ticks.
type counting struct{ ticks *atomic.Int64 }

func (*counting) Process(context.Context, []stage.Record, *stage.Outbox) error { return nil }

func (c *counting) Tick(context.Context, time.Time, *stage.Outbox) error {
	c.ticks.Add(1)
	return nil
}
