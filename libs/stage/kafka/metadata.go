package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
)

// topicInfo is what producing needs to know of a topic. Immutable.
type topicInfo struct {
	// leaders holds the broker id of each partition's leader.
	leaders []int
	expires time.Time
}

// topic returns what is known of a topic, at most metadataTTL old.
func (c *Client) topic(ctx context.Context, name string) (*topicInfo, error) {
	if cached, ok := c.topics.Load(name); ok {
		if info := cached.(*topicInfo); time.Now().Before(info.expires) {
			return info, nil
		}
	}
	resp, err := c.admin.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{name}})
	if err != nil {
		return nil, fmt.Errorf("kafka: looking up topic %s: %w", name, c.plain(err))
	}
	for _, t := range resp.Topics {
		if t.Name != name {
			continue
		}
		if t.Error != nil {
			return nil, c.noTopic(name, t.Error)
		}
		info := &topicInfo{leaders: make([]int, len(t.Partitions)), expires: time.Now().Add(metadataTTL)}
		for _, p := range t.Partitions {
			if p.ID < 0 || p.ID >= len(info.leaders) {
				return nil, fmt.Errorf("kafka: topic %s has partition %d of %d", name, p.ID, len(info.leaders))
			}
			info.leaders[p.ID] = p.Leader.ID
		}
		c.topics.Store(name, info)
		return info, nil
	}
	return nil, c.noTopic(name, kafka.UnknownTopicOrPartition)
}

// noTopic says what a missing topic may mean: brokers hide the topics that the user may not describe, as if there were none.
func (c *Client) noTopic(name string, err error) error {
	if user := c.cfg.SASL.Username; user != "" && errors.Is(err, kafka.UnknownTopicOrPartition) {
		return fmt.Errorf("kafka: looking up topic %s: %w; or the user %s is not authorized for it", name, err, user)
	}
	return fmt.Errorf("kafka: looking up topic %s: %w", name, err)
}

// forget drops what is known of a topic after a partition refused a request.
func (c *Client) forget(name string) { c.topics.Delete(name) }

// Partitions returns how many partitions a topic has.
func (c *Client) Partitions(ctx context.Context, topic string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout)
	defer cancel()
	info, err := c.topic(ctx, topic)
	if err != nil {
		return 0, err
	}
	return len(info.leaders), nil
}

// PartitionFor returns the partition of a key: Murmur2, as Kafka's Java client computes it. A record without a key goes to
// any partition; PartitionFor then returns that of an empty key.
func (c *Client) PartitionFor(key []byte, partitions int) int { return partitionFor(key, partitions) }

var balancer = kafka.Murmur2Balancer{Consistent: true}

// numbered holds 0, 1, 2 … because kafka-go's balancer picks from a list of partition numbers.
var numbered = func() []int {
	all := make([]int, 4096)
	for i := range all {
		all[i] = i
	}
	return all
}()

func partitionFor(key []byte, partitions int) int {
	if partitions <= 1 {
		return 0
	}
	if partitions > len(numbered) {
		list := make([]int, partitions)
		for i := range list {
			list[i] = i
		}
		return balancer.Balance(kafka.Message{Key: key}, list...)
	}
	return balancer.Balance(kafka.Message{Key: key}, numbered[:partitions]...)
}

// roundRobin spreads the calls that write messages without a key; all of one call stay together, as in the Java client.
type roundRobin struct{ n atomic.Uint32 }

func (r *roundRobin) next(partitions int) int { return int(r.n.Add(1) % uint32(partitions)) }
