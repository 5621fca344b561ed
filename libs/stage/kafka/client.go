package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"go.opentelemetry.io/otel/metric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	nooptrace "go.opentelemetry.io/otel/trace/noop"

	"github.com/throughline-dev/throughline/libs/stage"
)

// Deps is what code passes into a Client. All of it is optional.
type Deps struct {
	Logger *slog.Logger
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
}

// Client talks to one Kafka cluster. It is safe for concurrent use and meant to be shared: every part of a process that
// speaks to the cluster uses one Client, hence one pool of connections.
type Client struct {
	cfg    Config
	logger *slog.Logger
	tel    *telemetry

	addr      net.Addr
	transport *kafka.Transport
	admin     *kafka.Client
	dialer    *kafka.Dialer
	codec     compress.Compression

	// cancel ends what the transport does in the background.
	cancel context.CancelFunc

	topics  sync.Map // name → *topicInfo
	keyless roundRobin
}

var _ stage.Broker = (*Client)(nil)

// New returns a client. It checks the configuration and reads the files that it names, but connects to nothing.
func New(cfg Config, deps Deps) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	tlsConfig, err := cfg.TLS.config()
	if err != nil {
		return nil, err
	}
	mechanism, err := cfg.SASL.mechanism()
	if err != nil {
		return nil, fmt.Errorf("kafka: sasl: %w", err)
	}
	codec, err := codecNamed(cfg.Compression)
	if err != nil {
		return nil, err
	}
	deps = deps.withDefaults()
	tel, err := newTelemetry(deps)
	if err != nil {
		return nil, fmt.Errorf("kafka: metrics: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	transport := &kafka.Transport{
		DialTimeout: cfg.DialTimeout,
		IdleTimeout: time.Minute,
		MetadataTTL: metadataTTL,
		ClientID:    cfg.ClientID,
		TLS:         tlsConfig,
		SASL:        mechanism,
		Context:     ctx,
	}
	addr := kafka.TCP(cfg.Brokers...)
	return &Client{
		cfg:       cfg,
		logger:    deps.Logger,
		tel:       tel,
		addr:      addr,
		transport: transport,
		admin:     &kafka.Client{Addr: addr, Timeout: cfg.RequestTimeout, Transport: transport},
		dialer: &kafka.Dialer{
			ClientID: cfg.ClientID, Timeout: cfg.DialTimeout, DualStack: true,
			TLS: tlsConfig, SASLMechanism: mechanism,
		},
		codec:  codec,
		cancel: cancel,
	}, nil
}

// metadataTTL is the most a new topic or a moved leader stays unnoticed. kafka-go also gives a metadata request no longer
// than this.
const metadataTTL = 4 * time.Second

// Close closes the connections. Calls in flight fail. Safe to call twice.
func (c *Client) Close() {
	c.cancel()
	c.transport.CloseIdleConnections()
}

func (d Deps) withDefaults() Deps {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Tracer == nil {
		d.Tracer = nooptrace.NewTracerProvider()
	}
	if d.Meter == nil {
		d.Meter = noopmetric.NewMeterProvider()
	}
	return d
}
