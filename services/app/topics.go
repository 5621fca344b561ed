package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// deadLetterHeadroom lets a dead letter hold the largest record plus its own frame.
const deadLetterHeadroom = 12 << 20

// The longest that each class of data may be kept (XC-30). Configuration shortens these, and never lengthens them.
const (
	maxRawRetention        = 14 * 24 * time.Hour
	maxRetention           = 30 * 24 * time.Hour
	maxUnresolvedRetention = 90 * 24 * time.Hour
	maxDeadLetterRetention = 30 * 24 * time.Hour
)

// validate names the keys that are wrong.
func (t TopicsConfig) validate() error {
	var errs []error
	if t.Partitions < 1 || t.Partitions > 10_000 {
		errs = append(errs, fmt.Errorf("topics.partitions: %d is not between 1 and 10000", t.Partitions))
	}
	for _, r := range []struct {
		key       string
		have, max time.Duration
	}{
		{"retention", t.Retention, maxRetention},
		{"raw_retention", t.RawRetention, maxRawRetention},
		{"unresolved_retention", t.UnresolvedRetention, maxUnresolvedRetention},
		{"dead_letter_retention", t.DeadLetterRetention, maxDeadLetterRetention},
		{"rows_retention", t.RowsRetention, maxRawRetention},
	} {
		if r.have < time.Hour || r.have > r.max {
			errs = append(errs, fmt.Errorf("topics.%s: %s is not between 1h and %s, the longest that such data may be kept", r.key, r.have, r.max))
		}
	}
	if t.RowsRetention < 24*time.Hour {
		errs = append(errs, fmt.Errorf("topics.rows_retention: %s is less than a day, and a run may take most of one", t.RowsRetention))
	}
	return errors.Join(errs...)
}

// topicSpecs lists the topics that `throughline init` creates.
func (c *Config) topicSpecs() []kafka.TopicSpec {
	specs := c.Topics.Specs()
	if !c.Topics.CreateSources {
		return specs
	}
	for _, s := range c.Ingest.Sources {
		specs = append(specs, kafka.TopicSpec{
			Name: s.Topic, Partitions: c.Topics.Partitions, ReplicationFactor: c.Topics.ReplicationFactor, Retention: c.Topics.RawRetention,
			Theirs: true,
		})
	}
	return specs
}

// Specs lists the topics that must exist before the pipeline runs. Customer topics are the customer's to create.
func (t TopicsConfig) Specs() []kafka.TopicSpec {
	var specs []kafka.TopicSpec
	add := func(s kafka.TopicSpec) {
		s.Partitions, s.ReplicationFactor = t.Partitions, t.ReplicationFactor
		specs = append(specs, s)
	}
	for _, name := range []string{
		topic.Activities, topic.Visits, topic.Engagements, topic.Resolved, topic.Writes, topic.Parked, topic.Outcomes, topic.Changes,
	} {
		add(kafka.TopicSpec{Name: name, Retention: t.Retention})
	}
	add(kafka.TopicSpec{Name: topic.Unresolved, Retention: t.UnresolvedRetention})
	add(kafka.TopicSpec{Name: topic.DeadLetters, Retention: t.DeadLetterRetention, MaxMessageBytes: deadLetterHeadroom})
	add(kafka.TopicSpec{Name: topic.Rows, Retention: t.RowsRetention})
	for _, name := range []string{topic.VisitState, topic.TotalsState, topic.Ledger, topic.ChangesState, topic.RowsState} {
		add(kafka.TopicSpec{Name: name, Compacted: true})
	}
	return specs
}

// TopicRetention is how long one topic keeps what it holds.
type TopicRetention struct {
	Topic string `json:"topic"`
	// Holds is the class of the data: raw events, normalised events, unmatched engagements, dead letters, or state.
	Holds string `json:"holds"`
	// AtMost is how long such data may be kept, 0 for state, which is replaced and deleted by key.
	AtMost time.Duration `json:"-"`
	// Kept is what the topic does, as far as it could be read.
	Kept kafka.Kept `json:"-"`
}

// TooLong reports whether the topic keeps records for longer than they may be kept.
func (r TopicRetention) TooLong() bool {
	return r.Kept.Known && r.AtMost > 0 && (r.Kept.Compacted || r.Kept.AtMost < 0 || r.Kept.AtMost > r.AtMost)
}

// TopicRetentions asks the brokers how long the pipeline's topics and the customer topics that ingest reads keep records.
func TopicRetentions(ctx context.Context, cfg *Config) ([]TopicRetention, error) {
	client, err := kafka.New(cfg.Kafka, kafka.Deps{})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var all []TopicRetention
	var names []string
	add := func(name, holds string, atMost time.Duration) {
		all, names = append(all, TopicRetention{Topic: name, Holds: holds, AtMost: atMost}), append(names, name)
	}
	for _, s := range cfg.Ingest.Sources {
		add(s.Topic, "raw events", cfg.Topics.RawRetention)
	}
	for _, s := range cfg.Topics.Specs() {
		holds := "normalised events"
		switch {
		case s.Compacted:
			holds = "state"
		case s.Name == topic.Unresolved:
			holds = "unmatched engagements"
		case s.Name == topic.DeadLetters:
			holds = "dead letters"
		}
		add(s.Name, holds, s.Retention)
	}
	kept, err := client.Retentions(ctx, names...)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Kept = kept[all[i].Topic]
	}
	return all, nil
}
