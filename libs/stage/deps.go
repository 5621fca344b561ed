package stage

import (
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/metric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
)

// Deps is what code passes into a stage.
type Deps struct {
	// Broker is required; kafka.Client is one.
	Broker Broker
	// Logger defaults to one that discards.
	Logger *slog.Logger
	// Clock tells Tick the time, and dead letters when. Defaults to SystemClock. How often things are retried and for how
	// long they may take is always real time.
	Clock Clock
	// Tracer and Meter default to ones that do nothing.
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
	// DeadLetter makes the message that carries a dead letter. Without it the original record goes to
	// Config.DeadLetterTopic with the reason in headers. An error is retried, like a broker that is away.
	DeadLetter func(DeadLetter) (Message, error)
}

// Clock tells the time.
type Clock interface{ Now() time.Time }

// SystemClock is the real time.
type SystemClock struct{}

// Now returns time.Now.
func (SystemClock) Now() time.Time { return time.Now() }

func (d Deps) withDefaults(cfg Config) Deps {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	d.Logger = d.Logger.With("stage", cfg.Name, "topic", cfg.Topic)
	if d.Clock == nil {
		d.Clock = SystemClock{}
	}
	if d.Tracer == nil {
		d.Tracer = nooptrace.NewTracerProvider()
	}
	if d.Meter == nil {
		d.Meter = noopmetric.NewMeterProvider()
	}
	if d.DeadLetter == nil {
		d.DeadLetter = func(dl DeadLetter) (Message, error) { return plainDeadLetter(cfg.DeadLetterTopic, dl), nil }
	}
	return d
}
