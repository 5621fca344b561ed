package conformance_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/libs/stage/kafka/kafkatest"
)

const partitions = 4

// testBundle is a cluster with the topics of one stage.
type testBundle struct {
	*kafkatest.Cluster
	t                    *testing.T
	in, out, state, dead string
	group                string
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	return setupAt(t, kafkatest.New(t))
}

func setupAt(t *testing.T, c *kafkatest.Cluster) *testBundle {
	t.Helper()
	return &testBundle{
		Cluster: c, t: t, group: c.Name("group"),
		in:    c.Topic("in", partitions),
		out:   c.Topic("out", partitions),
		state: c.Create(kafka.TopicSpec{Name: "state", Partitions: partitions, Compacted: true}),
		dead:  c.Create(kafka.TopicSpec{Name: "dead", Partitions: 1, MaxMessageBytes: 8 << 20}),
	}
}

func (b *testBundle) config() stage.Config {
	cfg := stage.DefaultConfig("test", b.in)
	cfg.Group, cfg.DeadLetterTopic = b.group, b.dead
	cfg.RetryMin, cfg.RetryMax, cfg.RetryBudget = time.Millisecond, 20*time.Millisecond, 200*time.Millisecond
	cfg.BatchWait, cfg.TickEvery = 5*time.Millisecond, 20*time.Millisecond
	// A machine that stands still for a while is no reason to be taken for dead, or to leave work behind.
	cfg.SessionTimeout, cfg.DrainTimeout = time.Minute, time.Minute
	return cfg
}

// moving is for members that come and go: that another one has come is noticed at a heartbeat, and there are several in a session.
func (b *testBundle) moving() stage.Config {
	cfg := b.stateful()
	cfg.SessionTimeout = 20 * time.Second
	return cfg
}

func (b *testBundle) stateful() stage.Config {
	cfg := b.config()
	cfg.StateTopic = b.state
	return cfg
}

func (b *testBundle) deps() stage.Deps {
	return stage.Deps{Broker: b.Client, Logger: slog.New(slog.NewTextHandler(b.t.Output(), nil))}
}

// running is a stage that runs.
type running struct {
	*stage.Stage
	t    *testing.T
	stop context.CancelFunc
	done chan error
}

func (b *testBundle) run(cfg stage.Config, newProcessor stage.NewProcessor) *running {
	b.t.Helper()
	s, err := stage.NewPipeline(cfg, b.deps(), newProcessor)
	require.NoError(b.t, err)
	return start(b.t, s)
}

func (b *testBundle) runSink(cfg stage.Config, newHandler stage.NewSinkHandler) *running {
	b.t.Helper()
	s, err := stage.NewSink(cfg, b.deps(), newHandler)
	require.NoError(b.t, err)
	return start(b.t, s)
}

func start(t *testing.T, s *stage.Stage) *running {
	ctx, stop := context.WithCancel(context.Background())
	r := &running{Stage: s, t: t, stop: stop, done: make(chan error, 1)}
	go func() { r.done <- s.Run(ctx) }()
	t.Cleanup(func() { stop() })
	return r
}

// end stops the stage and waits until it has drained.
func (r *running) end() {
	r.t.Helper()
	r.stop()
	select {
	case err := <-r.done:
		require.NoError(r.t, err)
	case <-time.After(2 * time.Minute):
		r.t.Fatal("the stage does not stop")
	}
}

func (r *running) await(what string, cond func(stage.Stats) bool) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return cond(r.Stats()) }, 2*time.Minute, 2*time.Millisecond, what)
}

// send publishes n records spread over keys, numbered per key from first on.
func (b *testBundle) send(keys, first, perKey int) {
	b.t.Helper()
	var messages []stage.Message
	for i := first; i < first+perKey; i++ {
		for k := range keys {
			key := fmt.Sprintf("key-%d", k)
			messages = append(messages, stage.Message{
				Topic: b.in, Key: []byte(key), Value: strconv.AppendInt(nil, int64(i), 10),
				ID: fmt.Sprintf("%s-%d", key, i), Type: "test.v1", Time: time.Unix(int64(i), 0),
			})
		}
	}
	b.Send(messages...)
}

// newCounter returns processors that count records per key and say the count of each. Their state holds, per key, the count and the offset of the
// last record that they have seen, so a repeated record is recognised; a revision is that offset.

func newCounter(out string) stage.NewProcessor {
	return func(_ stage.Partition, state *stage.Table) (stage.Processor, error) {
		var err error
		state.Range(func(key string, value []byte) bool {
			if len(value) != 17 || value[0] != 1 {
				err = fmt.Errorf("state entry %q was written by a newer version (%d); deploy that version", key, value[0])
			}
			return err == nil
		})
		return &countTo{out: out, state: state}, err
	}
}

type countTo struct {
	out   string
	state *stage.Table
}

func (c *countTo) Process(_ context.Context, batch []stage.Record, out *stage.Outbox) error {
	for i := range batch {
		r := &batch[i]
		count, seen := decodeCount(c.state, string(r.Key))
		if r.Offset <= seen {
			continue
		}
		count++
		c.state.Put(string(r.Key), encodeCount(count, r.Offset))
		out.Send(stage.Message{
			Topic: c.out, Key: r.Key, ID: string(r.Key) + "@" + strconv.FormatInt(r.Offset, 10), Type: "count.v1",
			Value: fmt.Appendf(nil, "%d %d %s", count, r.Offset, r.Value), Time: r.Time, TraceParent: r.TraceParent(),
		})
	}
	return nil
}

func encodeCount(count, seen int64) []byte {
	b := append(make([]byte, 0, 17), 1)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, uint64(count)), uint64(seen))
}

func decodeCount(t *stage.Table, key string) (count, seen int64) {
	v, ok := t.Get(key)
	if !ok {
		return 0, -1
	}
	return int64(binary.BigEndian.Uint64(v[1:])), int64(binary.BigEndian.Uint64(v[9:]))
}

// checkCounts demands that what the counter said amounts to every record of every key once, in order: repeats must say
// what was said before, and after dropping them counts rise by one.
func (b *testBundle) checkCounts(keys, perKey int) {
	b.t.Helper()
	said := map[string]map[int64]string{}
	last := map[string]int64{}
	for _, r := range b.Records(b.out) {
		key := string(r.Key)
		var count, offset int64
		_, err := fmt.Sscan(string(r.Value), &count, &offset)
		require.NoError(b.t, err)
		if said[key] == nil {
			said[key] = map[int64]string{}
		}
		if before, ok := said[key][count]; ok {
			require.Equal(b.t, before, string(r.Value), "a repeated output of %s differs", key)
			continue
		}
		said[key][count] = string(r.Value)
		require.Equal(b.t, last[key]+1, count, "count of %s at output offset %d", key, r.Offset)
		require.True(b.t, strings.HasSuffix(string(r.Value), " "+strconv.FormatInt(count-1, 10)),
			"%s: record %q is counted as number %d", key, r.Value, count)
		last[key] = count
	}
	require.Len(b.t, last, keys)
	for key, n := range last {
		require.EqualValues(b.t, perKey, n, "records of %s", key)
	}
}
