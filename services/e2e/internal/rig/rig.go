package rig

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/throughline-dev/throughline/libs/addrtest"
	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/libs/stage/kafka/kafkatest"
	"github.com/throughline-dev/throughline/libs/telemetry"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/config/configtest"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/simulator"
)

// CustomerTopic is where the customers' platform sends its events.
const CustomerTopic = "viewing-events"

// Within bounds every wait.
const Within = 3 * time.Minute

// Options say what is special about a rig.
type Options struct {
	// OwnBroker runs the rig on an embedded broker that keeps its data on disk, also when there is a real cluster: for tests
	// that stop it.
	OwnBroker bool
	// Partitions of every topic. Default 2.
	Partitions int
	// Configure changes the configuration of every process.
	Configure func(*app.Config)
	// Log takes the log lines of everything, at level debug; nil drops them. Spans exporters get every span.
	Log   io.Writer
	Spans []telemetry.Option
}

// Rig is a platform. It belongs to one test; its methods end the test when something fails that the test is not about.
type Rig struct {
	T     testing.TB
	Dir   string
	Kafka *kafka.Client
	// Salesforce is the simulated Salesforce with all orgs.
	Salesforce *simulator.Simulator
	// Config is the config service, as an administrator sees it; nil before StartConfig.
	Config configv1.ConfigServiceClient
	// Connect is what connects and disconnects orgs, as the same administrator sees it.
	Connect configv1.ConnectServiceClient
	// AdminToken and ServiceToken let callers into config, OrgSecret into every org.
	AdminToken, ServiceToken, OrgSecret string

	opts    Options
	clock   *clock
	logger  *slog.Logger
	brokers []string

	broker     *broker.Broker
	configAddr string
}

// clock is the real time plus what it was moved ahead.
type clock struct{ ahead atomic.Int64 }

// Now implements stage.Clock.
func (c *clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Parallel lets the test run beside others, unless all of them share a real cluster: topics have fixed names.
func Parallel(t *testing.T) {
	t.Helper()
	if kafkatest.Real() == nil {
		t.Parallel()
	}
}

// New puts broker, topics and Salesforce up. Processes are the test's to start.
func New(t testing.TB, opts Options) *Rig {
	t.Helper()
	if opts.Partitions == 0 {
		opts.Partitions = 2
	}
	r := &Rig{
		T: t, Dir: t.TempDir(), opts: opts, clock: &clock{}, logger: slog.New(slog.DiscardHandler),
		AdminToken: rand.Text(), ServiceToken: rand.Text(), OrgSecret: rand.Text(),
	}
	if opts.Log != nil {
		r.logger = slog.New(slog.NewJSONHandler(opts.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if r.brokers = kafkatest.Real(); r.brokers == nil || opts.OwnBroker {
		r.StartBroker()
		t.Cleanup(r.StopBroker)
	}
	_, err := seal.LoadOrCreateInstallation(r.Path("installation.key"))
	require.NoError(t, err)
	cfg := kafka.DefaultConfig(r.brokers...)
	cfg.RequestTimeout, cfg.ProduceTimeout = time.Minute, Within
	r.Kafka, err = kafka.New(cfg, kafka.Deps{Logger: r.logger})
	require.NoError(t, err)
	t.Cleanup(r.Kafka.Close)
	configtest.Database(t, r.Path("config.db"))
	r.createTopics()
	r.startSalesforce()
	return r
}

// For returns the rig for a test within the rig's test.
func (r *Rig) For(t testing.TB) *Rig {
	within := *r
	within.T = t
	return &within
}

// StartBroker starts the embedded broker, again on the address and with the data that it had.
func (r *Rig) StartBroker() {
	r.T.Helper()
	cfg := broker.Config{Logger: r.logger}
	if r.opts.OwnBroker {
		cfg.Dir = r.Path("kafka")
	}
	if cfg.Listen = addrtest.Free(r.T); r.broker != nil {
		cfg.Listen = r.brokers[0]
	}
	b, err := broker.Start(cfg)
	require.NoError(r.T, err)
	r.broker, r.brokers = b, b.Addr()
}

// StopBroker stops the embedded broker. Safe to call twice.
func (r *Rig) StopBroker() { r.broker.Close() }

func (r *Rig) createTopics() {
	r.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	if kafkatest.Real() != nil && !r.opts.OwnBroker {
		deleteTopics(ctx, r.T, r.Kafka)
	}
	require.NoError(r.T, r.Kafka.EnsureTopics(ctx, specs(r.opts.Partitions)...))
}

// Brokers returns the real cluster, without what the test before this one has left there; nil when there is none.
func Brokers(t testing.TB) []string {
	t.Helper()
	brokers := kafkatest.Real()
	if brokers == nil {
		return nil
	}
	client, err := kafka.New(kafka.DefaultConfig(brokers...), kafka.Deps{})
	require.NoError(t, err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	deleteTopics(ctx, t, client)
	return brokers
}

// deleteTopics deletes all topics that a platform has; their names are the same for every test.
func deleteTopics(ctx context.Context, t testing.TB, client *kafka.Client) {
	t.Helper()
	var names []string
	for _, s := range specs(1) {
		names = append(names, s.Name)
	}
	require.NoError(t, client.DeleteTopics(ctx, names...))
}

func specs(partitions int) []kafka.TopicSpec {
	return append(topics(partitions).Specs(), kafka.TopicSpec{Name: CustomerTopic, Partitions: partitions, MaxMessageBytes: largestRecord})
}

// largestRecord is what customers may send: more than ingest takes, and more than a dead letter copies.
const largestRecord = 16 << 20

func topics(partitions int) app.TopicsConfig {
	t := app.DefaultConfig().Topics
	t.Partitions = partitions
	return t
}

func (r *Rig) startSalesforce() {
	r.T.Helper()
	cfg := simulator.DefaultConfig()
	cfg.Listen, cfg.PubSub, cfg.PubSubKeepalive = "127.0.0.1:0", "127.0.0.1:0", time.Second
	var err error
	r.Salesforce, err = simulator.New(cfg, simulator.Deps{Logger: r.logger})
	require.NoError(r.T, err)
	require.NoError(r.T, r.Salesforce.Listen(r.T.Context()))
	r.background(r.Salesforce.Run)
}

// background runs a part until the test ends, or until the function it returns is called.
func (r *Rig) background(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(r.T, <-done)
	})
	r.T.Cleanup(stop)
	return stop
}

// Path is a file in the rig's folder.
func (r *Rig) Path(name string) string { return filepath.Join(r.Dir, name) }

// Advance moves the clock of the visits ahead.
func (r *Rig) Advance(d time.Duration) { r.clock.ahead.Add(int64(d)) }

// Eventually waits until ok, within the usual bound. what ends the sentence "it did not happen that …".
func (r *Rig) Eventually(ok func() bool, what string) {
	r.T.Helper()
	require.Eventually(r.T, ok, Within, 20*time.Millisecond, "it did not happen that %s", what)
}

// dial connects to config with a caller's token.
func (r *Rig) dial(token string) *grpc.ClientConn {
	r.T.Helper()
	cfg := settings.DefaultConfig()
	cfg.Target, cfg.Token = r.configAddr, secret.New(token)
	conn, err := settings.Dial(cfg, settings.Deps{})
	require.NoError(r.T, err)
	r.T.Cleanup(func() { _ = conn.Close() })
	return conn
}
