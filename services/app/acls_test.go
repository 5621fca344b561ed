package app_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/ingest"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

const password = "correct-horse"

// guarded is a broker on which everybody but the administrator may do what ACLs say.
type guarded struct {
	cfg    app.Config
	broker *broker.Broker
	admin  *kafka.Client
}

func setupGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{cfg: app.DefaultConfig()}
	g.cfg.Ingest.Sources = []ingest.Source{{Topic: "viewing-events"}}
	g.cfg.Topics.Partitions, g.cfg.Topics.ReplicationFactor = 1, 1
	users := []broker.User{{Mechanism: "SCRAM-SHA-512", Name: "admin", Password: secret.New(password)}}
	for _, name := range append(slices.Sorted(maps.Keys(g.cfg.KafkaAccess())), "player", "nobody") {
		users = append(users, broker.User{Mechanism: "SCRAM-SHA-512", Name: name, Password: secret.New(password), Limited: true})
	}
	var err error
	g.broker, err = broker.Start(broker.Config{Users: users})
	require.NoError(t, err)
	t.Cleanup(g.broker.Close)
	g.admin = g.as(t, "admin")
	specs := append(g.cfg.Topics.Specs(), kafka.TopicSpec{Name: "viewing-events", Partitions: 1, ReplicationFactor: 1})
	require.NoError(t, g.admin.EnsureTopics(t.Context(), specs...))
	return g
}

func (g *guarded) as(t *testing.T, user string) *kafka.Client {
	t.Helper()
	cfg := kafka.DefaultConfig(g.broker.Addr()...)
	cfg.SASL = kafka.SASL{Mechanism: "SCRAM-SHA-512", Username: user, Password: secret.New(password)}
	cfg.ProduceTimeout = 2 * time.Second // Kafka hides what may not be seen, so that a client goes on asking for it
	client, err := kafka.New(cfg, kafka.Deps{})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

// grant makes the entries of every account, and lets the player produce.
func (g *guarded) grant(t *testing.T) {
	t.Helper()
	principals := map[string]string{}
	for account := range g.cfg.KafkaAccess() {
		principals[account] = "User:" + account
	}
	acls, err := g.cfg.ACLs(principals)
	require.NoError(t, err)
	producer, err := g.cfg.ProducerACL("User:player", "viewing-events")
	require.NoError(t, err)
	require.NoError(t, g.admin.EnsureACLs(t.Context(), append(acls, producer)...))
}

// may tells which topics a user may read or write, by trying.
func (g *guarded) may(t *testing.T, user string, try func(ctx context.Context, c *kafka.Client, topic string) error) []string {
	t.Helper()
	client := g.as(t, user)
	specs := append(g.cfg.Topics.Specs(), kafka.TopicSpec{Name: "viewing-events"})
	errs := make([]error, len(specs))
	var all sync.WaitGroup
	for i, spec := range specs {
		all.Go(func() {
			errs[i] = try(t.Context(), client, spec.Name)
			for errors.Is(errs[i], context.DeadlineExceeded) && t.Context().Err() == nil { // a busy machine: no answer is no refusal
				errs[i] = try(t.Context(), client, spec.Name)
			}
		})
	}
	all.Wait()
	var allowed []string
	for i, spec := range specs {
		if errs[i] == nil {
			allowed = append(allowed, spec.Name)
			continue
		}
		require.ErrorContains(t, errs[i], "is not authorized", "%s, %s", user, spec.Name)
	}
	slices.Sort(allowed)
	return allowed
}

func read(ctx context.Context, c *kafka.Client, topic string) error {
	return c.Scan(ctx, kafka.ScanRequest{Topic: topic, Visit: func(stage.Record) bool { return true }})
}

// write tries until it has an answer: on a busy machine the time for one try may be over before that.
func write(ctx context.Context, c *kafka.Client, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := c.Publish(ctx, stage.Message{Topic: topic, Key: []byte("k"), Value: []byte("v")})
		var timed interface{ Timeout() bool }
		if !errors.As(err, &timed) || !timed.Timeout() || ctx.Err() != nil {
			return err
		}
	}
}

func TestEveryServiceMayDoWhatItMustAndNoMore(t *testing.T) {
	t.Attr("requirement", "XC-21")
	t.Parallel()
	g := setupGuarded(t)
	g.grant(t)
	for account, access := range g.cfg.KafkaAccess() {
		t.Run(account, func(t *testing.T) {
			t.Parallel()
			writes := slices.Sorted(slices.Values(access.Writes)) // a copy: accounts may share their lists
			require.Subset(t, g.may(t, account, read), access.Reads)
			require.Equal(t, writes, g.may(t, account, write))
		})
	}
	t.Run("a producer writes its topic", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, []string{"viewing-events"}, g.may(t, "player", write))
	})
	t.Run("somebody else does nothing", func(t *testing.T) {
		t.Parallel()
		require.Empty(t, g.may(t, "nobody", write))
		require.Empty(t, g.may(t, "nobody", read))
	})
}

func TestTheWriterAloneWritesItsLedger(t *testing.T) {
	t.Attr("requirement", "XC-21")
	t.Parallel()
	cfg := app.DefaultConfig()
	for account, access := range cfg.KafkaAccess() {
		require.Equal(t, account == "writer", slices.Contains(access.Writes, topic.Ledger), account)
		require.Equal(t, account == "visits", slices.Contains(access.Writes, topic.TotalsState), account)
	}
}

func TestProducersStayOutOfThePipeline(t *testing.T) {
	t.Attr("requirement", "XC-21")
	t.Parallel()
	cfg := app.DefaultConfig()
	cfg.Ingest.Sources = []ingest.Source{{Topic: "viewing-events"}}
	_, err := cfg.ProducerACL("User:player", topic.Writes)
	require.ErrorContains(t, err, "ingest.sources")
	_, err = cfg.ACLs(map[string]string{"mapper": "User:x"})
	require.ErrorContains(t, err, "mapper")
}
