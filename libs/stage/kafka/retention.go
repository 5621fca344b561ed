package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
)

// The settings of a topic that decide when its records go.
const (
	retentionMillis = "retention.ms"
	segmentMillis   = "segment.ms"
)

// compactedRoll is when a segment of a compacted topic is closed at the latest, so that what was deleted in it can go.
const compactedRoll = 24 * time.Hour

// roll is when a segment is closed at the latest. A record lies in its segment until the newest one in there is too old, so
// that the whole stays one thirtieth below the retention.
func (s TopicSpec) roll() time.Duration { return max(s.Retention/30, time.Second) }

// ages are the settings of the topic that decide when its records go; none where that is the cluster's decision.
func (s TopicSpec) ages() []kafka.ConfigEntry {
	millis := func(name string, d time.Duration) kafka.ConfigEntry {
		return kafka.ConfigEntry{ConfigName: name, ConfigValue: strconv.FormatInt(d.Milliseconds(), 10)}
	}
	switch {
	case s.Compacted:
		return []kafka.ConfigEntry{millis(segmentMillis, compactedRoll)}
	case s.Retention < 0:
		return []kafka.ConfigEntry{{ConfigName: retentionMillis, ConfigValue: "-1"}}
	case s.Retention > 0:
		return []kafka.ConfigEntry{millis(retentionMillis, s.Retention-s.roll()), millis(segmentMillis, s.roll())}
	}
	return nil
}

// RetentionError says that a topic keeps its records for another time than it should, and that this could not be changed.
type RetentionError struct {
	Topic, Setting, Want, Have string
	// Err is what the cluster said; nil if it said nothing.
	Err error
}

// Error says what to do.
func (e *RetentionError) Error() string {
	text := fmt.Sprintf("kafka: topic %s has %s %q, needs %q: set it with kafka-configs --alter", e.Topic, e.Setting, e.Have, e.Want)
	if e.Err != nil {
		text += ", or allow this user AlterConfigs (" + e.Err.Error() + ")"
	}
	return text
}

// Unwrap implements the interface of package errors.
func (e *RetentionError) Unwrap() error { return e.Err }

// ensureRetention sets the age at which records go where it is another one, and reads it back.
func (c *Client) ensureRetention(ctx context.Context, specs []TopicSpec) error {
	wrong, err := c.wrongAges(ctx, specs)
	if err != nil || len(wrong) == 0 {
		return err
	}
	refused := map[string]error{}
	for _, w := range wrong { // one by one: a request may name a topic once
		resp, err := ask(ctx, c, func(ctx context.Context) (*kafka.IncrementalAlterConfigsResponse, error) {
			return c.admin.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{
				Resources: []kafka.IncrementalAlterConfigsRequestResource{{
					ResourceType: kafka.ResourceTypeTopic, ResourceName: w.Topic,
					Configs: []kafka.IncrementalAlterConfigsRequestConfig{{
						Name: w.Setting, Value: w.Want, ConfigOperation: kafka.ConfigOperationSet,
					}},
				}},
			})
		})
		if err != nil {
			return fmt.Errorf("kafka: setting %s of topic %s: %w", w.Setting, w.Topic, err)
		}
		for _, r := range resp.Resources {
			refused[r.ResourceName] = errors.Join(refused[r.ResourceName], r.Error)
		}
		c.logger.Info("a topic's retention is being changed", "topic", w.Topic, "setting", w.Setting, "from", w.Have, "to", w.Want)
	}
	return c.awaitRetention(ctx, specs, refused)
}

// awaitRetention waits until the cluster tells what it was told.
func (c *Client) awaitRetention(ctx context.Context, specs []TopicSpec, refused map[string]error) error {
	for attempt := 0; ; attempt++ {
		wrong, err := c.wrongAges(ctx, specs)
		if err != nil || len(wrong) == 0 {
			return err
		}
		if refused[wrong[0].Topic] != nil || attempt == 20 || sleep(ctx, 100*time.Millisecond) != nil {
			wrong[0].Err = refused[wrong[0].Topic]
			return wrong[0]
		}
	}
}

// wrongAges are the settings that are not as they should be. What this user may not read is told in the log.
func (c *Client) wrongAges(ctx context.Context, specs []TopicSpec) ([]*RetentionError, error) {
	want := map[string][]kafka.ConfigEntry{}
	req := &kafka.DescribeConfigsRequest{}
	for _, s := range specs {
		if ages := s.ages(); len(ages) > 0 && !s.Theirs {
			want[s.Name] = ages
			req.Resources = append(req.Resources, kafka.DescribeConfigRequestResource{
				ResourceType: kafka.ResourceTypeTopic, ResourceName: s.Name, ConfigNames: []string{retentionMillis, segmentMillis},
			})
		}
	}
	have, err := c.describe(ctx, req)
	if err != nil {
		return nil, err
	}
	var wrong []*RetentionError
	for _, s := range specs {
		settings, readable := have[s.Name]
		if !readable {
			continue
		}
		for _, w := range want[s.Name] {
			if settings[w.ConfigName] != w.ConfigValue {
				wrong = append(wrong, &RetentionError{Topic: s.Name, Setting: w.ConfigName, Want: w.ConfigValue, Have: settings[w.ConfigName]})
			}
		}
	}
	return wrong, nil
}

// describe reads settings of topics, without those that this user may not read.
func (c *Client) describe(ctx context.Context, req *kafka.DescribeConfigsRequest) (map[string]map[string]string, error) {
	if len(req.Resources) == 0 {
		return nil, nil
	}
	resp, err := ask(ctx, c, func(ctx context.Context) (*kafka.DescribeConfigsResponse, error) {
		return c.admin.DescribeConfigs(ctx, req)
	})
	if err != nil {
		return nil, fmt.Errorf("kafka: reading the settings of topics: %w", err)
	}
	out := map[string]map[string]string{}
	for _, r := range resp.Resources {
		if errors.Is(r.Error, kafka.TopicAuthorizationFailed) {
			c.logger.Warn("not allowed to read a topic's settings; make sure of its retention", "topic", r.ResourceName)
			continue
		}
		if r.Error != nil {
			return nil, fmt.Errorf("kafka: reading the settings of topic %s: %w", r.ResourceName, r.Error)
		}
		out[r.ResourceName] = map[string]string{}
		for _, entry := range r.ConfigEntries {
			out[r.ResourceName][entry.ConfigName] = entry.ConfigValue
		}
	}
	return out, nil
}

// Kept is how long a topic keeps a record.
type Kept struct {
	// Known is false if this user may not read it, or there is no such topic.
	Known bool
	// Compacted topics keep the newest record of every key, whatever its age.
	Compacted bool
	// AtMost is how old a record gets at most, by the topic's settings; negative: it is kept for ever.
	AtMost time.Duration
}

// Retentions tells how long topics keep records.
func (c *Client) Retentions(ctx context.Context, topics ...string) (map[string]Kept, error) {
	out := map[string]Kept{}
	for _, name := range topics { // one by one: a topic that does not exist is no error
		settings, err := c.describe(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: name, ConfigNames: []string{cleanupPolicy, retentionMillis, segmentMillis},
		}}})
		if errors.Is(err, kafka.UnknownTopicOrPartition) {
			out[name] = Kept{}
			continue
		}
		if err != nil {
			return nil, err
		}
		one, ok := settings[name]
		if !ok {
			out[name] = Kept{}
			continue
		}
		out[name] = keptBy(one)
	}
	return out, nil
}

func keptBy(settings map[string]string) Kept {
	retention, err := strconv.ParseInt(settings[retentionMillis], 10, 64)
	segment, segmentErr := strconv.ParseInt(settings[segmentMillis], 10, 64)
	kept := Kept{Known: err == nil && segmentErr == nil, Compacted: settings[cleanupPolicy] == "compact"}
	const farthest = int64(1<<63-1) / int64(time.Millisecond)
	switch {
	case retention < 0 || retention > farthest-min(segment, farthest):
		kept.AtMost = -1
	default:
		kept.AtMost = time.Duration(retention+segment) * time.Millisecond
	}
	return kept
}
