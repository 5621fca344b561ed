package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"github.com/throughline-dev/throughline/libs/stage"
)

// ScanRequest asks for the records of a topic outside any consumer group.
type ScanRequest struct {
	Topic string
	// Partitions to read; nil means all.
	Partitions []int
	// From is the oldest record timestamp wanted; the zero time means from the beginning.
	From time.Time
	// Until ends the scan of a partition at the first record that is newer; the zero time means at what is the end now.
	Until time.Time
	// Visit sees the records, those of one partition in order, from one goroutine at a time. It returns false to stop the
	// scan. It must copy what it keeps.
	Visit func(stage.Record) bool
}

// errStopped ends a scan that Visit has ended.
var errStopped = errors.New("scan stopped")

// Scan reads a topic from a time on to what was its end when it began.
func (c *Client) Scan(ctx context.Context, req ScanRequest) error {
	if req.Partitions == nil {
		n, err := c.Partitions(ctx, req.Topic)
		if err != nil {
			return err
		}
		for i := range n {
			req.Partitions = append(req.Partitions, i)
		}
	}
	ends := make([]kafka.OffsetRequest, len(req.Partitions))
	for i, p := range req.Partitions {
		ends[i] = kafka.LastOffsetOf(p)
	}
	// All at once, before the first Visit: what a Visit causes is never part of the scan.
	found, err := c.listOffsets(ctx, req.Topic, ends...)
	if err != nil {
		return err
	}
	visits := make(chan struct{}, 1) // one Visit at a time
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, p := range req.Partitions {
		g.Go(func() error { return c.scanPartition(ctx, req, found[p], visits) })
	}
	if err := g.Wait(); !errors.Is(err, errStopped) {
		return err
	}
	return nil
}

func (c *Client) scanPartition(ctx context.Context, req ScanRequest, to kafka.PartitionOffsets, visits chan struct{}) error {
	partition, end := to.Partition, to.LastOffset
	next, _, err := c.offsets(ctx, req.Topic, partition)
	if err != nil {
		return err
	}
	if !req.From.IsZero() {
		if next, err = c.offsetAt(ctx, req.Topic, partition, req.From); err != nil {
			return err
		}
	}
	for next < end {
		f, err := c.Fetch(ctx, stage.FetchRequest{
			Topic: req.Topic, Partition: partition, Offset: next,
			MinBytes: 1, MaxBytes: 1 << 20, MaxWait: 500 * time.Millisecond,
		})
		if err != nil {
			return err
		}
		visits <- struct{}{}
		more, err := visitAll(ctx, req, f.Records, end)
		<-visits
		if err != nil || !more {
			return err
		}
		next = f.Next
	}
	return nil
}

// visitAll reports whether the partition is worth reading on.
func visitAll(ctx context.Context, req ScanRequest, records []stage.Record, end int64) (bool, error) {
	for i := range records {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if records[i].Offset >= end || (!req.Until.IsZero() && records[i].Time.After(req.Until)) {
			return false, nil
		}
		if !req.Visit(records[i]) {
			return false, errStopped
		}
	}
	return true, nil
}
