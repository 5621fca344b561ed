package stage_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
)

// keeper is a sink handler that lends its port to the test.
type keeper struct {
	port chan stage.Port
}

func (k *keeper) new(p stage.Partition, _ *stage.Table, port stage.Port) (stage.SinkHandler, error) {
	if p.ID == 0 {
		k.port <- port
	}
	return k, nil
}

func (*keeper) Accept(context.Context, stage.Record) error { return nil }
func (*keeper) Drain(context.Context) error                { return nil }

func TestPort(t *testing.T) {
	t.Parallel()
	test := func(name string, f func(*testing.T, *testBundle, stage.Port, func())) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t)
				k := &keeper{port: make(chan stage.Port, 1)}
				s, err := stage.NewSink(b.cfg, b.deps, k.new)
				require.NoError(t, err)
				stop := b.start(s)
				f(t, b, <-k.port, sync.OnceFunc(stop))
			})
		})
	}

	test("WritesConcurrentCallsTogether", func(t *testing.T, b *testBundle, port stage.Port, stop func()) {
		defer stop()
		var mu sync.Mutex
		writes := 0
		b.Fail(func(op stagetest.Operation) error {
			if op.Kind == "produce" {
				mu.Lock()
				writes++
				mu.Unlock()
				pass(10 * time.Millisecond)
			}
			return nil
		})
		var calls sync.WaitGroup
		for i := range 100 {
			calls.Go(func() {
				m := stage.Message{Topic: "out", Key: []byte("k"), Value: fmt.Append(nil, i)}
				require.NoError(t, port.Publish(t.Context(), m))
			})
		}
		calls.Wait()
		require.Len(t, b.Records("out"), 100)
		require.LessOrEqual(t, writes, 3)
	})

	test("AppliesWhatItSaves", func(t *testing.T, b *testBundle, port stage.Port, stop func()) {
		defer stop()
		require.NoError(t, port.Save(t.Context(), stage.Entry{Key: "a", Value: []byte("1")}, stage.Entry{Key: "b"}))
		state := b.Records("state")
		require.Len(t, state, 2)
		require.Nil(t, state[1].Value, "a deletion is a tombstone")
	})

	test("FailsOnlyTheCallThatIsTooLarge", func(t *testing.T, b *testBundle, port stage.Port, stop func()) {
		defer stop()
		block := make(chan struct{})
		first := true
		b.Fail(func(op stagetest.Operation) error {
			if op.Kind == "produce" && first {
				first = false
				<-block // so that the calls below are written together
			}
			if op.Topic == "huge" {
				return &stage.TooLargeError{Topic: op.Topic}
			}
			return nil
		})
		results := make(chan error, 3)
		send := func(topic string) {
			go func() { results <- port.Publish(t.Context(), stage.Message{Topic: topic, Value: []byte("x")}) }()
			synctest.Wait()
		}
		send("out")
		send("huge")
		send("out")
		close(block)
		var failed []error
		for range 3 {
			if err := <-results; err != nil {
				failed = append(failed, err)
			}
		}
		require.Len(t, failed, 1)
		reason, permanent := stage.PermanentReason(failed[0])
		require.True(t, permanent)
		require.Equal(t, stage.ReasonTooLarge, reason)
		require.Len(t, b.Records("out"), 2)
	})

	test("RetriesUntilTheBrokerIsBack", func(t *testing.T, b *testBundle, port stage.Port, stop func()) {
		defer stop()
		until := time.Now().Add(time.Hour)
		b.Fail(func(op stagetest.Operation) error {
			if op.Kind == "produce" && time.Now().Before(until) {
				return errors.New("broker away")
			}
			return nil
		})
		require.NoError(t, port.Publish(t.Context(), stage.Message{Topic: "out", Value: []byte("x")}))
		require.Len(t, b.Records("out"), 1)
	})

	test("LetsACallerGoWhoseContextEnds", func(t *testing.T, b *testBundle, port stage.Port, stop func()) {
		defer stop()
		b.Fail(func(op stagetest.Operation) error {
			if op.Kind == "produce" {
				return errors.New("broker away")
			}
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, port.Publish(ctx, stage.Message{Topic: "out"}), context.DeadlineExceeded)
	})

	test("RefusesWorkOnceThePartitionIsGone", func(t *testing.T, _ *testBundle, port stage.Port, stop func()) {
		stop()
		require.Error(t, port.Publish(t.Context(), stage.Message{Topic: "out"}))
		require.Error(t, port.Save(t.Context(), stage.Entry{Key: "a"}))
		port.Settle(1) // too late, and harmless
	})
}
