package demo

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"

	"golang.org/x/time/rate"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/services/generator"
)

// feedBatch is how many events are sent at once.
const feedBatch = 1000

// feeder sends a stream to the customer topic exactly once, even when it was killed on the way: a partition's end says how
// many of its events it has, and the stream repeats exactly.
type feeder struct {
	client *kafka.Client
	topic  string
	// perSecond limits the rate; 0 sends as fast as it can.
	perSecond int
	sent      atomic.Int64
}

// feed returns once every event of the stream is acknowledged by the broker.
func (f *feeder) feed(ctx context.Context, events iter.Seq[generator.Event]) error {
	partitions, err := f.client.Partitions(ctx, f.topic)
	if err != nil {
		return err
	}
	there, err := f.alreadyThere(ctx)
	if err != nil {
		return err
	}
	limiter := rate.NewLimiter(rate.Inf, feedBatch)
	if f.perSecond > 0 {
		limiter.SetLimit(rate.Limit(f.perSecond))
	}
	batch := make([]stage.Message, 0, feedBatch)
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if err := limiter.WaitN(ctx, len(batch)); err != nil {
			return err
		}
		if err := f.client.Publish(ctx, batch...); err != nil {
			return fmt.Errorf("send events to %s: %w", f.topic, err)
		}
		f.sent.Add(int64(len(batch)))
		batch = batch[:0]
		return nil
	}
	for e := range events {
		p := f.client.PartitionFor(e.Key, partitions)
		if there[p] > 0 {
			there[p]--
			f.sent.Add(1)
			continue
		}
		batch = append(batch, message(f.topic, e.Clone()))
		if len(batch) == feedBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// alreadyThere counts the events each partition has from an earlier run. A batch that was cut by a kill is there in part, and
// exactly that part is left out.
func (f *feeder) alreadyThere(ctx context.Context) (map[int]int64, error) {
	lags, err := f.client.Lag(ctx, "demo-feeder", f.topic)
	if err != nil {
		return nil, err
	}
	there := make(map[int]int64, len(lags))
	for _, l := range lags {
		there[l.Partition] = l.End - l.Start
	}
	return there, nil
}

func message(topic string, e generator.Event) stage.Message {
	m := stage.Message{Topic: topic, Key: e.Key, Value: e.Value}
	for _, h := range e.Headers {
		m.Headers = append(m.Headers, stage.Header{Key: h.Key, Value: h.Value})
	}
	return m
}
