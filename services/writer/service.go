package writer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/sync/errgroup"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/writer/internal/delivery"
	"github.com/throughline-dev/throughline/services/writer/internal/gate"
	"github.com/throughline-dev/throughline/services/writer/internal/lag"
	"github.com/throughline-dev/throughline/services/writer/internal/parking"
	"github.com/throughline-dev/throughline/services/writer/internal/refusals"
	"github.com/throughline-dev/throughline/services/writer/internal/tally"
)

// Settings tells which connections there are and opens sealed fields.
type Settings interface {
	// View returns the newest settings, nil before the first ones.
	View() *settings.View
}

// Orgs hands out the connections' clients; *orgs.Pool is one.
type Orgs interface {
	Client(workspace, connection string) (*salesforce.Client, error)
}

// Deps is what code passes in. Broker, Settings, Orgs and DeadLetter are required.
type Deps struct {
	Broker   stage.Broker
	Settings Settings
	Orgs     Orgs
	// DeadLetter makes the message that carries a dead letter.
	DeadLetter func(stage.DeadLetter) (stage.Message, error)
	Logger     *slog.Logger
	Clock      stage.Clock
	Tracer     trace.TracerProvider
	Meter      metric.MeterProvider
}

func (d Deps) withDefaults() (Deps, error) {
	if d.Broker == nil || d.Settings == nil || d.Orgs == nil || d.DeadLetter == nil {
		return d, errors.New("writer: Broker, Settings, Orgs and DeadLetter are required")
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Clock == nil {
		d.Clock = stage.SystemClock{}
	}
	if d.Tracer == nil {
		d.Tracer = noop.NewTracerProvider()
	}
	if d.Meter == nil {
		d.Meter = metricnoop.NewMeterProvider()
	}
	return d, nil
}

// Service is the writer: a stage that delivers, and one that brings parked writes back.
type Service struct {
	cfg    Config
	deps   Deps
	tally  *tally.Tally
	gates  *gate.Registry
	paused *refusals.Registry
	lag    *lag.Lag
	stop   context.CancelFunc
	writes *stage.Stage
	parked *stage.Stage
	oldest *oldest
}

const scope = "github.com/throughline-dev/throughline/services/writer"

// New checks the configuration and builds the service. It starts nothing.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("writer: %w", err)
	}
	deps, err := deps.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, deps: deps, oldest: newOldest(), lag: lag.New()}
	if s.tally, err = tally.New(deps.Meter.Meter(scope)); err != nil {
		return nil, fmt.Errorf("writer: metrics: %w", err)
	}
	life, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.gates = gate.NewRegistry(func(work func(context.Context)) { go work(life) }, cfg.Gate, s.connection)
	if err := s.watchRefusals(); err != nil {
		return nil, fmt.Errorf("writer: metrics: %w", err)
	}
	if err := s.observe(); err != nil {
		return nil, fmt.Errorf("writer: metrics: %w", err)
	}
	runtime := stage.Deps{
		Broker: deps.Broker, Logger: deps.Logger, Clock: deps.Clock, Tracer: deps.Tracer, Meter: deps.Meter,
		DeadLetter: deps.DeadLetter,
	}
	if s.writes, err = stage.NewSink(s.writesConfig(), runtime, s.newDelivery); err != nil {
		return nil, fmt.Errorf("writer: %w", err)
	}
	if err := s.observeLag(); err != nil {
		return nil, fmt.Errorf("writer: metrics: %w", err)
	}
	if s.parked, err = stage.NewSink(s.parkedConfig(), runtime, s.newParking); err != nil {
		return nil, fmt.Errorf("writer: %w", err)
	}
	return s, nil
}

func (s *Service) writesConfig() stage.Config {
	cfg := stage.DefaultConfig("writer", topic.Writes)
	cfg.StateTopic = topic.Ledger
	cfg.DrainTimeout, cfg.SessionTimeout = s.cfg.DrainTimeout, s.cfg.SessionTimeout
	// Lanes bound themselves; this leaves room for requests in flight, overtaken writes and parks on their way.
	cfg.MaxUnsettled = 4 * s.cfg.Lanes.HeldRecords
	return cfg
}

func (s *Service) parkedConfig() stage.Config {
	cfg := stage.DefaultConfig("writer-parked", topic.Parked)
	cfg.DrainTimeout, cfg.SessionTimeout = s.cfg.DrainTimeout, s.cfg.SessionTimeout
	cfg.MaxUnsettled = 16 * s.cfg.Parking.HeldPerOrg
	// Parked writes wait for hours by design: standing still is no reason not to be ready.
	cfg.StallAfter = 2 * s.cfg.Parking.KeepFor
	return cfg
}

// connection ties a gate to the connection's settings and client.
func (s *Service) connection(workspace, connection string) gate.Connection {
	return func() (*configv1.Connection, gate.Client, error) {
		client, err := s.deps.Orgs.Client(workspace, connection)
		if err != nil {
			return nil, nil, err
		}
		// Promise 9: a connection is only ever looked up inside its own workspace.
		ws, ok := s.deps.Settings.View().Workspace(workspace)
		if !ok {
			return nil, nil, errNoConnection
		}
		c, ok := ws.Connection(connection)
		if !ok {
			return nil, nil, errNoConnection
		}
		return c, client, nil
	}
}

var errNoConnection = errors.New("the settings have no such connection")

func (s *Service) newDelivery(p stage.Partition, table *stage.Table, port stage.Port) (stage.SinkHandler, error) {
	waiting := s.lag.Partition(p.ID)
	h := delivery.NewHandler(s.cfg.Lanes, delivery.Deps{
		Settings: s.deps.Settings, Orgs: s.deps.Orgs, Gates: s.gates, Refusals: s.paused, Clock: s.deps.Clock, Logger: s.deps.Logger,
		Tracer: s.deps.Tracer.Tracer(scope), Tally: s.tally, ParkDelay: s.cfg.Parking.Delay(),
		LedgerKeep: s.cfg.LedgerKeep, LedgerSweep: s.cfg.LedgerSweep,
		Accepted: waiting.Accepted,
	}, table, &settling{Port: port, lag: waiting})
	return &measured{SinkHandler: h, lag: waiting}, nil
}

func (s *Service) newParking(p stage.Partition, _ *stage.Table, port stage.Port) (stage.SinkHandler, error) {
	h := parking.NewHandler(s.cfg.Parking, parking.Deps{
		Ready: func(workspace, connection string, class streamv1.Priority) bool {
			g, now := s.gates.Gate(workspace, connection), s.deps.Clock.Now()
			return g.State(now).Open && (class == streamv1.Priority_PRIORITY_UNSPECIFIED || g.Admits(class, now).Open)
		},
		Room: func(a parking.Action) int {
			if !s.gates.Gate(a.Workspace, a.Connection).Object(a.Object).Open {
				return 0
			}
			return s.paused.Room(refusals.Action(a), s.deps.Clock.Now())
		},
		Erased: func(workspace, personKey string, at time.Time) bool {
			return s.deps.Settings.View().Erased(workspace, personKey, at)
		},
		Replaced: func(workspace, connection, org string) bool {
			return delivery.Replaced(s.deps.Settings.View(), workspace, connection, org)
		},
		Expire: s.expire, Clock: s.deps.Clock, Logger: s.deps.Logger, Held: s.tally.Held,
	}, port)
	s.oldest.set(p.ID, h)
	return h, nil
}

// Run works until ctx ends and everything in flight is settled or given up. It returns an error only for settings that
// can never work.
func (s *Service) Run(ctx context.Context) error {
	defer s.stop()
	if !s.awaitSettings(ctx) {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.writes.Run(ctx) })
	g.Go(func() error { return s.parked.Run(ctx) })
	if err := g.Wait(); err != nil {
		return fmt.Errorf("writer: %w", err)
	}
	return nil
}

// awaitSettings waits for the first settings: without any, every connection would look unknown and its writes be parked.
func (s *Service) awaitSettings(ctx context.Context) bool {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for s.deps.Settings.View() == nil {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// Ready returns nil when both stages work. An org that cannot be written to does not make the writer unready.
func (s *Service) Ready() error { return errors.Join(s.writes.Ready(), s.parked.Ready()) }

// Stats is what the writer did since it was built.
type Stats struct {
	tally.Counts
	// Lag is how many writes are not settled yet, ParkedNow how many are parked, both in the partitions this process has.
	Lag, ParkedNow int64
	// OldestParked is since when the oldest parked write in memory waits; zero when there is none.
	OldestParked time.Time
	// Orgs tells the state of every connection that was written to.
	Orgs []OrgStats
}

// OrgStats is one connection's.
type OrgStats struct {
	Workspace, Connection string
	// Open says whether writes go out; Reason and Detail why not.
	Open           bool
	Reason, Detail string
	// Used and Max are the org's calls in 24 hours, by all its clients, as it said last.
	Used, Max int64
}

// Stats returns a snapshot. Safe for concurrent use.
func (s *Service) Stats() Stats {
	st := Stats{Counts: s.tally.Counts(), Lag: s.writes.Stats().Lag(), ParkedNow: s.parked.Stats().Lag()}
	st.OldestParked, _ = s.oldest.get()
	now := s.deps.Clock.Now()
	s.gates.Each(func(workspace, connection string, g *gate.Gate) {
		state := g.State(now)
		o := OrgStats{
			Workspace: workspace, Connection: connection, Open: state.Open,
			Reason: parking.ReasonName(state.Reason), Detail: state.Detail,
		}
		if state.Open {
			o.Reason = ""
		}
		if client, err := s.deps.Orgs.Client(workspace, connection); err == nil {
			usage, _ := client.Usage()
			o.Used, o.Max = usage.Used, usage.Max
		}
		st.Orgs = append(st.Orgs, o)
	})
	return st
}
