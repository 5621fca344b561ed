package stage_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
)

const group = "tl-test"

// testBundle is a broker in memory and a stage on it, inside a synctest bubble: time passes only when everything waits.
type testBundle struct {
	*stagetest.Broker
	t    *testing.T
	cfg  stage.Config
	deps stage.Deps
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	b := stagetest.NewBroker()
	b.Create("in", 2)
	b.Create("out", 2)
	b.Create("state", 2)
	b.Create("dead", 1)
	cfg := stage.DefaultConfig("test", "in")
	cfg.StateTopic, cfg.DeadLetterTopic = "state", "dead"
	return &testBundle{Broker: b, t: t, cfg: cfg, deps: stage.Deps{Broker: b}}
}

func (b *testBundle) fill(n int) {
	for i := range n {
		b.Append("in", i%2, record(strconv.Itoa(i)))
	}
}

// pass lets virtual time pass.
func pass(d time.Duration) { <-time.After(d) }

func record(id string) stage.Record {
	return stage.Record{
		Key: []byte("k" + id), Value: []byte(id),
		Headers: []stage.Header{{Key: stage.HeaderID, Value: []byte(id)}},
	}
}

// run starts a stage and returns it with a function that stops it.
func (b *testBundle) run(newProcessor stage.NewProcessor) (*stage.Stage, func()) {
	b.t.Helper()
	s, err := stage.NewPipeline(b.cfg, b.deps, newProcessor)
	require.NoError(b.t, err)
	return s, b.start(s)
}

func (b *testBundle) start(s *stage.Stage) func() {
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(b.t, <-done)
	}
}

func TestRuntime(t *testing.T) {
	t.Parallel()
	test := func(name string, f func(*testing.T, *testBundle)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { f(t, setup(t)) })
		})
	}

	test("PausesExactlyWhenTheBudgetIsUsedUp", func(t *testing.T, b *testBundle) {
		b.cfg.RetryBudget = time.Minute
		faulty := &stagetest.Faulty{}
		faulty.Fail(true)
		s, stop := b.run(faulty.Wrap(stagetest.Copy("out")))
		b.fill(2)
		pass(50 * time.Second)
		require.NoError(t, s.Ready(), "within the budget")
		pass(20 * time.Second)
		require.ErrorIs(t, s.Ready(), stagetest.ErrTransient)
		require.ErrorContains(t, s.Ready(), "paused")
		before := faulty.Calls()
		pass(time.Hour)
		require.Greater(t, faulty.Calls(), before+1000, "it keeps trying")
		require.Less(t, faulty.Calls(), before+3000, "but not often")
		faulty.Fail(false)
		pass(15 * time.Second)
		require.NoError(t, s.Ready())
		require.EqualValues(t, 2, b.Committed(group))
		stop()
	})

	test("DoesNotSaveStateOfAPartitionItHasLost", func(t *testing.T, b *testBundle) {
		frozen := make(chan struct{})
		s, stop := b.run(func(_ stage.Partition, state *stage.Table) (stage.Processor, error) {
			return process(func(_ context.Context, batch []stage.Record, _ *stage.Outbox) error {
				if batch[0].Offset == 1 {
					<-frozen // as a process that is suspended
				}
				state.Put("k", fmt.Appendf(nil, "%d", batch[0].Offset))
				return nil
			}), nil
		})
		b.Append("in", 0, record("a"))
		pass(time.Second)
		require.Len(t, b.Records("state"), 1)
		b.Append("in", 0, record("b"))
		pass(time.Hour)
		b.Fence(group)
		close(frozen)
		pass(2 * time.Second)
		// The first attempt was refused before it wrote; the generation that followed wrote once.
		require.Len(t, b.Records("state"), 2)
		require.EqualValues(t, 2, b.Committed(group))
		require.EqualValues(t, 2, s.Stats().In)
		stop()
	})

	test("DoesNotSaveStateBeforeItKnowsThatItIsStillCountedIn", func(t *testing.T, b *testBundle) {
		var begun atomic.Int64
		_, stop := b.run(func(_ stage.Partition, state *stage.Table) (stage.Processor, error) {
			if begun.Add(1) == 3 { // the first partition of the second generation
				b.Fence(group) // the assignment came to a process that was frozen on the way to here
			}
			return process(func(_ context.Context, batch []stage.Record, _ *stage.Outbox) error {
				state.Put("k", batch[len(batch)-1].Value)
				return nil
			}), nil
		})
		b.Append("in", 0, record("a"))
		pass(time.Second)
		require.Len(t, b.Records("state"), 1)
		b.Rebalance(group)
		b.Append("in", 0, record("b"))
		pass(time.Second)
		require.Len(t, b.Records("state"), 2, "saved by the third generation only")
		require.EqualValues(t, 2, b.Committed(group))
		stop()
	})

	test("IsReadyWhileItHandlesTheFirstRecordAfterALongSilence", func(t *testing.T, b *testBundle) {
		handled := make(chan struct{})
		s, stop := b.run(func(stage.Partition, *stage.Table) (stage.Processor, error) {
			return process(func(_ context.Context, batch []stage.Record, _ *stage.Outbox) error {
				if batch[0].Offset > 0 {
					<-handled
				}
				return nil
			}), nil
		})
		b.Append("in", 0, record("a"))
		pass(time.Hour)
		b.Append("in", 0, record("b"))
		pass(time.Second)
		require.NoError(t, s.Ready(), "it has waited for a second")
		pass(2 * b.cfg.StallAfter)
		require.ErrorContains(t, s.Ready(), "no progress")
		close(handled)
		stop()
	})

	test("StartsOverWhenACommitFails", func(t *testing.T, b *testBundle) {
		var failures atomic.Int64
		b.Fail(func(op stagetest.Operation) error {
			if op.Kind == "commit" && failures.Add(1) <= 3 {
				return errors.New("connection reset")
			}
			return nil
		})
		s, stop := b.run(stagetest.Copy("out"))
		b.fill(100)
		pass(10 * time.Second)
		require.EqualValues(t, 100, b.Committed(group))
		require.GreaterOrEqual(t, len(b.Records("out")), 100)
		require.NoError(t, s.Ready())
		stop()
	})

	test("RetriesOutputsWithoutHandlingTheBatchAgain", func(t *testing.T, b *testBundle) {
		var failures atomic.Int64
		b.Fail(func(op stagetest.Operation) error {
			if (op.Kind == "produce" || op.Kind == "save") && failures.Add(1)%3 != 0 {
				return errors.New("broker away")
			}
			return nil
		})
		var calls atomic.Int64
		s, stop := b.run(func(_ stage.Partition, state *stage.Table) (stage.Processor, error) {
			return process(func(_ context.Context, batch []stage.Record, out *stage.Outbox) error {
				calls.Add(1)
				state.Put("last", batch[len(batch)-1].Value)
				out.Send(stage.Message{Topic: "out", Key: []byte("k"), Value: batch[0].Value})
				return nil
			}), nil
		})
		b.Append("in", 0, record("1"), record("2"))
		pass(time.Minute)
		require.EqualValues(t, 1, calls.Load())
		require.Len(t, b.Records("out"), 1)
		require.Len(t, b.Records("state"), 1)
		require.EqualValues(t, 2, s.Stats().In)
		stop()
	})

	test("WaitsForTheDeadLetterRatherThanLosingTheRecord", func(t *testing.T, b *testBundle) {
		var failures atomic.Int64
		b.deps.DeadLetter = func(d stage.DeadLetter) (stage.Message, error) {
			if failures.Add(1) < 5 {
				return stage.Message{}, errors.New("no key to seal it with")
			}
			require.Equal(t, "test", d.Stage)
			require.Equal(t, "BAD", d.Reason)
			return stage.Message{Topic: "dead", Key: d.Record.Key, Value: d.Record.Value}, nil
		}
		_, stop := b.run(stagetest.Func(func(_ context.Context, batch []stage.Record, out *stage.Outbox) error {
			for _, r := range batch {
				out.DeadLetter(r, "BAD", "always")
			}
			return nil
		}))
		b.Append("in", 0, record("1"))
		pass(time.Minute)
		require.Len(t, b.Records("dead"), 1)
		require.EqualValues(t, 1, b.Committed(group))
		stop()
	})

	test("GivesUpAPoisonedTickAndGoesOn", func(t *testing.T, b *testBundle) {
		clock := stagetest.NewClock(time.Unix(1000, 0))
		b.deps.Clock = clock
		p := &clockwork{}
		_, stop := b.run(func(stage.Partition, *stage.Table) (stage.Processor, error) { return p, nil })
		pass(3500 * time.Millisecond)
		require.GreaterOrEqual(t, p.ticks.Load(), int64(3))
		require.Empty(t, b.Records("out"), "every tick panics so far")
		clock.Set(time.Unix(2000, 0))
		pass(2 * time.Second)
		require.NotEmpty(t, b.Records("out"))
		require.Equal(t, "2000", string(b.Records("out")[0].Value))
		stop()
	})

	test("GoesOnFromWhatTheBrokerHasWhenOffsetsAreGone", func(t *testing.T, b *testBundle) {
		b.fill(10)
		s, stop := b.run(stagetest.Copy("out"))
		pass(time.Second)
		require.EqualValues(t, 10, s.Stats().In)
		stop()
		b.Create("in", 2) // the log is empty again
		s, stop = b.run(stagetest.Copy("out"))
		pass(time.Second)
		b.fill(4)
		pass(2 * time.Second)
		require.EqualValues(t, 4, s.Stats().In)
		stop()
	})

	test("ReportsAPartitionWithoutProgress", func(t *testing.T, b *testBundle) {
		release := make(chan struct{})
		s, stop := b.run(stagetest.Func(func(context.Context, []stage.Record, *stage.Outbox) error {
			<-release
			return nil
		}))
		b.fill(2)
		pass(30 * time.Second)
		require.NoError(t, s.Ready())
		pass(2 * time.Minute)
		require.ErrorContains(t, s.Ready(), "no progress for")
		close(release)
		stop()
	})

	test("RunsOneAtATimeAndAgainAfterwards", func(t *testing.T, b *testBundle) {
		s, stop := b.run(stagetest.Copy("out"))
		synctest.Wait()
		require.ErrorContains(t, s.Run(t.Context()), "already running")
		stop()
		require.ErrorContains(t, s.Ready(), "not running")
		b.fill(4)
		again := b.start(s)
		pass(time.Second)
		again()
		require.EqualValues(t, 4, s.Stats().In)
	})

	test("StopsAtOnceWhileItsHandlerFails", func(t *testing.T, b *testBundle) {
		faulty := &stagetest.Faulty{}
		faulty.Fail(true)
		_, stop := b.run(faulty.Wrap(stagetest.Copy("out")))
		b.fill(2)
		pass(time.Minute)
		start := time.Now()
		stop()
		require.LessOrEqual(t, time.Since(start), b.cfg.RetryMax*2)
		require.Zero(t, b.Committed(group))
	})

	test("AbandonsABatchThatOutlastsTheDrainTimeout", func(t *testing.T, b *testBundle) {
		_, stop := b.run(stagetest.Func(func(ctx context.Context, _ []stage.Record, _ *stage.Outbox) error {
			<-ctx.Done()
			return ctx.Err()
		}))
		b.fill(2)
		pass(time.Second)
		start := time.Now()
		stop()
		require.Equal(t, b.cfg.DrainTimeout, time.Since(start).Round(time.Second))
		require.Zero(t, b.Committed(group))
	})
}

// process makes a Processor of a function.
type process func(context.Context, []stage.Record, *stage.Outbox) error

func (f process) Process(ctx context.Context, batch []stage.Record, out *stage.Outbox) error {
	return f(ctx, batch, out)
}

// clockwork panics in every tick before Unix time 2000.
type clockwork struct{ ticks atomic.Int64 }

func (*clockwork) Process(context.Context, []stage.Record, *stage.Outbox) error { return nil }

func (p *clockwork) Tick(_ context.Context, now time.Time, out *stage.Outbox) error {
	p.ticks.Add(1)
	out.Send(stage.Message{Topic: "out", Key: []byte("k"), Value: fmt.Appendf(nil, "%d", now.Unix())})
	if now.Unix() < 2000 {
		panic("too early")
	}
	return nil
}

func TestStopsCleanly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.BatchRecords = 7
	b.fill(2000)

	t.Run("Pipeline", func(t *testing.T) {
		t.Parallel()
		stagetest.VerifyDrain(t, stagetest.DrainCheck{
			Broker: b.Broker, Topic: "in", Group: "pipeline", New: func() (*stage.Stage, error) {
				cfg := b.cfg
				cfg.Group = "pipeline"
				return stage.NewPipeline(cfg, b.deps, stagetest.Copy("out"))
			},
		})
	})

	t.Run("Sink", func(t *testing.T) {
		t.Parallel()
		stagetest.VerifyDrain(t, stagetest.DrainCheck{
			Broker: b.Broker, Topic: "in", Group: "sink", New: func() (*stage.Stage, error) {
				cfg := b.cfg
				cfg.Group = "sink"
				return stage.NewSink(cfg, b.deps, newSettler)
			},
		})
	})

	t.Run("Stress", func(t *testing.T) {
		t.Parallel()
		s, err := stage.NewPipeline(b.cfg, b.deps, stagetest.Copy("out"))
		require.NoError(t, err)
		for range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx) }()
			cancel()
			require.NoError(t, <-done)
		}
	})
}

// settler settles from another goroutine, one record behind.
type settler struct {
	port    stage.Port
	offsets chan int64
	done    chan struct{}
}

func newSettler(_ stage.Partition, _ *stage.Table, port stage.Port) (stage.SinkHandler, error) {
	s := &settler{port: port, offsets: make(chan int64, 1), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for o := range s.offsets {
			port.Settle(o)
		}
	}()
	return s, nil
}

func (s *settler) Accept(_ context.Context, r stage.Record) error {
	s.offsets <- r.Offset
	return nil
}

func (s *settler) Drain(context.Context) error {
	close(s.offsets)
	<-s.done
	return nil
}
