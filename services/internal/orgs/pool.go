package orgs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// Config is what a user sets.
type Config struct {
	// Salesforce is how clients talk to orgs. The API version is the connection's, where it has one.
	Salesforce salesforce.Config `yaml:"salesforce"`
	// TokenTimeout bounds one question to the config service.
	TokenTimeout time.Duration `yaml:"token_timeout"`
	// TokenMargin is how long before its expiry a token is replaced.
	TokenMargin time.Duration `yaml:"token_margin"`
	// TokenRetry is how long a failure is remembered before config is asked again for the same connection.
	TokenRetry time.Duration `yaml:"token_retry"`
}

// DefaultConfig returns the client's defaults, 15 s per token question, a margin of 30 s, and 1 s between two questions
// after a failure.
func DefaultConfig() Config {
	return Config{
		Salesforce:   salesforce.DefaultConfig(),
		TokenTimeout: 15 * time.Second,
		TokenMargin:  30 * time.Second,
		TokenRetry:   time.Second,
	}
}

// Validate names the first key that does not fit.
func (c Config) Validate() error {
	if err := c.Salesforce.Validate(); err != nil {
		return fmt.Errorf("salesforce.%w", err)
	}
	switch {
	case c.TokenTimeout <= 0:
		return errors.New("token_timeout: must be above 0")
	case c.TokenMargin < 0:
		return errors.New("token_margin: must not be negative")
	case c.TokenRetry < 0:
		return errors.New("token_retry: must not be negative")
	}
	return nil
}

// Tokens is the part of the config service that hands out access tokens; configv1.ConfigServiceClient is one.
type Tokens interface {
	GetAccessToken(
		context.Context, *configv1.GetAccessTokenRequest, ...grpc.CallOption,
	) (*configv1.GetAccessTokenResponse, error)
}

// Settings tells which connections there are.
type Settings interface {
	// View returns the newest settings, nil before the first ones.
	View() *settings.View
}

// Clock tells the time.
type Clock interface{ Now() time.Time }

// Deps is what code passes in. Tokens and Settings are required.
type Deps struct {
	Tokens   Tokens
	Settings Settings
	// Transport carries the requests of all clients; nil for a pooled one.
	Transport http.RoundTripper
	Clock     Clock
	Tracer    trace.TracerProvider
	Meter     metric.MeterProvider
}

// Pool hands out one client per connection. Safe for concurrent use.
type Pool struct {
	cfg  Config
	deps Deps

	mu   sync.Mutex
	orgs map[key]*org
}

type key struct{ workspace, connection string }

// org is one connection: its token outlives a change of the API version, its client does not.
type org struct {
	tokens  *tokenCache
	client  *salesforce.Client
	version string
}

// New returns a pool that has asked nobody anything yet.
func New(cfg Config, deps Deps) (*Pool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("orgs: %w", err)
	}
	if deps.Tokens == nil || deps.Settings == nil {
		return nil, errors.New("orgs: Tokens and Settings are required")
	}
	if deps.Transport == nil {
		deps.Transport = salesforce.NewTransport()
	}
	if deps.Clock == nil {
		deps.Clock = systemClock{}
	}
	return &Pool{cfg: cfg, deps: deps, orgs: map[key]*org{}}, nil
}

// ErrUnknownConnection means that the settings have no such connection (any more). It may appear with newer settings.
var ErrUnknownConnection = errors.New("the settings have no such connection")

// Client returns the connection's client. It asks nobody: the first call through the client gets a token.
func (p *Pool) Client(workspace, connection string) (*salesforce.Client, error) {
	version, err := p.version(workspace, connection)
	k := key{workspace, connection}
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.orgs[k]
	if err != nil {
		delete(p.orgs, k)
		return nil, err
	}
	if o == nil {
		o = &org{tokens: newTokenCache(p.cfg, p.deps, k)}
		p.orgs[k] = o
	}
	if o.client == nil || o.version != version {
		cfg := p.cfg.Salesforce
		cfg.APIVersion = version
		o.version = version
		o.client = salesforce.NewClient(cfg, o.tokens, salesforce.Deps{
			Transport: p.deps.Transport, Clock: p.deps.Clock, Tracer: p.deps.Tracer, Meter: p.deps.Meter,
			Attributes: []attribute.KeyValue{
				attribute.String("throughline.workspace", workspace),
				attribute.String("throughline.connection", connection),
			},
		})
	}
	return o.client, nil
}

func (p *Pool) version(workspace, connection string) (string, error) {
	view := p.deps.Settings.View()
	if view == nil {
		return "", fmt.Errorf("connection %s of workspace %s: no settings yet: %w", connection, workspace, ErrUnknownConnection)
	}
	// Promise 9: a connection is only ever looked up inside its own workspace.
	ws, ok := view.Workspace(workspace)
	if !ok {
		return "", fmt.Errorf("connection %s of workspace %s: %w", connection, workspace, ErrUnknownConnection)
	}
	c, ok := ws.Connection(connection)
	if !ok {
		return "", fmt.Errorf("connection %s of workspace %s: %w", connection, workspace, ErrUnknownConnection)
	}
	if v := c.GetApiVersion(); v != "" {
		return v, nil
	}
	return p.cfg.Salesforce.APIVersion, nil
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }
