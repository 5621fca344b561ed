package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

// offsets returns the first offset of a partition and the one after its last.
func (c *Client) offsets(ctx context.Context, topic string, partition int) (first, end int64, err error) {
	found, err := c.listOffsets(ctx, topic, kafka.FirstOffsetOf(partition), kafka.LastOffsetOf(partition))
	if err != nil {
		return 0, 0, err
	}
	p := found[partition]
	return p.FirstOffset, p.LastOffset, nil
}

func (c *Client) listOffsets(ctx context.Context, topic string, reqs ...kafka.OffsetRequest) (map[int]kafka.PartitionOffsets, error) {
	resp, err := ask(ctx, c, func(ctx context.Context) (*kafka.ListOffsetsResponse, error) {
		return c.admin.ListOffsets(ctx, &kafka.ListOffsetsRequest{
			IsolationLevel: kafka.ReadCommitted,
			Topics:         map[string][]kafka.OffsetRequest{topic: reqs},
		})
	})
	if err != nil {
		return nil, fmt.Errorf("kafka: asking for offsets of %s: %w", topic, err)
	}
	found := map[int]kafka.PartitionOffsets{}
	for _, p := range resp.Topics[topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("kafka: asking for offsets of %s/%d: %w", topic, p.Partition, p.Error)
		}
		found[p.Partition] = p
	}
	for _, r := range reqs {
		if _, ok := found[r.Partition]; !ok {
			return nil, fmt.Errorf("kafka: no answer about the offsets of %s/%d", topic, r.Partition)
		}
	}
	return found, nil
}

// atOrEnd returns the offset that was found by a time, or the partition's end when no record is that new.
func atOrEnd(p kafka.PartitionOffsets, end int64) int64 {
	for offset := range p.Offsets {
		if offset >= 0 {
			return min(offset, end)
		}
	}
	return end
}

// PartitionLag is how far a group is behind in one partition.
type PartitionLag struct {
	Partition int
	// Committed is the next offset the group will read, or -1 if it never committed one.
	Committed int64
	Start     int64
	End       int64
}

// Records returns how many offsets the group has yet to settle.
func (l PartitionLag) Records() int64 { return max(0, l.End-max(l.Committed, l.Start)) }

// Lag returns how far a group is behind on each partition of a topic, in their order. It asks for the ends last: a record that is put off
// meanwhile, to the end of its own topic, is behind and not nowhere.
func (c *Client) Lag(ctx context.Context, group, topic string) ([]PartitionLag, error) {
	n, err := c.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	ids := make([]int, n)
	reqs := make([]kafka.OffsetRequest, 0, 2*n)
	for i := range ids {
		ids[i] = i
		reqs = append(reqs, kafka.FirstOffsetOf(i), kafka.LastOffsetOf(i))
	}
	committed, err := c.committed(ctx, group, topic, ids)
	if err != nil {
		return nil, err
	}
	found, err := c.listOffsets(ctx, topic, reqs...)
	if err != nil {
		return nil, err
	}
	lags := make([]PartitionLag, n)
	for i := range lags {
		lags[i] = PartitionLag{Partition: i, Committed: committed[i], Start: found[i].FirstOffset, End: found[i].LastOffset}
	}
	return lags, nil
}

func (c *Client) committed(ctx context.Context, group, topic string, partitions []int) ([]int64, error) {
	resp, err := ask(ctx, c, func(ctx context.Context) (*kafka.OffsetFetchResponse, error) {
		return c.admin.OffsetFetch(ctx, &kafka.OffsetFetchRequest{
			GroupID: group, Topics: map[string][]int{topic: partitions},
		})
	})
	if err == nil {
		err = resp.Error
	}
	out := make([]int64, len(partitions))
	for i := range out {
		out[i] = -1
	}
	if errors.Is(err, kafka.GroupIdNotFound) {
		return out, nil // a group that was never joined has committed nothing
	}
	if err != nil {
		return nil, fmt.Errorf("kafka: asking for the offsets of group %s: %w", group, err)
	}
	for _, p := range resp.Topics[topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("kafka: asking for the offsets of group %s: %w", group, p.Error)
		}
		if p.Partition < len(out) {
			out[p.Partition] = p.CommittedOffset
		}
	}
	return out, nil
}

// ask makes a request that changes nothing, and makes it again if its connection was dead: kafka-go notices that a broker
// has closed an idle connection only when it uses it, one connection after the other.
func ask[R any](ctx context.Context, c *Client, request func(context.Context) (R, error)) (R, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout)
	defer cancel()
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		res, err := request(ctx)
		var refused kafka.Error
		if err == nil || errors.As(err, &refused) || sleep(ctx, wait) != nil {
			return res, c.plain(err)
		}
	}
}
