package reports

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/sync/deliveries"
	"github.com/throughline-dev/throughline/services/sync/push"
)

// Settings gives the newest settings; nil while there are none yet.
type Settings interface{ View() *settings.View }

// Deps is what code passes in.
type Deps struct {
	// Broker, Publisher, Settings, Orgs, Runs and Behind are required.
	Broker    stage.Broker
	Publisher push.Publisher
	Settings  Settings
	Orgs      push.Orgs
	// Runs is the config service's part of report pushes.
	Runs configv1.ReportRunServiceClient
	// Behind tells how many writes of a connection's partition the writer has not settled.
	Behind push.Behind
	// Logger defaults to one that discards; Clock to the system's; Tracer and Meter to ones that do nothing.
	Logger *slog.Logger
	Clock  stage.Clock
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
	// DeadLetter makes the message of a dead letter; see stage.Deps.
	DeadLetter func(stage.DeadLetter) (stage.Message, error)
}

// Component is the part of the sync service that pushes reports.
type Component struct {
	deliveries *stage.Stage
	runs       *push.Pusher
}

// New builds the component and starts nothing.
func New(cfg Config, deps Deps) (*Component, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("reports: %w", err)
	}
	if deps.Broker == nil || deps.Publisher == nil || deps.Settings == nil || deps.Orgs == nil || deps.Runs == nil || deps.Behind == nil {
		return nil, errors.New("reports: Broker, Publisher, Settings, Orgs, Runs and Behind are required")
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	watching, err := newDeliveries(cfg, deps)
	if err != nil {
		return nil, fmt.Errorf("reports: %w", err)
	}
	pusher, err := push.New(cfg.Runs, push.Deps{
		Runs: deps.Runs, Settings: deps.Settings, Orgs: deps.Orgs, Rows: deps.Broker, Publisher: deps.Publisher,
		Behind: deps.Behind, Logger: deps.Logger, Meter: deps.Meter,
	})
	if err != nil {
		return nil, fmt.Errorf("reports: %w", err)
	}
	return &Component{deliveries: watching, runs: pusher}, nil
}

func newDeliveries(cfg Config, deps Deps) (*stage.Stage, error) {
	runtime := stage.Deps{
		Broker: deps.Broker, Logger: deps.Logger, Clock: deps.Clock, Tracer: deps.Tracer, Meter: deps.Meter, DeadLetter: deps.DeadLetter,
	}
	return stage.NewPipeline(cfg.Deliveries, runtime, func(_ stage.Partition, table *stage.Table) (stage.Processor, error) {
		return deliveries.NewProcessor(deliveries.Deps{
			Notes: deps.Runs, Logger: deps.Logger, NoteTimeout: cfg.NoteTimeout, Forget: cfg.ForgetDeliveries,
		}, table), nil
	})
}

// Run follows deliveries and carries out runs until ctx ends, and returns once everything in flight is settled or given back.
func (c *Component) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.deliveries.Run(ctx) })
	g.Go(func() error { return c.runs.Run(ctx) })
	if err := g.Wait(); err != nil {
		return fmt.Errorf("reports: %w", err)
	}
	return nil
}

// Ready returns nil when deliveries are followed, or why they are not. A run that waits for its org does not make it unready.
func (c *Component) Ready() error { return c.deliveries.Ready() }

// Stats is what runs did in this process since it started.
func (c *Component) Stats() push.Stats { return c.runs.Stats() }
