package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
)

// TopicSpec describes a topic that must exist.
type TopicSpec struct {
	Name       string
	Partitions int
	// ReplicationFactor 0 leaves it to the cluster.
	ReplicationFactor int
	// Compacted keeps the newest record of every key instead of deleting by age.
	Compacted bool
	// Retention is how long records are kept; 0 leaves it to the cluster, a negative one keeps them for ever. Not for
	// compacted topics.
	Retention time.Duration
	// MaxMessageBytes is the largest batch the topic takes; 0 leaves it to the cluster (about 1 MiB).
	MaxMessageBytes int
}

// EnsureTopics creates the topics that are missing. It waits for a cluster that does not answer yet until ctx ends, a
// minute at most. A topic with another partition count than asked for is an error, because it would send keys elsewhere.
func (c *Client) EnsureTopics(ctx context.Context, specs ...TopicSpec) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := c.ensureTopics(ctx, specs)
		var k kafka.Error
		var mismatch *PartitionCountError
		if err == nil || errors.As(err, &mismatch) || (errors.As(err, &k) && !k.Temporary()) {
			return err
		}
		if sleep(ctx, 500*time.Millisecond) != nil {
			return err
		}
	}
}

// PartitionCountError says that a topic exists with another partition count than it should have.
type PartitionCountError struct {
	Topic      string
	Want, Have int
}

// Error says what to do.
func (e *PartitionCountError) Error() string {
	return fmt.Sprintf("kafka: topic %s has %d partitions, wanted %d; set the partition count to what the cluster has, "+
		"or delete the topic", e.Topic, e.Have, e.Want)
}

func (c *Client) ensureTopics(ctx context.Context, specs []TopicSpec) error {
	req := &kafka.CreateTopicsRequest{}
	for _, s := range specs {
		req.Topics = append(req.Topics, s.config())
	}
	callCtx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout)
	defer cancel()
	resp, err := c.admin.CreateTopics(callCtx, req)
	if err != nil {
		return fmt.Errorf("kafka: creating topics: %w", err)
	}
	for topic, err := range resp.Errors {
		if err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
			return fmt.Errorf("kafka: creating topic %s: %w", topic, err)
		}
	}
	for _, s := range specs {
		c.forget(s.Name)
		have, err := c.Partitions(ctx, s.Name)
		if err != nil {
			return err
		}
		if have != s.Partitions {
			return &PartitionCountError{Topic: s.Name, Want: s.Partitions, Have: have}
		}
	}
	return nil
}

func (s TopicSpec) config() kafka.TopicConfig {
	t := kafka.TopicConfig{Topic: s.Name, NumPartitions: s.Partitions, ReplicationFactor: s.ReplicationFactor}
	if t.ReplicationFactor == 0 {
		t.ReplicationFactor = -1
	}
	set := func(name, value string) {
		t.ConfigEntries = append(t.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: value})
	}
	switch {
	case s.Compacted:
		set("cleanup.policy", "compact")
	case s.Retention < 0:
		set("retention.ms", "-1")
	case s.Retention > 0:
		set("retention.ms", strconv.FormatInt(s.Retention.Milliseconds(), 10))
	}
	if s.MaxMessageBytes > 0 {
		set("max.message.bytes", strconv.Itoa(s.MaxMessageBytes))
	}
	return t
}

// DeleteTopics deletes topics. One that does not exist is no error.
func (c *Client) DeleteTopics(ctx context.Context, names ...string) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout)
	defer cancel()
	resp, err := c.admin.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: names})
	if err != nil {
		return fmt.Errorf("kafka: deleting topics: %w", err)
	}
	for topic, err := range resp.Errors {
		c.forget(topic)
		if err != nil && !errors.Is(err, kafka.UnknownTopicOrPartition) {
			return fmt.Errorf("kafka: deleting topic %s: %w", topic, err)
		}
	}
	return nil
}
