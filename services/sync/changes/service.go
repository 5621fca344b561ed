package changes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// Settings gives the newest settings; nil while there are none yet.
type Settings interface{ View() *settings.View }

// Orgs leads to the orgs of connections; *orgs.Pool does.
type Orgs interface {
	// Client fails for a connection that does not exist (any more) or may not be used.
	Client(workspace, connection string) (*salesforce.Client, error)
	// Tokens gives the connection's access tokens; see Client.
	Tokens(workspace, connection string) (salesforce.TokenSource, error)
}

// Partitioner tells which partition a key belongs to; *kafka.Client does.
type Partitioner interface {
	Partitions(ctx context.Context, topic string) (int, error)
	PartitionFor(key []byte, partitions int) int
}

// Deps is what code passes in.
type Deps struct {
	// Broker, Partitioner, Settings and Orgs are required.
	Broker      stage.Broker
	Partitioner Partitioner
	Settings    Settings
	Orgs        Orgs
	// UserAgent is what our own requests call themselves, by which our own changes are told.
	UserAgent string
	// Logger defaults to one that discards.
	Logger *slog.Logger
	// Clock dates what is saved. Defaults to the system's.
	Clock  stage.Clock
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
	// DeadLetter makes the message of a dead letter; see stage.Deps.
	DeadLetter func(stage.DeadLetter) (stage.Message, error)
}

// Service subscribes to the orgs whose partitions it has.
type Service struct {
	cfg   Config
	deps  Deps
	stage *stage.Stage
	stats *stats
}

// New checks the configuration and builds the service. It starts nothing.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("changes: %w", err)
	}
	if deps.Settings == nil || deps.Orgs == nil || deps.Partitioner == nil {
		return nil, errors.New("changes: settings, orgs and partitioner are required")
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Clock == nil {
		deps.Clock = stage.SystemClock{}
	}
	s := &Service{cfg: cfg, deps: deps, stats: &stats{}}
	if err := s.stats.observe(deps.Meter, deps.Clock); err != nil {
		return nil, err
	}
	var err error
	s.stage, err = stage.NewSink(cfg.Stage, stage.Deps{
		Broker: deps.Broker, Logger: deps.Logger, Clock: deps.Clock, Tracer: deps.Tracer, Meter: deps.Meter, DeadLetter: deps.DeadLetter,
	}, func(p stage.Partition, table *stage.Table, port stage.Port) (stage.SinkHandler, error) {
		return newOwner(s, p, table, port), nil
	})
	if err != nil {
		return nil, fmt.Errorf("changes: %w", err)
	}
	return s, nil
}

// Run works until ctx ends. Without an endpoint there is nothing to do.
func (s *Service) Run(ctx context.Context) error {
	if s.cfg.Endpoint == "" {
		s.deps.Logger.InfoContext(ctx, "no change events are read, because sync.changes.endpoint is empty; what identity remembers is as old as its ages allow")
		<-ctx.Done()
		return nil
	}
	return s.stage.Run(ctx)
}

// Ready returns nil when the service has its share of the partitions. An org in trouble does not make it unready.
func (s *Service) Ready() error {
	if s.cfg.Endpoint == "" {
		return nil
	}
	if s.deps.Settings.View() == nil {
		return errors.New("sync: waiting for the first settings from config")
	}
	return s.stage.Ready()
}

// dial returns a connection of an org's own, so that no org uses up another's streams (promise 6). It connects when used.
func (s *Service) dial() (*grpc.ClientConn, error) {
	secured := credentials.NewTLS(nil)
	if s.cfg.Plaintext {
		secured = insecure.NewCredentials()
	}
	return grpc.NewClient(s.cfg.Endpoint, grpc.WithTransportCredentials(secured))
}

// Stats is what the service does and did since it started.
type Stats struct {
	// Subscribed and Unavailable subscriptions, now.
	Subscribed, Unavailable int64
	// Events received, messages Told, and how often events were or may have been Missed.
	Events, Told, Missed int64
	// Panicked is how often any of it failed by a defect.
	Panicked int64
}

// Stats counts over the partitions of this process.
func (s *Service) Stats() Stats {
	return Stats{
		Subscribed: s.stats.subscribed.Load(), Unavailable: s.stats.unavailable.Load(),
		Events: s.stats.events.Load(), Told: s.stats.told.Load(), Missed: s.stats.missed.Load(),
		Panicked: s.stats.panicked.Load(),
	}
}
