package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
)

func TestPipeline(t *testing.T) {
	t.Parallel()

	t.Run("KeepsOrderPerKeyAndLosesNothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.send(50, 0, 200)
		s := b.run(b.config(), stagetest.Copy(b.out))
		s.await("all records", func(st stage.Stats) bool { return st.In == 10_000 })
		s.end()

		next := map[string]int{}
		for _, r := range b.Records(b.out) {
			require.Equal(t, strconv.Itoa(next[string(r.Key)]), string(r.Value))
			next[string(r.Key)]++
		}
		require.Len(t, next, 50)
		for key, n := range next {
			require.Equal(t, 200, n, key)
		}
		require.EqualValues(t, 10_000, b.Committed(b.group, b.in))
	})

	t.Run("KeepsKeysInTheirPartition", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.send(40, 0, 5)
		s := b.run(b.config(), stagetest.Copy(b.out))
		s.await("all records", func(st stage.Stats) bool { return st.In == 200 })
		s.end()
		for _, r := range b.Records(b.out) {
			require.Equal(t, b.PartitionFor(r.Key, partitions), r.Partition)
		}
	})

	t.Run("ContinuesAfterRestarts", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var total int64
		for round := range 4 {
			b.send(20, round*25, 25)
			s := b.run(b.stateful(), newCounter(b.out))
			s.await("a part of the records", func(st stage.Stats) bool { return st.In >= 100 })
			s.end()
			total += s.Stats().In
			require.Equal(t, total, b.Committed(b.group, b.in), "what was handled is committed after a stop")
		}
		s := b.run(b.stateful(), newCounter(b.out))
		s.await("the rest", func(st stage.Stats) bool { return total+st.In == 2000 })
		s.end()
		b.checkCounts(20, 100)
	})

	t.Run("MovesPartitionsBetweenMembersWithoutLoss", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		one := b.run(b.moving(), newCounter(b.out))
		b.send(20, 0, 50)
		one.await("the first records", func(st stage.Stats) bool { return st.In >= 1000 })
		two := b.run(b.moving(), newCounter(b.out))
		b.send(20, 50, 50)
		two.await("half of the partitions", func(st stage.Stats) bool { return len(st.Partitions) == partitions/2 })
		b.send(20, 100, 50)
		b.Await(b.out, 3000)
		one.end()
		b.send(20, 150, 50)
		two.await("all partitions", func(st stage.Stats) bool { return len(st.Partitions) == partitions && st.Lag() == 0 })
		b.Await(b.out, 4000)
		two.end()
		b.checkCounts(20, 200)
		require.EqualValues(t, 4000, b.Committed(b.group, b.in))
	})

	t.Run("TicksWhileIdle", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		s := b.run(b.stateful(), newTicking(b.out))
		b.Await(b.out, 2*partitions)
		require.NoError(t, s.Ready())
		s.end()
	})

	t.Run("CarriesLargeMessages", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		value := make([]byte, 900_000)
		for i := range 5 {
			b.Send(stage.Message{Topic: b.in, Key: []byte{byte(i)}, Value: value, ID: strconv.Itoa(i), Type: "test.v1"})
		}
		s := b.run(b.config(), stagetest.Copy(b.out))
		s.await("all records", func(st stage.Stats) bool { return st.In == 5 })
		s.end()
		require.Len(t, b.Records(b.out), 5)
	})

	t.Run("WaitsForItsTopics", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		cfg := b.config()
		cfg.Topic = b.Name("late")
		s := b.run(cfg, stagetest.Copy(b.out))
		require.Eventually(t, func() bool { return errors.Unwrap(s.Ready()) != nil }, 2*time.Minute, 10*time.Millisecond)
		late := b.Topic("late", 2)
		b.Send(stage.Message{Topic: late, Key: []byte("k"), Value: []byte("v")})
		s.await("the record", func(st stage.Stats) bool { return st.In == 1 })
		s.end()
	})

	t.Run("RefusesStateTopicsWithOtherPartitionCounts", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		cfg := b.config()
		cfg.StateTopic = b.Topic("narrow", partitions-1)
		s, err := stage.NewPipeline(cfg, b.deps(), newCounter(b.out))
		require.NoError(t, err)
		require.ErrorContains(t, s.Run(t.Context()), "must have as many")
	})
}

// newTicking returns processors that send their tick's number.
func newTicking(out string) stage.NewProcessor {
	return func(p stage.Partition, _ *stage.Table) (stage.Processor, error) {
		return &ticking{out: out, partition: p.ID}, nil
	}
}

type ticking struct {
	out       string
	partition int
	n         atomic.Int64
}

func (*ticking) Process(context.Context, []stage.Record, *stage.Outbox) error { return nil }

func (p *ticking) Tick(_ context.Context, now time.Time, out *stage.Outbox) error {
	id := fmt.Sprintf("%d-%d", p.partition, p.n.Add(1))
	out.Send(stage.Message{Topic: p.out, Key: []byte(id), ID: id, Type: "tick.v1", Value: []byte(id), Time: now})
	return nil
}
