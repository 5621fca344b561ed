package rig

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/addrtest"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/libs/telemetry"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/identity"
	"github.com/throughline-dev/throughline/services/ingest"
	"github.com/throughline-dev/throughline/services/writer"
)

// DataPlane is every service that carries events.
var DataPlane = []string{"ingest", "visits", "identity", "mapping", "writer"}

// Process is a running process.
type Process struct {
	*app.Process
	// Stop drains it, as a signal would, and waits until it has ended. Safe to call twice; the end of the test does it too.
	Stop func()

	rig *Rig
}

// StartConfig starts a process with the config service, again on the address it had.
func (r *Rig) StartConfig() *Process {
	r.T.Helper()
	p := r.Launch("config", "config")
	service, ok := p.Service("config").(*config.Service)
	require.True(r.T, ok)
	r.configAddr = service.Addr()
	r.awaitReady(p)
	if r.Config == nil {
		conn := r.dial(r.AdminToken)
		r.Config, r.Connect = configv1.NewConfigServiceClient(conn), configv1.NewConnectServiceClient(conn)
	}
	return p
}

// Start starts a process with services (none: the data plane) and waits until it can work. The name tells processes
// apart that run at the same time; a process of the same name finds the files of the one before.
func (r *Rig) Start(name string, services ...string) *Process {
	r.T.Helper()
	if len(services) == 0 {
		services = DataPlane
	}
	p := r.Launch(name, services...)
	r.awaitReady(p)
	return p
}

// Launch starts a process with services and does not wait.
func (r *Rig) Launch(name string, services ...string) *Process {
	r.T.Helper()
	cfg := r.configuration(name)
	require.NoError(r.T, cfg.Validate())
	opts := app.Options{Version: "test", Silence: r.clock, Telemetry: r.opts.Spans}
	log := telemetry.WithLogWriter(discard{})
	if r.opts.Log != nil {
		log = telemetry.WithLogWriter(r.opts.Log)
	}
	opts.Telemetry = append(opts.Telemetry[:len(opts.Telemetry):len(opts.Telemetry)], log)
	built, err := app.New(context.Background(), &cfg, services, opts)
	require.NoError(r.T, err)
	p := &Process{Process: built, rig: r}
	p.Stop = r.background(func(ctx context.Context) error {
		err := built.Run(ctx)
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.StopTimeout)
		defer cancel()
		if closed := built.Close(closing); err == nil {
			err = closed
		}
		return err
	})
	return p
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func (r *Rig) awaitReady(p *Process) {
	r.T.Helper()
	r.Eventually(func() bool { return p.Ready() == nil }, "the process is ready")
}

// configuration is a process's, with waits and retries so short that tests do not wait for them.
func (r *Rig) configuration(name string) app.Config {
	cfg := app.DefaultConfig()
	cfg.Telemetry.Log.Level, cfg.Telemetry.SampleRatio = slog.LevelDebug, 1
	cfg.Admin.Listen, cfg.StopTimeout = "127.0.0.1:0", Within
	cfg.InstallationKeyFile = r.Path("installation.key")
	cfg.Kafka, cfg.Topics = kafka.DefaultConfig(r.brokers...), topics(r.opts.Partitions)
	cfg.Settings.Target, cfg.Settings.Token, cfg.Settings.TokenFile = r.configAddr, secret.New(r.ServiceToken), ""
	cfg.Settings.SavePath = r.Path(name + ".snapshot")
	cfg.Settings.RetryMin, cfg.Settings.RetryMax = 50*time.Millisecond, 200*time.Millisecond
	cfg.Orgs.TokenRetry = 100 * time.Millisecond
	cfg.Config.Listen, cfg.Config.Embedded, cfg.Config.Database.SQLitePath = addrtest.Free(r.T), true, r.Path("config.db")
	if r.configAddr != "" {
		cfg.Config.Listen = r.configAddr
	} else {
		cfg.Settings.Target = "127.0.0.1:1" // config itself watches nobody
	}
	cfg.Config.AccessTokens.RefusalHold = 100 * time.Millisecond
	cfg.Config.Callers = []config.Caller{
		{Name: "test", Role: config.RoleAdmin, Token: secret.New(r.AdminToken)},
		{Name: "services", Role: config.RoleService, Token: secret.New(r.ServiceToken)},
	}
	cfg.Ingest.Sources, cfg.Ingest.TraceRatio = []ingest.Source{{Topic: CustomerTopic}}, 1
	cfg.Visits.Activities.TickEvery = 50 * time.Millisecond
	hurry(&cfg.Identity, &cfg.Writer)
	cfg.Sync.Changes.Endpoint, cfg.Sync.Changes.Plaintext = r.Salesforce.PubSubAddr(), true
	cfg.Sync.Changes.Refresh, cfg.Sync.Changes.FlushEvery = 50*time.Millisecond, 20*time.Millisecond
	cfg.Sync.Changes.RetryMin, cfg.Sync.Changes.RetryMax = 50*time.Millisecond, 500*time.Millisecond
	cfg.Sync.Reports.Runs.Poll, cfg.Sync.Reports.Runs.WaitMin, cfg.Sync.Reports.Runs.WaitMax =
		50*time.Millisecond, 50*time.Millisecond, 200*time.Millisecond
	cfg.Config.Reports.Lease, cfg.Config.Reports.Retry = 10*time.Second, time.Second
	// What config asks orgs by its own schedule would come in the middle of slow tests only.
	cfg.Config.Connect.Diagnosis.Tick, cfg.Config.Catalogue.CheckEvery = time.Hour, time.Hour
	for _, s := range []*stage.Config{
		&cfg.Ingest.Stage, &cfg.Visits.Activities, &cfg.Visits.Visits, &cfg.Identity.Engagements, &cfg.Identity.Unresolved, &cfg.Mapping.Stage,
	} {
		s.RetryMax = 200 * time.Millisecond
	}
	if r.opts.Configure != nil {
		r.opts.Configure(&cfg)
	}
	return cfg
}

func hurry(i *identity.Config, w *writer.Config) {
	i.Directory.RestMin, i.Directory.RestMax = 100*time.Millisecond, 500*time.Millisecond
	i.Directory.Timeout, i.Directory.Patience = 30*time.Second, 30*time.Second
	i.Retry.RetryMin, i.Retry.RetryMax, i.Retry.RetryPoll = 100*time.Millisecond, 500*time.Millisecond, 50*time.Millisecond
	w.Lanes.Linger, w.Lanes.RetryMin, w.Lanes.RetryMax = 20*time.Millisecond, 20*time.Millisecond, 100*time.Millisecond
	w.Lanes.BulkLinger = 50 * time.Millisecond
	w.Lanes.LookAfter = 200 * time.Millisecond
	w.Gate.RetryMin, w.Gate.RetryMax, w.Gate.QuotaRetry = 100*time.Millisecond, 500*time.Millisecond, 200*time.Millisecond
	w.Parking.Recheck, w.Parking.DelayMin, w.Parking.DelayMax = 50*time.Millisecond, 50*time.Millisecond, 500*time.Millisecond
	w.Parking.Postpone = 500 * time.Millisecond
}

// For returns the process for a test within the rig's test.
func (p *Process) For(r *Rig) *Process {
	within := *p
	within.rig = r
	return &within
}

// AwaitSettings waits until the process works with what config holds now.
func (p *Process) AwaitSettings() {
	r := p.rig
	r.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	watch, err := r.Service().Watch(ctx, &configv1.WatchRequest{})
	require.NoError(r.T, err)
	newest, err := watch.Recv()
	require.NoError(r.T, err)
	r.Eventually(func() bool { return p.Revision() >= newest.GetSnapshot().GetRevision() }, "the process has the newest settings")
}

// Service is the config service, as a service sees it.
func (r *Rig) Service() configv1.ConfigServiceClient {
	r.T.Helper()
	return configv1.NewConfigServiceClient(r.dial(r.ServiceToken))
}

// Privacy is the service for requests about personal data, as an administrator sees it.
func (r *Rig) Privacy() configv1.PrivacyServiceClient {
	r.T.Helper()
	return configv1.NewPrivacyServiceClient(r.dial(r.AdminToken))
}

// Endpoint serves the process's HTTP endpoint for events, until the test ends.
func (p *Process) Endpoint() string {
	p.rig.T.Helper()
	service, ok := p.Service("ingest").(*ingest.Service)
	require.True(p.rig.T, ok)
	server := httptest.NewServer(service.Handler())
	p.rig.T.Cleanup(func() {
		server.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return server.URL + "/v1/events"
}
