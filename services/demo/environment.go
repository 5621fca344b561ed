package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/generator"
	"github.com/throughline-dev/throughline/services/ingest"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/simulator"
)

const (
	// partitions of every topic: enough for two cores to work in parallel, few enough to be cheap.
	partitions = 4
	// silence is the workspaces' default silence limit.
	silence = 30 * time.Minute
	// tickEvery is how often visits look for what is due.
	tickEvery = 100 * time.Millisecond
	// settleFor is longer than visits take to find out that a partition is quiet: some ticks and one more second.
	settleFor   = 1500 * time.Millisecond
	stopTimeout = 30 * time.Second
	readyWithin = time.Minute
	// pollEvery is the time between two looks at what is ready.
	pollEvery = 100 * time.Millisecond
)

// environment is everything that runs during a demo.
type environment struct {
	opts    Options
	state   *state
	clock   *clock
	logger  *slog.Logger
	traffic *generator.Generator
	tokens  tokens

	brokers   []string
	simulator *simulator.Simulator
	processes []*app.Process
	kafka     *kafka.Client
	config    configv1.ConfigServiceClient

	// parts run in the background, in the order in which they were started.
	parts   []part
	closers []func() error
}

// part is something that runs in the background until it is cancelled.
type part struct {
	cancel context.CancelFunc
	done   chan error
}

// start brings Kafka and Salesforce up, empty or as an earlier run left them.
func start(ctx context.Context, opts Options) (_ *environment, err error) {
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, err
	}
	st, err := loadState(opts.Dir, opts)
	if err != nil {
		return nil, err
	}
	if opts.measured {
		st.PubSub = "" // Nobody listens, and what Salesforce does to tell of changes is not ours to measure.
	}
	e := &environment{opts: opts, state: st, clock: &clock{}}
	e.logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	defer func() {
		if err != nil {
			err = errors.Join(err, e.stop(ctx))
		}
	}()
	cfg := generator.DefaultConfig()
	cfg.Seed, cfg.Events, cfg.Now = st.Seed, st.Events, st.Now
	if e.traffic, err = generator.New(cfg); err != nil {
		return nil, err
	}
	if e.tokens, err = loadTokens(opts.Dir); err != nil {
		return nil, err
	}
	if _, err = seal.LoadOrCreateInstallation(e.path(installationKey)); err != nil {
		return nil, err
	}
	if err := e.startBroker(ctx); err != nil {
		return nil, err
	}
	return e, e.startSimulator(ctx)
}

func (e *environment) path(name string) string { return filepath.Join(e.opts.Dir, name) }

// background runs a part until the environment stops; it outlives ctx.
func (e *environment) background(ctx context.Context, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := part{cancel: cancel, done: make(chan error, 1)}
	e.parts = append(e.parts, p)
	go func() { p.done <- run(ctx) }()
}

func (e *environment) startBroker(ctx context.Context) error {
	e.brokers = e.opts.Brokers
	if len(e.brokers) == 0 {
		embedded, err := broker.Start(broker.Config{Dir: e.path("kafka"), Listen: e.state.Kafka, Partitions: partitions, Logger: e.logger})
		if err != nil {
			return err
		}
		e.closers = append(e.closers, func() error { embedded.Close(); return nil })
		e.brokers = embedded.Addr()
	}
	var err error
	if e.kafka, err = kafka.New(e.kafkaConfig(), kafka.Deps{Logger: e.logger}); err != nil {
		return err
	}
	e.closers = append(e.closers, func() error { e.kafka.Close(); return nil })
	specs := append(e.topics().Specs(), kafka.TopicSpec{Name: customerTopic, Partitions: partitions})
	return e.kafka.EnsureTopics(ctx, specs...)
}

func (e *environment) kafkaConfig() kafka.Config { return kafka.DefaultConfig(e.brokers...) }

func (e *environment) topics() app.TopicsConfig {
	t := app.DefaultConfig().Topics
	t.Partitions = partitions
	return t
}

func (e *environment) startSimulator(ctx context.Context) error {
	cfg := simulator.DefaultConfig()
	cfg.Listen, cfg.PubSub, cfg.Dir = e.state.Simulator, e.state.PubSub, e.path("salesforce")
	var err error
	if e.simulator, err = simulator.New(cfg, simulator.Deps{Logger: e.logger}); err != nil {
		return err
	}
	if err := e.simulator.Listen(ctx); err != nil {
		return err
	}
	data, err := generator.Scenario(e.traffic.World(), e.access)
	if err != nil {
		return err
	}
	scenario, err := simulator.ParseScenario(data)
	if err != nil {
		return err
	}
	e.addPlatformApp(scenario)
	if err := e.simulator.Seed(ctx, scenario); err != nil {
		return err
	}
	e.background(ctx, e.simulator.Run)
	return nil
}

// platformApp is the consumer key of the app that `throughline connect` uses where nobody brings one.
const platformApp = "throughline"

// addPlatformApp has every org know the platform's own app, which people authorise in a browser.
func (e *environment) addPlatformApp(scenario *simulator.Scenario) {
	if e.state.Connect == "" {
		return
	}
	for i := range scenario.Orgs {
		scenario.Orgs[i].Apps = append(scenario.Orgs[i].Apps, simulator.App{
			Name: "Throughline", ClientID: platformApp, ClientSecret: e.tokens.org.Reveal(), PKCE: true, RotateRefreshTokens: true,
			RedirectURIs: []string{"http://" + e.state.Connect + "/oauth/callback"},
		})
	}
}

// access is how the workspace's connection gets into its org.
func (e *environment) access(workspace string) generator.Access {
	return generator.Access{
		LoginURL: e.simulator.BaseURL(workspace), ClientID: "throughline-" + workspace, ClientSecret: e.tokens.org,
	}
}

// serve starts services; the first process that is started also serves operators.
func (e *environment) serve(ctx context.Context, names ...string) error {
	cfg := e.processConfig()
	if len(e.processes) > 0 {
		cfg.Admin.Listen = ""
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	p, err := app.New(ctx, &cfg, names, app.Options{Version: e.opts.Version, Silence: e.clock})
	if err != nil {
		return err
	}
	e.processes = append(e.processes, p)
	e.background(ctx, p.Run)
	return nil
}

// connect opens the administrator's way into the config service.
func (e *environment) connect() error {
	cfg := e.processConfig().Settings
	cfg.TokenFile = e.path(adminToken)
	conn, err := settings.Dial(cfg, settings.Deps{})
	if err != nil {
		return err
	}
	e.closers = append(e.closers, conn.Close)
	e.config = configv1.NewConfigServiceClient(conn)
	return nil
}

// service finds a service among the processes.
func (e *environment) service(name string) app.Service {
	for _, p := range e.processes {
		if s := p.Service(name); s != nil {
			return s
		}
	}
	return nil
}

func (e *environment) processConfig() app.Config {
	cfg := app.DefaultConfig()
	cfg.Telemetry.Log.Level, cfg.Telemetry.Log.Format = slog.LevelWarn, "text"
	cfg.Admin.Listen = e.state.Admin
	cfg.InstallationKeyFile = e.path(installationKey)
	cfg.Kafka, cfg.Topics = e.kafkaConfig(), e.topics()
	cfg.Settings.Target, cfg.Settings.SavePath = e.state.Config, e.path("settings.snapshot")
	cfg.Settings.TokenFile, cfg.ViewerTokenFile = e.path(serviceToken), e.path(viewerToken)
	cfg.Config.Listen, cfg.Config.Embedded, cfg.Config.Database.SQLitePath = e.state.Config, true, e.path("config.db")
	cfg.Config.HTTP = e.state.HTTP
	cfg.Config.Callers = []config.Caller{
		{Name: "demo", Role: config.RoleAdmin, TokenFile: e.path(adminToken)},
		{Name: "services", Role: config.RoleService, TokenFile: e.path(serviceToken)},
		{Name: "console", Role: config.RoleViewer, TokenFile: e.path(viewerToken)},
	}
	if cfg.Config.Connect.Listen = e.state.Connect; e.state.Connect != "" {
		cfg.Config.Connect.App = config.PlatformApp{ClientID: platformApp, ClientSecret: e.tokens.org}
	}
	cfg.Console.Listen, cfg.Console.TokenFile, cfg.Console.SecureCookie = e.state.Console, e.path(adminToken), false
	cfg.Ingest.Sources = []ingest.Source{{Topic: customerTopic}}
	cfg.Ingest.HTTP.Addr = e.state.Ingest
	cfg.Ingest.TraceRatio = cfg.Telemetry.SampleRatio
	cfg.Visits.Activities.TickEvery = tickEvery
	cfg.Sync.Changes.Endpoint, cfg.Sync.Changes.Plaintext = e.state.PubSub, true
	return cfg
}

// awaitReady waits until every service is ready, a minute at most.
func (e *environment) awaitReady(ctx context.Context) error {
	deadline := time.Now().Add(readyWithin)
	for {
		var errs []error
		for _, p := range e.processes {
			errs = append(errs, p.Ready())
		}
		err := errors.Join(errs...)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready after %s: %w", readyWithin, err)
		}
		if err := pause(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// stop ends everything, the services first, in the order that lets them drain.
func (e *environment) stop(ctx context.Context) error {
	var errs []error
	for _, p := range slices.Backward(e.parts) {
		p.cancel()
		errs = append(errs, <-p.done)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	for _, p := range e.processes {
		errs = append(errs, p.Close(ctx))
	}
	for _, closeOne := range slices.Backward(e.closers) {
		errs = append(errs, closeOne())
	}
	return errors.Join(errs...)
}

// tokens are the demo's credentials, made once per folder. The services read theirs from its file.
type tokens struct{ admin, org secret.String }

// Files of the folder that hold them.
const (
	adminToken   = "admin.token"
	serviceToken = "service.token"
	viewerToken  = "viewer.token"
	orgSecret    = "org.secret"

	installationKey = "installation.key"
)
