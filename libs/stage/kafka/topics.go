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
	// Retention is how long records are kept at most; 0 leaves it to the cluster, a negative one keeps them for ever. Not for
	// compacted topics. The cluster deletes whole segments by their newest record, so it is told a little less.
	Retention time.Duration
	// Theirs leaves a topic that exists to those who made it: its retention is not changed.
	Theirs bool
	// MaxMessageBytes is the largest batch the topic takes; 0 leaves it to the cluster (about 1 MiB).
	MaxMessageBytes int
}

// compactedSegment is the size of a compacted topic's segments.
const compactedSegment = 64 << 20

// EnsureTopics creates the topics that are missing. It waits for a cluster that does not answer yet until ctx ends, a
// minute at most. A topic with another partition count than asked for is an error, because it would send keys elsewhere. So
// is one that deletes what should be compacted, because state would be lost with time, or the other way round. The retention of
// a topic that exists is set, and read back: a *RetentionError tells of one that stays another. All other settings of a topic
// that exists are its operator's.
func (c *Client) EnsureTopics(ctx context.Context, specs ...TopicSpec) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := c.ensureTopics(ctx, specs)
		var k kafka.Error
		var mismatch *PartitionCountError
		var policy *CleanupPolicyError
		var kept *RetentionError
		if err == nil || errors.As(err, &mismatch) || errors.As(err, &policy) || errors.As(err, &kept) || (errors.As(err, &k) && !k.Temporary()) {
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

// CleanupPolicyError says that a topic exists and keeps the wrong records.
type CleanupPolicyError struct {
	Topic      string
	Want, Have string
}

// Error says what to do.
func (e *CleanupPolicyError) Error() string {
	return fmt.Sprintf("kafka: topic %s has cleanup.policy %q, needs %q: set it with kafka-configs --alter", e.Topic, e.Have, e.Want)
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
		return fmt.Errorf("kafka: creating topics: %w", c.plain(err))
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
	if err := c.checkPolicies(ctx, specs); err != nil {
		return err
	}
	return c.ensureRetention(ctx, specs)
}

const cleanupPolicy = "cleanup.policy"

func (c *Client) checkPolicies(ctx context.Context, specs []TopicSpec) error {
	req := &kafka.DescribeConfigsRequest{}
	want := map[string]string{}
	for _, s := range specs {
		want[s.Name] = s.policy()
		req.Resources = append(req.Resources, kafka.DescribeConfigRequestResource{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: s.Name, ConfigNames: []string{cleanupPolicy},
		})
	}
	resp, err := ask(ctx, c, func(ctx context.Context) (*kafka.DescribeConfigsResponse, error) {
		return c.admin.DescribeConfigs(ctx, req)
	})
	if err != nil {
		return fmt.Errorf("kafka: reading the settings of topics: %w", err)
	}
	for _, r := range resp.Resources {
		if errors.Is(r.Error, kafka.TopicAuthorizationFailed) {
			c.logger.Warn("not allowed to read a topic's settings; make sure of its cleanup.policy",
				"topic", r.ResourceName, "cleanup.policy", want[r.ResourceName])
			continue
		}
		if r.Error != nil {
			return fmt.Errorf("kafka: reading the settings of topic %s: %w", r.ResourceName, r.Error)
		}
		for _, entry := range r.ConfigEntries {
			if entry.ConfigName == cleanupPolicy && entry.ConfigValue != want[r.ResourceName] {
				return &CleanupPolicyError{Topic: r.ResourceName, Want: want[r.ResourceName], Have: entry.ConfigValue}
			}
		}
	}
	return nil
}

func (s TopicSpec) policy() string {
	if s.Compacted {
		return "compact"
	}
	return "delete"
}

func (s TopicSpec) config() kafka.TopicConfig {
	t := kafka.TopicConfig{Topic: s.Name, NumPartitions: s.Partitions, ReplicationFactor: s.ReplicationFactor}
	if t.ReplicationFactor == 0 {
		t.ReplicationFactor = -1
	}
	set := func(name, value string) {
		t.ConfigEntries = append(t.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: value})
	}
	set(cleanupPolicy, s.policy())
	if s.Compacted {
		// Only closed segments are compacted, and a restart reads all that is left: a segment of Kafka's default 1 GiB would
		// have it read a gigabyte per partition of what is outdated.
		set("segment.bytes", strconv.Itoa(compactedSegment))
	}
	for _, entry := range s.ages() {
		set(entry.ConfigName, entry.ConfigValue)
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
		return fmt.Errorf("kafka: deleting topics: %w", c.plain(err))
	}
	for topic, err := range resp.Errors {
		c.forget(topic)
		if err != nil && !errors.Is(err, kafka.UnknownTopicOrPartition) {
			return fmt.Errorf("kafka: deleting topic %s: %w", topic, err)
		}
	}
	return nil
}
