// Package kafkatest gives a test a Kafka cluster: a broker embedded in the test, or the one that KAFKA_BROKERS names. Tests
// written against it run on both.
package kafkatest

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
)

// Env names the variable that holds the addresses of a real cluster, separated by commas.
const Env = "KAFKA_BROKERS"

// patience is how long a test waits for what must come.
const patience = time.Minute

// Cluster is a cluster and a client of it.
type Cluster struct {
	*kafka.Client
	Brokers []string
	t       testing.TB
	// prefix keeps the topics and groups of tests apart that share a real cluster.
	prefix string
}

// Real returns the addresses of the real cluster, or nil.
func Real() []string {
	if env := os.Getenv(Env); env != "" {
		return strings.Split(env, ",")
	}
	return nil
}

// New returns a cluster that lives as long as the test.
func New(t testing.TB) *Cluster {
	t.Helper()
	brokers := Real()
	if brokers == nil {
		b, err := broker.Start(broker.Config{})
		require.NoError(t, err)
		t.Cleanup(b.Close)
		brokers = b.Addr()
	}
	return At(t, Patient(brokers...))
}

// Patient returns the defaults with more time for every answer: a machine that runs many tests may stand still for longer than a
// broker that works ever takes.
func Patient(brokers ...string) kafka.Config {
	cfg := kafka.DefaultConfig(brokers...)
	cfg.DialTimeout, cfg.RequestTimeout, cfg.ProduceTimeout = patience, patience, 2*patience
	return cfg
}

// At returns a cluster that cfg reaches.
func At(t testing.TB, cfg kafka.Config) *Cluster {
	t.Helper()
	client, err := kafka.New(cfg, kafka.Deps{})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return &Cluster{Client: client, Brokers: cfg.Brokers, t: t, prefix: "t" + uuid.NewString()[:8] + "-"}
}

// Name returns a name, for a topic or a group, that no other test uses.
func (c *Cluster) Name(name string) string { return c.prefix + name }

// Topic creates a topic and returns its name.
func (c *Cluster) Topic(name string, partitions int) string {
	return c.Create(kafka.TopicSpec{Name: name, Partitions: partitions})
}

// Create creates a topic and returns its name, which begins with spec.Name's prefix.
func (c *Cluster) Create(spec kafka.TopicSpec) string {
	c.t.Helper()
	spec.Name = c.Name(spec.Name)
	if spec.ReplicationFactor == 0 {
		spec.ReplicationFactor = 1
	}
	require.NoError(c.t, c.EnsureTopics(c.t.Context(), spec))
	return spec.Name
}

// Send publishes messages.
func (c *Cluster) Send(messages ...stage.Message) {
	c.t.Helper()
	require.NoError(c.t, c.Publish(c.t.Context(), messages...))
}

// Records reads all of a topic, in order per partition.
func (c *Cluster) Records(topic string) []stage.Record {
	c.t.Helper()
	all, err := c.records(topic)
	require.NoError(c.t, err)
	return all
}

func (c *Cluster) records(topic string) ([]stage.Record, error) {
	var mu sync.Mutex
	var all []stage.Record
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	err := c.Scan(ctx, kafka.ScanRequest{Topic: topic, Visit: func(r stage.Record) bool {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, r)
		return true
	}})
	slices.SortStableFunc(all, func(a, b stage.Record) int { return a.Partition - b.Partition })
	return all, err
}

// Await reads a topic until it holds at least n records.
func (c *Cluster) Await(topic string, n int) []stage.Record {
	c.t.Helper()
	var all []stage.Record
	require.Eventually(c.t, func() bool {
		found, err := c.records(topic)
		all = found
		return err == nil && len(all) >= n
	}, 2*patience, 20*time.Millisecond, "topic %s does not get %d records", topic, n)
	return all
}

// Committed returns the sum of a group's committed offsets.
func (c *Cluster) Committed(group, topic string) int64 {
	c.t.Helper()
	sum, err := c.committed(group, topic)
	require.NoError(c.t, err)
	return sum
}

// HasCommitted reports whether the cluster says that the sum of a group's committed offsets is n. It is for waiting: a cluster that is
// away says no.
func (c *Cluster) HasCommitted(group, topic string, n int64) bool {
	sum, err := c.committed(group, topic)
	return err == nil && sum == n
}

func (c *Cluster) committed(group, topic string) (int64, error) {
	lags, err := c.Lag(c.t.Context(), group, topic)
	var sum int64
	for _, l := range lags {
		sum += max(0, l.Committed)
	}
	return sum, err
}
