package app

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/services/ingest"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

const day = 24 * time.Hour

func TestEveryTopicForgetsInTime(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-30")
	specs := map[string]kafka.TopicSpec{}
	for _, s := range DefaultConfig().Topics.Specs() {
		specs[s.Name] = s
	}
	for name, want := range map[string]time.Duration{
		topic.Activities: 30 * day, topic.Visits: 30 * day, topic.Engagements: 30 * day, topic.Resolved: 30 * day, topic.Writes: 30 * day,
		topic.Parked: 30 * day, topic.Outcomes: 30 * day, topic.Changes: 30 * day, topic.Rows: 14 * day, topic.Unresolved: 90 * day, topic.DeadLetters: 30 * day,
	} {
		require.Equal(t, want, specs[name].Retention, name)
		require.False(t, specs[name].Compacted, name)
		delete(specs, name)
	}
	for name, s := range specs {
		require.True(t, s.Compacted, "%s: say how long it keeps records", name)
	}
	cfg := DefaultConfig()
	cfg.Topics.CreateSources, cfg.Ingest.Sources = true, []ingest.Source{{Topic: "theirs"}}
	raw := cfg.topicSpecs()
	require.Equal(t, 14*day, raw[len(raw)-1].Retention)
	require.True(t, raw[len(raw)-1].Theirs, "made, and never changed")
}

func TestRetentionIsShortenedAndNeverLengthened(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-30")
	for key, field := range map[string]func(*TopicsConfig) *time.Duration{
		"topics.retention":             func(c *TopicsConfig) *time.Duration { return &c.Retention },
		"topics.raw_retention":         func(c *TopicsConfig) *time.Duration { return &c.RawRetention },
		"topics.unresolved_retention":  func(c *TopicsConfig) *time.Duration { return &c.UnresolvedRetention },
		"topics.dead_letter_retention": func(c *TopicsConfig) *time.Duration { return &c.DeadLetterRetention },
	} {
		cfg := DefaultConfig()
		require.NoError(t, cfg.Validate())
		longest := *field(&cfg.Topics)
		for have, ok := range map[time.Duration]bool{longest + 1: false, longest - day: true, time.Hour: true, time.Hour - 1: false, -1: false} {
			*field(&cfg.Topics) = have
			err := cfg.Validate()
			require.Equal(t, ok, err == nil, "%s %s: %v", key, have, err)
			if !ok {
				require.ErrorContains(t, err, key)
			}
		}
	}
}

func TestInitSetsTheRetentionOfTopicsThatExistAndNamesForeignOnesThatKeepTooLong(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-30")
	b, err := broker.Start(broker.Config{})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	cfg := DefaultConfig()
	dir := t.TempDir()
	cfg.Kafka = kafka.DefaultConfig(b.Addr()...)
	c, err := kafka.New(cfg.Kafka, kafka.Deps{})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	cfg.InstallationKeyFile, cfg.Settings.TokenFile, cfg.AdminTokenFile, cfg.ViewerTokenFile = dir+"/key", dir+"/a", dir+"/b", dir+"/c"
	cfg.Topics.Partitions, cfg.Ingest.Sources = 2, []ingest.Source{{Topic: "theirs"}}
	require.NoError(t, c.EnsureTopics(t.Context(),
		kafka.TopicSpec{Name: topic.DeadLetters, Partitions: 2, Retention: 300 * day},
		kafka.TopicSpec{Name: "theirs", Partitions: 1, Retention: 15 * day},
	))
	look := func() (tooLong []string) {
		all, err := TopicRetentions(t.Context(), &cfg)
		require.NoError(t, err)
		for _, r := range all {
			if r.TooLong() {
				tooLong = append(tooLong, r.Topic)
			}
		}
		return tooLong
	}
	require.Equal(t, []string{"theirs", topic.DeadLetters}, look())
	var said bytes.Buffer
	require.NoError(t, Prepare(t.Context(), &cfg, func(step string) { said.WriteString(step + "\n") }))
	require.Equal(t, []string{"theirs"}, look(), "what is the customer's is named and left alone")
	require.Contains(t, said.String(), topic.Unresolved+", 2 partitions, kept 90 days at most")
	require.Equal(t, 5, strings.Count(said.String(), "the newest of every key"))
}
