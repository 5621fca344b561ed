package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
)

// delivery settles records from many goroutines, in random order, after publishing a copy and saving a ledger entry.
type delivery struct {
	out     string
	port    stage.Port
	ledger  *stage.Table
	work    chan stage.Record
	workers sync.WaitGroup
	stop    context.CancelFunc
}

func newDelivery(out string) stage.NewSinkHandler {
	return func(_ stage.Partition, state *stage.Table, port stage.Port) (stage.SinkHandler, error) {
		ctx, stop := context.WithCancel(context.Background())
		d := &delivery{out: out, port: port, ledger: state, work: make(chan stage.Record, 16), stop: stop}
		for range 8 {
			d.workers.Go(func() {
				for r := range d.work {
					d.deliver(ctx, r)
				}
			})
		}
		return d, nil
	}
}

func (d *delivery) Accept(ctx context.Context, r stage.Record) error {
	if string(r.Value) == "bad" {
		return stage.Permanent("BAD_SCHEMA", errors.New("never acceptable"))
	}
	select {
	case d.work <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *delivery) deliver(ctx context.Context, r stage.Record) {
	id := string(r.Header(stage.HeaderID))
	if _, done := d.ledger.Get(id); done {
		d.port.Settle(r.Offset)
		return
	}
	<-time.After(rand.N(time.Millisecond)) // so that records finish in another order
	err := d.port.Publish(ctx, stage.Message{Topic: d.out, Key: r.Key, Value: r.Value, ID: id, Type: "done.v1"})
	if err == nil {
		err = d.port.Save(ctx, stage.Entry{Key: id, Value: []byte("done")})
	}
	if err == nil {
		d.port.Settle(r.Offset)
	}
}

func (d *delivery) Drain(ctx context.Context) error {
	close(d.work)
	defer d.stop()
	done := make(chan struct{})
	go func() {
		d.workers.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// checkDelivered demands every record once or more, and returns how many came twice.
func (b *testBundle) checkDelivered(keys, perKey int) (repeated int) {
	b.t.Helper()
	seen := map[string]int{}
	for _, r := range b.Records(b.out) {
		seen[string(r.Header(stage.HeaderID))]++
	}
	for k := range keys {
		for i := range perKey {
			id := fmt.Sprintf("key-%d-%d", k, i)
			require.Positive(b.t, seen[id], "record %s is lost", id)
			repeated += seen[id] - 1
		}
	}
	require.Len(b.t, seen, keys*perKey)
	return repeated
}

func TestSink(t *testing.T) {
	t.Parallel()

	t.Run("SettlesInAnyOrderAndDrains", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.send(10, 0, 100)
		var handled int64
		for handled < 1000 {
			s := b.runSink(b.stateful(), newDelivery(b.out))
			s.await("some records", func(st stage.Stats) bool { return st.In >= min(300, 1000-handled) })
			s.end()
			handled += s.Stats().In
			require.Equal(t, handled, b.Committed(b.group, b.in), "everything accepted was settled before the stop")
		}
		require.Zero(t, b.checkDelivered(10, 100), "clean stops repeat nothing")
	})

	t.Run("HoldsAtMostMaxUnsettled", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.send(10, 0, 100)
		cfg := b.config()
		cfg.MaxUnsettled = 7
		h := &hoarder{}
		s := b.runSink(cfg, h.new)
		require.Eventually(t, func() bool { return h.held() == 7*partitions }, 2*time.Minute, 5*time.Millisecond)
		for h.held() > 0 {
			h.release(t, 7)
		}
		s.await("all records", func(st stage.Stats) bool {
			h.release(t, 7)
			return st.In == 1000 && st.Lag() == 0
		})
		s.end()
	})

	t.Run("NeverCommitsPastAnUnsettledRecord", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for i := range 100 {
			b.Send(stage.Message{Topic: b.in, Key: []byte("same"), Value: strconv.AppendInt(nil, int64(i), 10)})
		}
		h := &hoarder{}
		s := b.runSink(b.config(), h.new)
		require.Eventually(t, func() bool { return h.held() == 100 }, 2*time.Minute, 5*time.Millisecond)
		h.settleAllBut(17)
		require.Eventually(t, func() bool { return b.HasCommitted(b.group, b.in, 17) }, 2*time.Minute, 5*time.Millisecond)
		s.end()
		require.EqualValues(t, 17, b.Committed(b.group, b.in))
	})

	t.Run("DeadLettersWhatTheHandlerCanNeverAccept", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.send(5, 0, 10)
		b.Send(stage.Message{Topic: b.in, Key: []byte("key-2"), Value: []byte("bad"), ID: "bad", Type: "test.v1"})
		b.send(5, 10, 10)
		s := b.runSink(b.stateful(), newDelivery(b.out))
		s.await("all records", func(st stage.Stats) bool { return st.In == 101 && st.Lag() == 0 })
		s.end()
		require.Zero(t, b.checkDelivered(5, 20))
		dead := b.Records(b.dead)
		require.Len(t, dead, 1)
		require.Equal(t, "bad", string(dead[0].Value))
	})

	t.Run("MovesPartitionsBetweenMembers", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.send(10, 0, 100)
		one := b.runSink(b.moving(), newDelivery(b.out))
		one.await("some records", func(st stage.Stats) bool { return st.In > 100 })
		two := b.runSink(b.moving(), newDelivery(b.out))
		two.await("half of the partitions", func(st stage.Stats) bool { return len(st.Partitions) == partitions/2 })
		one.end()
		two.await("the rest", func(st stage.Stats) bool { return len(st.Partitions) == partitions && st.Lag() == 0 })
		two.end()
		b.checkDelivered(10, 100)
		require.EqualValues(t, 1000, b.Committed(b.group, b.in))
	})
}

// hoarder accepts everything and settles only what it is told to.
type hoarder struct {
	mu   sync.Mutex
	recs []held
}

type held struct {
	port   stage.Port
	offset int64
}

func (h *hoarder) new(_ stage.Partition, _ *stage.Table, port stage.Port) (stage.SinkHandler, error) {
	return &hoarderPartition{h, port}, nil
}

type hoarderPartition struct {
	*hoarder
	port stage.Port
}

func (h *hoarderPartition) Accept(_ context.Context, r stage.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.recs = append(h.recs, held{h.port, r.Offset})
	return nil
}

func (h *hoarderPartition) Drain(context.Context) error { return nil }

func (h *hoarder) held() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.recs)
}

// release settles what is held, newest first, after checking that no partition holds more than limit.
func (h *hoarder) release(t *testing.T, limit int) {
	t.Helper()
	h.mu.Lock()
	recs := h.recs
	h.recs = nil
	h.mu.Unlock()
	perPort := map[stage.Port]int{}
	for _, r := range slices.Backward(recs) {
		perPort[r.port]++
		require.LessOrEqual(t, perPort[r.port], limit)
		r.port.Settle(r.offset)
	}
}

func (h *hoarder) settleAllBut(offset int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	rand.Shuffle(len(h.recs), func(i, j int) { h.recs[i], h.recs[j] = h.recs[j], h.recs[i] })
	for _, r := range h.recs {
		if r.offset != offset {
			r.port.Settle(r.offset)
		}
	}
}
