package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Config says how a process reports.
type Config struct {
	// Log configures the logger.
	Log LogConfig `yaml:"log"`
	// OTLPEndpoint is the collector's gRPC address, host:port; empty: spans are not exported.
	OTLPEndpoint string `yaml:"otlp_endpoint"`
	// OTLPInsecure sends spans without TLS. For a collector on the same host only.
	OTLPInsecure bool `yaml:"otlp_insecure"`
	// SampleRatio is the share of new traces that are sampled, 0 to 1. A trace that arrives sampled stays sampled.
	SampleRatio float64 `yaml:"sample_ratio"`
}

// DefaultConfig logs to standard error at level info and samples one trace in a hundred.
func DefaultConfig() Config {
	return Config{Log: LogConfig{Level: slog.LevelInfo, Format: FormatJSON}, SampleRatio: 0.01}
}

// Validate names the key that is wrong.
func (c Config) Validate() error {
	var errs []error
	if c.SampleRatio < 0 || c.SampleRatio > 1 {
		errs = append(errs, fmt.Errorf("telemetry.sample_ratio: %v is not between 0 and 1", c.SampleRatio))
	}
	if c.Log.Format != FormatJSON && c.Log.Format != FormatText {
		errs = append(errs, fmt.Errorf("telemetry.log.format: %q is neither json nor text", c.Log.Format))
	}
	return errors.Join(errs...)
}

// maxLinks holds a Collections request of 200 writes; the SDK's own limit is 128 per span.
const maxLinks = 256

// Telemetry is one process's reporting.
type Telemetry struct {
	// Logger is the root logger.
	Logger *slog.Logger
	// Levels changes what is logged while the process runs.
	Levels *Levels
	// Tracer makes tracers.
	Tracer trace.TracerProvider
	// Meter makes meters.
	Meter metric.MeterProvider
	// Registry holds the metrics, for those who add collectors of their own.
	Registry *prometheus.Registry

	lines   slog.Handler
	closers []func(context.Context) error
}

// Option changes where a process reports to.
type Option func(*outlets)

type outlets struct {
	log   io.Writer
	spans []sdktrace.SpanExporter
}

// WithLogWriter sends log lines to w instead of standard error.
func WithLogWriter(w io.Writer) Option { return func(o *outlets) { o.log = w } }

// WithSpanExporter sends every sampled span to e as soon as it ends, besides a collector's endpoint.
func WithSpanExporter(e sdktrace.SpanExporter) Option {
	return func(o *outlets) { o.spans = append(o.spans, e) }
}

// New starts reporting for a process that runs the named service. Close flushes what is still buffered.
func New(ctx context.Context, cfg Config, service, version string, options ...Option) (*Telemetry, error) {
	out := outlets{log: os.Stderr}
	for _, o := range options {
		o(&out)
	}
	t := &Telemetry{Levels: newLevels(cfg.Log.Level), lines: newHandler(out.log, cfg.Log.Format), Registry: prometheus.NewRegistry()}
	t.Logger = slog.New(leveled{t.lines, t.Levels.rest})
	res := resource.NewSchemaless(attribute.String("service.name", service), attribute.String("service.version", version))
	if err := t.startMetrics(res); err != nil {
		return nil, err
	}
	if err := t.startTraces(ctx, cfg, res, out.spans); err != nil {
		return nil, errors.Join(err, t.Close(ctx))
	}
	return t, nil
}

func (t *Telemetry) startMetrics(res *resource.Resource) error {
	t.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := otelprom.New(otelprom.WithRegisterer(t.Registry))
	if err != nil {
		return fmt.Errorf("metrics exporter: %w", err)
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithResource(res))
	t.Meter = provider
	t.closers = append(t.closers, provider.Shutdown)
	return nil
}

func (t *Telemetry) startTraces(ctx context.Context, cfg Config, res *resource.Resource, exporters []sdktrace.SpanExporter) error {
	limits := sdktrace.NewSpanLimits()
	limits.LinkCountLimit = maxLinks
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(res), sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.SampleRatio))),
	}
	for _, e := range exporters {
		options = append(options, sdktrace.WithSyncer(e))
	}
	if cfg.OTLPEndpoint != "" {
		client := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(cfg.OTLPEndpoint)}
		if cfg.OTLPInsecure {
			client = append(client, otlptracegrpc.WithInsecure())
		}
		exporter, err := otlptracegrpc.New(ctx, client...)
		if err != nil {
			return fmt.Errorf("trace exporter to %s: %w", cfg.OTLPEndpoint, err)
		}
		options = append(options, sdktrace.WithBatcher(exporter))
	}
	provider := sdktrace.NewTracerProvider(options...)
	t.Tracer = provider
	t.closers = append(t.closers, provider.Shutdown)
	return nil
}

// MetricsHandler serves the metrics in Prometheus's format.
func (t *Telemetry) MetricsHandler() http.Handler {
	return promhttp.HandlerFor(t.Registry, promhttp.HandlerOpts{Timeout: 10 * time.Second, EnableOpenMetrics: true})
}

// Close flushes spans and metrics. Safe to call twice.
func (t *Telemetry) Close(ctx context.Context) error {
	var errs []error
	for i := len(t.closers) - 1; i >= 0; i-- {
		errs = append(errs, t.closers[i](ctx))
	}
	t.closers = nil
	return errors.Join(errs...)
}
