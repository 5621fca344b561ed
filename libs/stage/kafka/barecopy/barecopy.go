// Package barecopy copies one topic to another with kafka-go alone, as fast as kafka-go can: what a stage is measured
// against. It is a consumer group member with a worker per partition that reads a batch, writes it to the same partition
// and goes on; one committer commits for all. No hashing, no decoding, no retries, no tracing.
//
// Conn.ReadBatch and raw Produce requests are the cheapest of what kafka-go offers: a Reader costs about twice the CPU per
// record to fetch with, and a Writer spreads a batch over queues and timers.
package barecopy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"
)

// Config says what to copy.
type Config struct {
	Brokers         []string
	From, To, Group string
	// Records is how many to copy before Run returns.
	Records int64
	// BatchRecords is the most records of one produce request.
	BatchRecords int
}

const (
	fetchBytes  = 1 << 20
	maxWait     = 500 * time.Millisecond
	commitEvery = 20 * time.Millisecond
)

// Run copies and commits, and returns when Config.Records are copied.
func Run(ctx context.Context, cfg Config) error {
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: cfg.Group, Brokers: cfg.Brokers, Topics: []string{cfg.From}, StartOffset: kafka.FirstOffset,
	})
	if err != nil {
		return err
	}
	defer func() { _ = group.Close() }()
	gen, err := group.Next(ctx)
	if err != nil {
		return err
	}
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	c := &copier{
		cfg: cfg, gen: gen, settled: map[int]int64{},
		client: &kafka.Client{Addr: kafka.TCP(cfg.Brokers...), Transport: transport},
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.finish = cancel
	g, ctx := errgroup.WithContext(ctx)
	for _, a := range gen.Assignments[cfg.From] {
		g.Go(func() error { return c.partition(ctx, a) })
	}
	g.Go(func() error { return c.commitAll(ctx) })
	return g.Wait()
}

type copier struct {
	cfg    Config
	gen    *kafka.Generation
	client *kafka.Client
	copied atomic.Int64
	finish context.CancelFunc

	mu      sync.Mutex
	settled map[int]int64
}

// partition copies one partition until ctx ends.
func (c *copier) partition(ctx context.Context, a kafka.PartitionAssignment) error {
	conn, err := kafka.DialLeader(ctx, "tcp", c.cfg.Brokers[0], c.cfg.From, a.ID)
	if err != nil {
		return fmt.Errorf("dialling: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Seek(max(0, a.Offset), kafka.SeekStart); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	for ctx.Err() == nil {
		batch := conn.ReadBatchWith(kafka.ReadBatchConfig{MinBytes: 1, MaxBytes: fetchBytes, MaxWait: maxWait})
		err := c.batch(ctx, a.ID, batch)
		if closed := batch.Close(); err == nil {
			err = closed
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, kafka.RequestTimedOut) {
			return err
		}
	}
	return nil
}

func (c *copier) batch(ctx context.Context, partition int, batch *kafka.Batch) error {
	records := make([]kafka.Record, 0, c.cfg.BatchRecords)
	for {
		m, err := batch.ReadMessage()
		if err != nil || len(records) == c.cfg.BatchRecords {
			if flushErr := c.flush(ctx, partition, batch.Offset(), records); flushErr != nil {
				return flushErr
			}
			records = records[:0]
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		records = append(records, kafka.Record{
			Time: m.Time, Key: kafka.NewBytes(m.Key), Value: kafka.NewBytes(m.Value), Headers: m.Headers,
		})
	}
}

func (c *copier) flush(ctx context.Context, partition int, next int64, records []kafka.Record) error {
	if len(records) == 0 {
		return nil
	}
	res, err := c.client.Produce(ctx, &kafka.ProduceRequest{
		Topic: c.cfg.To, Partition: partition, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(records...),
	})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		return fmt.Errorf("producing: %w", err)
	}
	c.mu.Lock()
	c.settled[partition] = next
	c.mu.Unlock()
	if c.copied.Add(int64(len(records))) >= c.cfg.Records {
		c.finish()
	}
	return nil
}

func (c *copier) commitAll(ctx context.Context) error {
	tick := time.NewTicker(commitEvery)
	defer tick.Stop()
	for last := false; !last; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			last = true
		}
		c.mu.Lock()
		offsets := c.settled
		c.settled = map[int]int64{}
		c.mu.Unlock()
		if len(offsets) == 0 {
			continue
		}
		if err := c.gen.CommitOffsets(map[string]map[int]int64{c.cfg.From: offsets}); err != nil {
			return fmt.Errorf("committing: %w", err)
		}
	}
	return nil
}
