package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"go.opentelemetry.io/otel/metric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/ingest/edge"
	"github.com/throughline-dev/throughline/services/ingest/event"
	"github.com/throughline-dev/throughline/services/ingest/intake"
	"github.com/throughline-dev/throughline/services/ingest/rows"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
)

// Deps is what code passes in.
type Deps struct {
	// Broker reads the sources. Required if there are any.
	Broker stage.Broker
	// Publisher writes what came over HTTP. Required if the endpoint is on.
	Publisher edge.Publisher
	// Settings are the workspaces. Required.
	Settings edge.Settings
	// Sealer seals dead letters; the installation's key. Required if there are sources.
	Sealer deadletter.Sealer

	// Listener takes the place of Config.HTTP.Addr, and switches the endpoint on.
	Listener net.Listener
	// Logger, Clock, Tracer and Meter default to ones that do nothing, and to real time.
	Logger *slog.Logger
	Clock  stage.Clock
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
}

// Service is ingest. Build it with New.
type Service struct {
	cfg      Config
	deps     Deps
	tally    *tally
	subjects *intake.Subjects
	stages   []*stage.Stage
	handler  *http.ServeMux
}

// New builds the service and starts nothing. The error names the setting or the dependency that is missing.
func New(cfg Config, deps Deps) (*Service, error) {
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Clock == nil {
		deps.Clock = stage.SystemClock{}
	}
	if deps.Meter == nil {
		deps.Meter = noopmetric.NewMeterProvider()
	}
	s := &Service{cfg: cfg, deps: deps, tally: newTally(deps.Logger), subjects: intake.NewSubjects(cfg.SubjectCache)}
	if err := errors.Join(cfg.Validate(), s.checkDeps()); err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	if err := s.tally.register(deps.Meter); err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	for _, source := range cfg.Sources {
		built, err := s.newStage(source)
		if err != nil {
			return nil, fmt.Errorf("ingest: source %s: %w", source.Topic, err)
		}
		s.stages = append(s.stages, built)
	}
	s.handler = http.NewServeMux()
	s.handler.Handle(rows.Prefix, rows.NewHandler(cfg.Rows, rows.Deps{
		Logger: deps.Logger, Clock: deps.Clock, Publisher: deps.Publisher, Settings: deps.Settings,
	}))
	s.handler.Handle("/", edge.NewHandler(cfg.HTTP, edge.Deps{
		Logger: deps.Logger, Clock: deps.Clock, Publisher: deps.Publisher, Settings: deps.Settings,
		Observer: s.tally, NewIntake: s.newIntake,
	}))
	return s, nil
}

func (s *Service) checkDeps() error {
	var errs []error
	if s.deps.Settings == nil {
		errs = append(errs, errors.New("no settings given"))
	}
	if len(s.cfg.Sources) > 0 && (s.deps.Broker == nil || s.deps.Sealer == nil) {
		errs = append(errs, errors.New("sources need a broker, and a sealer for dead letters"))
	}
	if s.serves() && s.deps.Publisher == nil {
		errs = append(errs, errors.New("the HTTP endpoint needs a publisher"))
	}
	return errors.Join(errs...)
}

func (s *Service) serves() bool { return s.cfg.HTTP.Addr != "" || s.deps.Listener != nil }

func (s *Service) newIntake() *intake.Intake {
	limits := intake.Limits{EventBytes: s.cfg.MaxEventBytes, Ahead: s.cfg.MaxAhead}
	return intake.New(limits, s.subjects, intake.Tracing{Ratio: s.cfg.TraceRatio})
}

func (s *Service) newStage(source Source) (*stage.Stage, error) {
	deps := stage.Deps{
		Broker: s.deps.Broker, Logger: s.deps.Logger, Clock: s.deps.Clock, Tracer: s.deps.Tracer, Meter: s.deps.Meter,
		DeadLetter: deadletter.EncodeFor(s.deps.Sealer, func(rec *stage.Record) string { return s.workspaceOf(source, rec) }),
	}
	pace := newPace(source)
	return stage.NewPipeline(s.cfg.StageOf(source), deps, func(stage.Partition, *stage.Table) (stage.Processor, error) {
		return &processor{
			source: source, settings: s.deps.Settings, clock: s.deps.Clock, observer: s.tally, intake: s.newIntake(),
			pace: pace,
		}, nil
	})
}

// workspaceOf tells whose a dead letter is: the topic's tenant, or else a known one that the event claims.
func (s *Service) workspaceOf(source Source, rec *stage.Record) string {
	if source.Workspace != "" {
		return source.Workspace
	}
	view := s.deps.Settings.View()
	if view == nil || len(rec.Value) > s.cfg.MaxEventBytes {
		return ""
	}
	raw := source.raw(rec)
	claimed := intake.Claim(event.NewDecoder(), &raw)
	if workspace, ok := view.Workspace(claimed); ok {
		return workspace.ID()
	}
	return ""
}

// Handler is the HTTP endpoint, for a program that serves it beside others. Run serves it too if Config.HTTP.Addr or
// Deps.Listener says where.
func (s *Service) Handler() http.Handler { return s.handler }

// Run reads the sources and serves HTTP until ctx ends, and returns when everything in flight is acknowledged or given
// back. The error is a setting that can never work, such as an address in use.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, st := range s.stages {
		group.Go(func() error { return st.Run(ctx) })
	}
	if s.serves() {
		server := edge.Server{Config: s.cfg.HTTP, Handler: s.handler, Logger: s.deps.Logger, Listener: s.deps.Listener}
		group.Go(func() error { return server.Run(ctx) })
	}
	// A service without sources and endpoint has nothing to do, but is not at its end.
	group.Go(func() error {
		<-ctx.Done()
		return nil
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	return nil
}

// Ready returns nil once there are settings and every source is being read, and why not otherwise.
func (s *Service) Ready() error {
	var errs []error
	if s.deps.Settings.View() == nil {
		errs = append(errs, errNoSettings)
	}
	for i, st := range s.stages {
		if err := st.Ready(); err != nil {
			errs = append(errs, fmt.Errorf("source %s: %w", s.cfg.Sources[i].Topic, err))
		}
	}
	return errors.Join(errs...)
}

// Stats counts decisions.
func (s *Service) Stats() Stats { return s.tally.stats() }

// SourceStats says how far each source is, by topic.
func (s *Service) SourceStats() map[string]stage.Stats {
	stats := make(map[string]stage.Stats, len(s.stages))
	for i, st := range s.stages {
		stats[s.cfg.Sources[i].Topic] = st.Stats()
	}
	return stats
}
