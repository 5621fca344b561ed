package app

import (
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// deadLetterHeadroom lets a dead letter hold the largest record plus its own frame.
const deadLetterHeadroom = 12 << 20

// topicSpecs lists the topics that `throughline init` creates.
func (c *Config) topicSpecs() []kafka.TopicSpec {
	specs := c.Topics.Specs()
	if !c.Topics.CreateSources {
		return specs
	}
	for _, s := range c.Ingest.Sources {
		specs = append(specs, kafka.TopicSpec{
			Name: s.Topic, Partitions: c.Topics.Partitions, ReplicationFactor: c.Topics.ReplicationFactor, Retention: c.Topics.Retention,
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
		topic.Activities, topic.Visits, topic.Engagements, topic.Unresolved, topic.Resolved, topic.Writes, topic.Parked, topic.Outcomes,
	} {
		add(kafka.TopicSpec{Name: name, Retention: t.Retention})
	}
	add(kafka.TopicSpec{Name: topic.DeadLetters, Retention: t.DeadLetterRetention, MaxMessageBytes: deadLetterHeadroom})
	add(kafka.TopicSpec{Name: topic.Rows, Retention: t.RowsRetention})
	for _, name := range []string{topic.VisitState, topic.TotalsState, topic.Ledger, topic.RowsState} {
		add(kafka.TopicSpec{Name: name, Compacted: true})
	}
	return specs
}
