package salesforce

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Clock tells the time. Implementations are safe for concurrent use.
type Clock interface {
	// Now returns the time of a call, of the same clock each time.
	Now() time.Time
}

// Deps is what a client needs from the program. The zero value works.
type Deps struct {
	// Transport carries the requests; nil for one with pooled connections of its own. Share one between clients: pools
	// are per host, limits per client.
	Transport http.RoundTripper
	// Clock defaults to the system's.
	Clock Clock
	// Tracer and Meter default to none.
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
	// Attributes go to every span and metric, e.g. the connection.
	Attributes []attribute.KeyValue
}

// Client talks to one org as one user. Safe for concurrent use: up to Config.MaxConcurrent requests run at a time, more wait
// until one has ended or their context has. Every error of its methods is an *Error.
type Client struct {
	cfg    Config
	tokens TokenSource
	http   *http.Client
	clock  Clock
	slots  chan struct{}
	usage  atomic.Pointer[Usage]
	calls  atomic.Int64
	watch  telemetry
}

// NewClient returns a client that has not asked for a token yet. A Config that does not Validate makes every call fail
// with that error.
func NewClient(cfg Config, tokens TokenSource, deps Deps) *Client {
	if deps.Transport == nil {
		deps.Transport = NewTransport()
	}
	if deps.Clock == nil {
		deps.Clock = systemClock{}
	}
	return &Client{
		cfg:    cfg,
		tokens: tokens,
		http:   &http.Client{Transport: deps.Transport, CheckRedirect: redirectPolicy(cfg.TrustedHosts)},
		clock:  deps.Clock,
		slots:  make(chan struct{}, max(1, cfg.MaxConcurrent)),
		watch:  newTelemetry(deps),
	}
}

// NewTransport returns a transport for clients of many orgs: up to 20 idle connections per host and bounded times for
// connecting and TLS. It follows the proxy settings of the environment.
func NewTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns = 1000
	t.MaxIdleConnsPerHost = 20
	t.IdleConnTimeout = 90 * time.Second
	t.TLSHandshakeTimeout = 10 * time.Second
	t.WriteBufferSize = 64 << 10
	t.ReadBufferSize = 64 << 10
	return t
}

// Calls returns how many requests were sent so far, repeated ones after a refused session included; each is a call of the org's
// allocation unless its method says otherwise.
func (c *Client) Calls() int64 { return c.calls.Load() }

// CloseIdle closes the connections nobody uses, of all clients that share the Transport. The client can still be used.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

// redirectPolicy keeps tokens and data within Salesforce's own domains and never repeats a change elsewhere.
func redirectPolicy(trusted []string) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		switch {
		case !allowedURL(req.URL, trusted) || (via[0].URL.Scheme == "https" && req.URL.Scheme != "https"):
			return &Error{
				Class: ClassConfig, Reason: ReasonRejected, Code: CodeForeignHost,
				Detail: "redirected to a host that is not Salesforce's; check proxies and the connection's address",
			}
		case via[0].Method != http.MethodGet, len(via) >= 3, via[0].URL.Host != req.URL.Host:
			return &Error{
				Class: ClassTransient, Reason: ReasonUnavailable, Code: CodeRedirected,
				Detail: "the org moved; its new address comes with the next token",
			}
		}
		return nil
	}
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

// acquire waits for one of the client's slots.
func (c *Client) acquire(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return transportError(ctx, ctx.Err(), false)
	}
}

func (c *Client) release() { <-c.slots }
