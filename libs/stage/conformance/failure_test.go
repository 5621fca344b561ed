package conformance_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
)

func TestFailure(t *testing.T) {
	t.Parallel()

	poisons := map[string]struct {
		reason string
		fail   func() error
	}{
		"PermanentError": {"BAD_SCHEMA", func() error { return stage.Permanent("BAD_SCHEMA", errors.New("no such field")) }},
		"Panic":          {stage.ReasonPanic, func() error { panic("secret of a customer") }},
	}
	for name, poison := range poisons {
		t.Run("DeadLettersTheOneRecordThatFailsFor"+name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.send(10, 0, 100)
			original := []byte{0xff, 0x00, 'p', 'o', 'i', 's', 'o', 'n'}
			b.Send(stage.Message{
				Topic: b.in, Key: []byte("key-3"), Value: original, ID: "bad", Type: "test.v1",
				Headers: []stage.Header{{Key: "x", Value: []byte("kept")}},
			})
			b.send(10, 100, 100)
			faulty := &stagetest.Faulty{Poison: func(r stage.Record) error {
				if bytes.Equal(r.Value, original) {
					return poison.fail()
				}
				return nil
			}}
			s := b.run(b.stateful(), faulty.Wrap(newCounter(b.out)))
			s.await("all records", func(st stage.Stats) bool { return st.In == 2001 && st.Dead == 1 })
			require.NoError(t, s.Ready())
			s.end()

			b.checkCounts(10, 200)
			dead := b.Records(b.dead)
			require.Len(t, dead, 1)
			require.Equal(t, original, dead[0].Value)
			require.Equal(t, "key-3", string(dead[0].Key))
			require.Equal(t, "kept", string(dead[0].Header("x")))
			require.Equal(t, "bad", string(dead[0].Header(stage.HeaderID)))
			require.Equal(t, poison.reason, string(dead[0].Header(stage.HeaderDeadReason)))
			require.NotContains(t, string(dead[0].Header(stage.HeaderDeadDetail)), "secret")
			require.Less(t, faulty.Calls(), 60, "the poison is found by halving, not one by one")
		})
	}

	t.Run("DeadLettersWhatCannotBeProducedBecauseItIsTooLarge", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.send(4, 0, 50)
		b.Send(stage.Message{Topic: b.in, Key: []byte("big"), Value: []byte("grow"), ID: "big", Type: "test.v1"})
		b.send(4, 50, 50)
		s := b.run(b.config(), stagetest.Func(func(_ context.Context, batch []stage.Record, out *stage.Outbox) error {
			for _, r := range batch {
				value := r.Value
				if string(value) == "grow" {
					value = make([]byte, 3<<20)
				}
				out.Send(stage.Message{Topic: b.out, Key: r.Key, Value: value, ID: string(r.Header(stage.HeaderID)), Type: "test.v1"})
			}
			return nil
		}))
		s.await("all records", func(st stage.Stats) bool { return st.In == 401 })
		s.end()
		dead := b.Records(b.dead)
		require.Len(t, dead, 1)
		require.Equal(t, stage.ReasonTooLarge, string(dead[0].Header(stage.HeaderDeadReason)))
		require.Equal(t, "grow", string(dead[0].Value))
	})

	t.Run("PausesAfterTheRetryBudgetAndGoesOnWhenTheFaultPasses", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		faulty := &stagetest.Faulty{}
		faulty.Fail(true)
		s := b.run(b.stateful(), faulty.Wrap(newCounter(b.out)))
		b.send(10, 0, 20)
		require.Eventually(t, func() bool {
			err := s.Ready()
			return err != nil && strings.Contains(err.Error(), "paused") && errors.Is(err, stagetest.ErrTransient)
		}, 2*time.Minute, 5*time.Millisecond)
		require.Zero(t, s.Stats().In)
		require.Zero(t, b.Committed(b.group, b.in), "nothing is skipped")
		faulty.Fail(false)
		s.await("all records", func(st stage.Stats) bool { return st.In == 200 })
		require.NoError(t, s.Ready())
		s.end()
		b.checkCounts(10, 20)
	})

	t.Run("StopsWhilePaused", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		faulty := &stagetest.Faulty{}
		faulty.Fail(true)
		cfg := b.config()
		cfg.DrainTimeout = 100 * time.Millisecond
		s := b.run(cfg, faulty.Wrap(stagetest.Copy(b.out)))
		b.send(10, 0, 20)
		require.Eventually(t, func() bool { return faulty.Calls() > 5 }, 2*time.Minute, 5*time.Millisecond)
		s.end()
		require.Zero(t, b.Committed(b.group, b.in))
	})

	t.Run("RefusesStateOfANewerVersionAndTouchesNothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.Send(stage.Message{Topic: b.state, Key: []byte("key-1"), Value: []byte{2, 0, 0}})
		b.send(20, 0, 1)
		s := b.run(b.stateful(), newCounter(b.out))
		require.Eventually(t, func() bool {
			err := s.Ready()
			return err != nil && strings.Contains(err.Error(), `"key-1" was written by a newer version (2); deploy that version`)
		}, 2*time.Minute, 5*time.Millisecond)
		s.end()
		bad := b.PartitionFor([]byte("key-1"), partitions)
		lags, err := b.Lag(t.Context(), b.group, b.in)
		require.NoError(t, err)
		require.LessOrEqual(t, lags[bad].Committed, int64(0), "no record of that partition was settled")
	})

	t.Run("RestoresStateAfterRebuilding", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var builds atomic.Int64
		newProcessor := func(p stage.Partition, state *stage.Table) (stage.Processor, error) {
			if builds.Add(1) <= partitions {
				state.Put("half", []byte("built"))
				return nil, errors.New("a processor that cannot be built yet")
			}
			return newCounter(b.out)(p, state)
		}
		b.send(10, 0, 10)
		s := b.run(b.stateful(), newProcessor)
		s.await("all records", func(st stage.Stats) bool { return st.In == 100 })
		s.end()
		b.checkCounts(10, 10)
	})
}
