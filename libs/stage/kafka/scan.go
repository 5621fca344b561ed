package kafka

import (
	"context"
	"errors"
	"maps"
	"slices"
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
	// Ranges limits the scan to these offsets of these partitions, as far as they are still kept; nil means all there are.
	// It takes the place of Partitions.
	Ranges map[int]stage.OffsetRange
	// From is the oldest record timestamp wanted; the zero time means from the beginning.
	From time.Time
	// Until ends the scan of a partition at the first record that is newer; the zero time means at what is the end now.
	Until time.Time
	// Began is told before the first Visit which offsets the scan is going to read. Optional.
	Began func(map[int]stage.OffsetRange)
	// Visit sees the records, those of one partition in order, from one goroutine at a time. It returns false to stop the
	// scan. It must copy what it keeps.
	Visit func(stage.Record) bool
}

// errStopped ends a scan that Visit has ended.
var errStopped = errors.New("scan stopped")

// Scan reads a topic from a time on to what was its end when it began.
func (c *Client) Scan(ctx context.Context, req ScanRequest) error {
	ranges, err := c.scanRanges(ctx, &req)
	if err != nil {
		return err
	}
	if req.Began != nil {
		req.Began(maps.Clone(ranges))
	}
	visits := make(chan struct{}, 1) // one Visit at a time
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for p, r := range ranges {
		g.Go(func() error { return c.scanPartition(ctx, req, scanned{p, r}, visits) })
	}
	if err := g.Wait(); !errors.Is(err, errStopped) {
		return err
	}
	return nil
}

// scanned is what is read of one partition.
type scanned struct {
	partition int
	stage.OffsetRange
}

// scanRanges finds out what there is to read of all partitions at once, before the first Visit: what a Visit causes is never
// part of the scan.
func (c *Client) scanRanges(ctx context.Context, req *ScanRequest) (map[int]stage.OffsetRange, error) {
	partitions := req.Partitions
	if req.Ranges != nil {
		partitions = slices.Sorted(maps.Keys(req.Ranges))
	} else if partitions == nil {
		n, err := c.Partitions(ctx, req.Topic)
		if err != nil {
			return nil, err
		}
		for i := range n {
			partitions = append(partitions, i)
		}
	}
	if len(partitions) == 0 {
		return nil, nil
	}
	bounds := make([]kafka.OffsetRequest, 0, 2*len(partitions))
	times := make([]kafka.OffsetRequest, 0, len(partitions))
	for _, p := range partitions {
		bounds = append(bounds, kafka.FirstOffsetOf(p), kafka.LastOffsetOf(p))
		times = append(times, kafka.TimeOffsetOf(p, req.From))
	}
	found, err := c.listOffsets(ctx, req.Topic, bounds...)
	if err != nil {
		return nil, err
	}
	ranges := make(map[int]stage.OffsetRange, len(partitions))
	for _, p := range partitions {
		ranges[p] = stage.OffsetRange{Start: found[p].FirstOffset, End: found[p].LastOffset}
	}
	if !req.From.IsZero() {
		if found, err = c.listOffsets(ctx, req.Topic, times...); err != nil {
			return nil, err
		}
		for p, r := range ranges {
			ranges[p] = stage.OffsetRange{Start: atOrEnd(found[p], r.End), End: r.End}
		}
	}
	for p, wanted := range req.Ranges {
		r := ranges[p]
		ranges[p] = stage.OffsetRange{Start: max(r.Start, wanted.Start), End: min(r.End, wanted.End)}
	}
	return ranges, nil
}

func (c *Client) scanPartition(ctx context.Context, req ScanRequest, what scanned, visits chan struct{}) error {
	for next := what.Start; next < what.End; {
		f, err := c.Fetch(ctx, stage.FetchRequest{
			Topic: req.Topic, Partition: what.partition, Offset: next,
			MinBytes: 1, MaxBytes: 1 << 20, MaxWait: 500 * time.Millisecond,
		})
		if err != nil {
			return err
		}
		visits <- struct{}{}
		more, err := visitAll(ctx, req, f.Records, what.End)
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
