package config

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/api"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/catalogue"
	"github.com/throughline-dev/throughline/services/config/internal/keys"
	"github.com/throughline-dev/throughline/services/config/internal/notices"
	"github.com/throughline-dev/throughline/services/config/internal/preview"
	"github.com/throughline-dev/throughline/services/config/internal/privacy"
	"github.com/throughline-dev/throughline/services/config/internal/reports"
	"github.com/throughline-dev/throughline/services/config/internal/retain"
	"github.com/throughline-dev/throughline/services/config/internal/runlog"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/watch"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// Deps is what code passes in.
type Deps struct {
	// Installation seals credentials and wraps workspaces' keys. Required.
	Installation *seal.Installation
	// Broker carries outcomes. Without it the run log records nothing.
	Broker stage.Broker
	// DeadLetter makes the message of what is not an outcome; see stage.Deps.
	DeadLetter func(stage.DeadLetter) (stage.Message, error)
	// Topics reads the pipeline's topics, for exports of what is held of a person; nil when there is no broker.
	Topics privacy.Log
	// Compile checks integrations; nil for the way mapping runs them.
	Compile func(*configv1.Integration) (*integration.Program, error)
	// Decide is how mapping decides, for previews; main hands it in, for services do not know each other. Without it there
	// are none.
	Decide Decide
	Logger *slog.Logger
	Clock  stage.Clock
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
}

// Decide is how mapping decides.
type Decide = preview.Decide

// PreviewCase is one engagement that Decide decides on.
type PreviewCase = preview.Case

// Decision is what came of a PreviewCase.
type Decision = preview.Decision

func (d Deps) withDefaults() Deps {
	if d.Compile == nil {
		d.Compile = integration.Compile
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Clock == nil {
		d.Clock = stage.SystemClock{}
	}
	return d
}

// Service is the config service.
type Service struct {
	cfg       Config
	deps      Deps
	store     *store.Store
	hub       *watch.Hub
	connect   *connecting
	api       *api.Server
	access    *api.Access
	door      *auth.Door
	auditor   *retain.Cleaner
	privacy   *privacy.Server
	officer   *privacy.Worker
	grpc      *grpc.Server
	web       *web
	health    *health
	listener  net.Listener
	runLog    *stage.Stage
	cleaner   *runlog.Cleaner
	catalogue *catalogue.Catalogue
	keys      *keys.Rewrapper
	notices   *notices.Worker
	runner    *reports.Runner
	reports   *api.Reports
	serving   atomic.Bool
	closing   sync.Once
	closed    error
}

// New opens the database, migrates it and takes the address. Nothing is served before Run; a service that is never run
// must be closed.
func New(cfg Config, deps Deps) (_ *Service, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("config service: %w", err)
	}
	if deps.Installation == nil {
		return nil, errors.New("config service: the installation's key is missing")
	}
	s := &Service{cfg: cfg, deps: deps.withDefaults()}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("config service: %w", err), s.Close())
		}
	}()
	if s.store, err = openStore(cfg.Database); err != nil {
		return nil, err
	}
	s.hub = watch.New(watch.Config{PollEvery: cfg.PollEvery, History: cfg.IntegrationHistory, PartBytes: cfg.WatchPartBytes, Plans: cfg.Plans},
		watch.Deps{Store: s.store, Clock: s.deps.Clock, Logger: s.deps.Logger})
	s.keys = keys.New(cfg.Keys, keys.Deps{Store: s.store, Installation: deps.Installation, Logger: s.deps.Logger})
	if s.connect, err = s.newConnecting(); err != nil {
		return nil, err
	}
	if s.notices, err = s.newNotices(); err != nil {
		return nil, err
	}
	if s.api, err = s.newAPI(); err != nil {
		return nil, err
	}
	s.newAccess()
	s.newPrivacy()
	s.newReports()
	if err = s.newServers(); err != nil {
		return nil, err
	}
	s.cleaner = &runlog.Cleaner{
		Retention: cfg.RunLog.Retention, Purger: s.store, Workspaces: s.store, Clock: s.deps.Clock, Logger: s.deps.Logger,
	}
	if deps.Broker != nil {
		if s.runLog, err = s.newRunLog(); err != nil {
			return nil, err
		}
	}
	s.listener, err = net.Listen("tcp", cfg.Listen) //nolint:noctx // a local bind does not block
	return s, err
}

func openStore(cfg Database) (*store.Store, error) {
	ctx, cancel := context.WithTimeout(context.Background(), cfg.OpenTimeout)
	defer cancel()
	if !cfg.PostgresDSN.IsEmpty() {
		return store.OpenPostgres(ctx, store.PostgresConfig{
			DSN: cfg.PostgresDSN, PasswordFile: cfg.PostgresPasswordFile, Plaintext: cfg.PostgresPlaintext, MaxConns: cfg.MaxConns,
		})
	}
	return store.OpenSQLite(ctx, cfg.SQLitePath)
}

func (s *Service) newAPI() (*api.Server, error) {
	var err error
	s.catalogue, err = catalogue.New(s.cfg.Catalogue, catalogue.Deps{
		Describes: s.store, Times: s.store, Broken: s.store, Counts: s.store, Settings: s.store,
		Orgs:    catalogue.Salesforce{Tokens: s.connect.custodian, Client: s.orgs().client},
		Compile: s.deps.Compile, Clock: s.deps.Clock, Logger: s.deps.Logger, Meter: s.deps.Meter,
	})
	if err != nil {
		return nil, err
	}
	return api.New(api.Deps{
		Documents: s.store, Directory: s.store, Accounts: s.store, RunLog: s.store, Tokens: s.connect.custodian, Hub: s.hub,
		Keeper: s.connect.keeper, States: s.store, Secrets: s.connect.custodian, Consent: s.connect.consent, Flows: s.store,
		Disconnector: s.connect.disconnector, Diagnosis: s.connect.diagnose, Pages: s.connect.listener != nil,
		Outgoing: s.connect.networks, Demand: s.cfg.Connect.Diagnosis.Demand, Orgs: s.orgs(),
		Catalogue:      s.catalogue,
		Notices:        s.store,
		Notifier:       s.notices,
		Installation:   s.deps.Installation,
		Compile:        s.deps.Compile,
		Decide:         s.deps.Decide,
		Topics:         s.deps.Topics,
		ReadTimeout:    s.cfg.ReadTimeout,
		Persons:        s.store,
		CheckLoginURL:  loginPolicy{embedded: s.cfg.Embedded, trusted: s.cfg.TrustedHosts}.check,
		CheckRetention: s.cfg.RunLog.Retention.Check,
		Plans:          s.cfg.Plans,
		Clock:          s.deps.Clock,
		Logger:         s.deps.Logger,
	}), nil
}

func (s *Service) orgs() orgs {
	return orgs{timeout: s.cfg.OrgTimeout, trusted: s.cfg.TrustedHosts, tracer: s.deps.Tracer, meter: s.deps.Meter}
}

func (s *Service) newNotices() (*notices.Worker, error) {
	w, err := notices.New(s.cfg.Notices, notices.Deps{
		Troubles: s.store, Diagnoses: s.connect.diagnose, Notices: s.store, Tellings: s.store, Purger: s.store, Documents: s.store,
		RunLog: s.store, Runs: s.store, Installation: s.deps.Installation, Clock: s.deps.Clock, Logger: s.deps.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("notices.%w", err)
	}
	return w, nil
}

// newPrivacy builds what answers and works on requests about personal data.
func (s *Service) newPrivacy() {
	s.privacy = privacy.NewServer(s.cfg.Privacy, privacy.Deps{
		Documents: s.store, Erasures: s.store, Lifter: s.store, Exports: s.store, Proposals: s.store, Audit: s.store,
		Installation: s.deps.Installation, Clock: s.deps.Clock, Logger: s.deps.Logger, Writes: s.deps.Broker != nil,
	})
	s.officer = privacy.NewWorker(s.cfg.Privacy, privacy.WorkerDeps{
		Documents: s.store, Eraser: s.store, Answers: s.store, Suppressions: s.store, Log: s.deps.Topics,
		Writes: s.deps.Broker, Installation: s.deps.Installation, Clock: s.deps.Clock, Logger: s.deps.Logger,
	})
}

// newReports builds what keeps report pushes and hands their runs out.
func (s *Service) newReports() {
	s.runner = reports.New(s.cfg.Reports, reports.Deps{
		Documents: s.store, Schedules: s.store, Starter: s.store, Claims: s.store, Ends: s.store, Pauses: s.store, Deliveries: s.store,
		Connections: s.store, Describer: s.catalogue, Judge: s.catalogue, Clock: s.deps.Clock, Logger: s.deps.Logger,
	})
	s.reports = api.NewReports(api.ReportDeps{
		Pushes: s.store, Log: s.store, Rows: s.store, Recorder: s.store, Runner: s.runner, Lease: s.cfg.Reports.Lease,
	}, s.api)
}

func (s *Service) newKeyAPI() *api.KeyServer {
	return api.NewKeyServer(api.KeyDeps{
		Documents: s.store, Destroyer: s.store, Rewrapper: s.keys, Audit: s.store, Installation: s.deps.Installation, Keeper: s.connect.keeper,
		PromoteAfter: s.cfg.Keys.PromoteAfter, Clock: s.deps.Clock, Logger: s.deps.Logger,
	})
}

func (s *Service) newRunLog() (*stage.Stage, error) {
	return stage.NewPipeline(s.cfg.RunLog.Stage, stage.Deps{
		Broker: s.deps.Broker, Logger: s.deps.Logger, Clock: s.deps.Clock, Tracer: s.deps.Tracer, Meter: s.deps.Meter,
		DeadLetter: s.deps.DeadLetter,
	}, runlog.NewProcessor(s.store, s.catalogue, s.connect.diagnose))
}

// Addr is the address of the gRPC service, with the port that was taken if Config.Listen names port 0.
func (s *Service) Addr() string { return s.listener.Addr().String() }

// Run serves until ctx ends, lets calls under way finish, closes everything and returns nil. An error means that the
// service could not go on. Call it once.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		s.hub.Run(ctx)
		return nil
	})
	group.Go(func() error {
		s.cleaner.Run(ctx)
		return nil
	})
	group.Go(func() error {
		s.keys.Run(ctx)
		return nil
	})
	group.Go(func() error {
		s.auditor.Run(ctx)
		return nil
	})
	group.Go(func() error { return s.catalogue.Run(ctx) })
	group.Go(func() error {
		s.runner.Run(ctx)
		return nil
	})
	group.Go(func() error {
		s.officer.Run(ctx)
		return nil
	})
	group.Go(func() error {
		s.notices.Run(ctx)
		return nil
	})
	if s.runLog != nil {
		group.Go(func() error { return s.runLog.Run(ctx) })
	}
	group.Go(func() error { return s.servePages(ctx) })
	group.Go(func() error { return s.serveHTTP(ctx) })
	group.Go(func() error {
		s.connect.diagnose.Run(ctx)
		return nil
	})
	group.Go(func() error {
		s.sweep(ctx)
		return nil
	})
	group.Go(func() error { return s.serve(ctx) })
	return errors.Join(group.Wait(), s.Close()) //nolint:contextcheck // ctx has ended by then
}

// Ready returns nil when calls are answered and outcomes recorded, or else why not.
func (s *Service) Ready() error {
	if !s.serving.Load() {
		return errors.New("config: not serving")
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	if err := s.store.Ping(ctx); err != nil {
		return fmt.Errorf("config: the settings database does not answer: %w", err)
	}
	if s.runLog != nil {
		if err := s.runLog.Ready(); err != nil {
			return fmt.Errorf("config: run log: %w", err)
		}
	}
	return nil
}

// Close releases what New took. Safe to call twice, and after Run.
func (s *Service) Close() error {
	s.closing.Do(func() {
		var errs []error
		if s.grpc != nil {
			s.grpc.Stop()
		}
		if s.listener != nil {
			if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
		if s.connect != nil && s.connect.listener != nil {
			if err := s.connect.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
		if s.web != nil {
			errs = append(errs, s.web.close())
		}
		if s.connect != nil {
			ctx, cancel := context.WithTimeout(context.Background(), s.cfg.StopTimeout)
			s.connect.custodian.Finish(ctx)
			cancel()
		}
		if s.store != nil {
			errs = append(errs, s.store.Close())
		}
		s.closed = errors.Join(errs...)
	})
	return s.closed
}
