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

// org is one connection. Its token lasts until the connection is saved anew, its client until the API version or the org
// changes.
type org struct {
	tokens     *tokenCache
	client     *salesforce.Client
	apiVersion string
	// id is the org that the client is for; empty when that is not known.
	id string
	// saved is the version of the connection that the token is of.
	saved int64
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

// ErrNotAuthorised means that an administrator or Salesforce has ended the connection's authorisation, or nobody has given
// one yet. It passes when the org is connected again.
var ErrNotAuthorised = errors.New("the connection is not authorised; connect the org")

// ErrOrgUnknown means that another org was accepted for the connection, and nobody knows yet which one it is. It passes when the
// connection is checked.
var ErrOrgUnknown = errors.New("another org was accepted for the connection; check the connection, so that it is known which")

// sameOrg reports whether a client for one org may go on for another; an org that was not known may be any.
func sameOrg(was, now string) bool {
	return was == "" || now == "" || settings.SameOrg(was, now)
}

// Client returns the connection's client. It asks nobody: the first call through the client gets a token. A client makes calls
// to one org: when an administrator has accepted another one, it makes none any more, and there is a new one (LOOM-14).
func (p *Pool) Client(workspace, connection string) (*salesforce.Client, error) {
	o, err := p.org(workspace, connection)
	if err != nil {
		return nil, err
	}
	return o.client, nil
}

// Tokens returns the connection's access tokens, those that its client has, for what is not called through a Client.
func (p *Pool) Tokens(workspace, connection string) (salesforce.TokenSource, error) {
	o, err := p.org(workspace, connection)
	if err != nil {
		return nil, err
	}
	return o.tokens, nil
}

// org returns what there is of a connection now; the answer is not changed afterwards.
func (p *Pool) org(workspace, connection string) (org, error) {
	c, err := p.connection(workspace, connection)
	k := key{workspace, connection}
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.orgs[k]
	if err != nil {
		if o != nil {
			o.tokens.retire() // nor does who has a client go on with it
		}
		delete(p.orgs, k)
		return org{}, err
	}
	if o != nil && !sameOrg(o.id, c.GetOrg().GetId()) {
		o.tokens.retire() // what is under way was meant for the org before
		o = nil
	}
	if o == nil {
		o = &org{tokens: newTokenCache(p.cfg, p.deps, k), saved: c.GetVersion()}
		p.orgs[k] = o
	}
	if o.id == "" {
		o.id = c.GetOrg().GetId()
		o.tokens.belong(o.id)
	}
	if o.saved != c.GetVersion() {
		// It may be another org's now, or another user's. The old token would go on working, in the wrong place.
		o.saved = c.GetVersion()
		o.tokens.forget()
	}
	version := p.cfg.Salesforce.APIVersion
	if c.GetApiVersion() != "" {
		version = c.GetApiVersion()
	}
	if o.client == nil || o.apiVersion != version {
		cfg := p.cfg.Salesforce
		cfg.APIVersion = version
		o.apiVersion = version
		o.client = salesforce.NewClient(cfg, o.tokens, salesforce.Deps{
			Transport: p.deps.Transport, Clock: p.deps.Clock, Tracer: p.deps.Tracer, Meter: p.deps.Meter,
			Attributes: []attribute.KeyValue{
				attribute.String("throughline.workspace", workspace),
				attribute.String("throughline.connection", connection),
			},
		})
	}
	return *o, nil
}

func (p *Pool) connection(workspace, connection string) (*configv1.Connection, error) {
	view := p.deps.Settings.View()
	if view == nil {
		return nil, fmt.Errorf("connection %s of workspace %s: no settings yet: %w", connection, workspace, ErrUnknownConnection)
	}
	// Promise 9: a connection is only ever looked up inside its own workspace.
	ws, ok := view.Workspace(workspace)
	if !ok {
		return nil, fmt.Errorf("connection %s of workspace %s: %w", connection, workspace, ErrUnknownConnection)
	}
	c, ok := ws.Connection(connection)
	if !ok {
		return nil, fmt.Errorf("connection %s of workspace %s: %w", connection, workspace, ErrUnknownConnection)
	}
	if ended(c.GetStatus().GetState()) {
		return nil, fmt.Errorf("connection %s of workspace %s: %w", connection, workspace, ErrNotAuthorised)
	}
	if _, known := settings.OrgOf(c); !known {
		return nil, fmt.Errorf("connection %s of workspace %s: %w", connection, workspace, ErrOrgUnknown)
	}
	return c, nil
}

// ended reports whether no call may be made through a connection in the state, whatever token is still around (XC-17).
func ended(state configv1.ConnectionState) bool {
	switch state {
	case configv1.ConnectionState_CONNECTION_STATE_NOT_CONNECTED, configv1.ConnectionState_CONNECTION_STATE_AWAITING_SF_ADMIN,
		configv1.ConnectionState_CONNECTION_STATE_REVOKED, configv1.ConnectionState_CONNECTION_STATE_DISCONNECTED:
		return true
	}
	return false
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }
