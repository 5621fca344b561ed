package consent

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/limit"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
)

// Flows keeps attempts.
type Flows interface {
	CreateFlow(ctx context.Context, f store.Flow) error
	MoveFlow(ctx context.Context, was, next store.Flow, revoke *store.Revocation) error
	ExpiredFlows(ctx context.Context, now, old time.Time, limit int) ([]store.Flow, error)
}

// FlowFinder finds them again.
type FlowFinder interface {
	Flow(ctx context.Context, workspace, id string) (store.Flow, error)
	PendingFlow(ctx context.Context, workspace, connection string) (store.Flow, error)
	FlowByTicket(ctx context.Context, hash []byte) (store.Flow, error)
	FlowByState(ctx context.Context, hash []byte) (store.Flow, error)
}

// Documents keeps connections.
type Documents interface {
	Get(ctx context.Context, key store.Key) (store.Document, error)
	List(ctx context.Context, workspace string, kind store.Kind) ([]store.Document, error)
	Put(ctx context.Context, save store.Save) error
}

// Tokens is the custody of credentials; see tokens.Custodian.
type Tokens interface {
	Get(ctx context.Context, workspace, connection string, refusedHash []byte) (*configv1.GetAccessTokenResponse, error)
	Exclusive(ctx context.Context, workspace, connection string, f func(context.Context) error) error
	Retry(workspace, connection string)
}

// Orgs asks an org who it is, and who has authorised us.
type Orgs interface {
	Organization(ctx context.Context, connection *configv1.Connection, access *configv1.GetAccessTokenResponse) (*configv1.Org, error)
	Identity(ctx context.Context, connection *configv1.Connection, access *configv1.GetAccessTokenResponse) (salesforce.Identity, error)
}

// Revoker revokes tokens; see lifecycle.Revoker.
type Revoker interface {
	Try(ctx context.Context, token *store.Revocation) (bool, error)
}

// Audit is where refused logins are written down.
type Audit interface {
	AddAudit(ctx context.Context, e store.AuditEntry) error
}

// Config bounds attempts.
type Config struct {
	// LoginTimeout is how long a begun login may take: Salesforce's codes live as long.
	LoginTimeout time.Duration `yaml:"login_timeout"`
	// LinkLifetime is how long a set-up link lasts if nothing is said.
	LinkLifetime time.Duration `yaml:"link_lifetime"`
	// KeepEnded is how long what came of an attempt can be asked for.
	KeepEnded time.Duration `yaml:"keep_ended"`
	// ExchangeTimeout bounds each question to Salesforce.
	ExchangeTimeout time.Duration `yaml:"exchange_timeout"`
}

// DefaultConfig returns 15 minutes for a login, 7 days for a link, 30 days of memory and 30 s per question.
func DefaultConfig() Config {
	return Config{LoginTimeout: 15 * time.Minute, LinkLifetime: 7 * 24 * time.Hour, KeepEnded: 30 * 24 * time.Hour, ExchangeTimeout: 30 * time.Second}
}

// Validate names the key that is wrong.
func (c Config) Validate() error {
	switch {
	case c.LoginTimeout < time.Minute || c.LoginTimeout > 15*time.Minute:
		return errors.New("login_timeout: want 1m to 15m, the life of Salesforce's codes")
	case c.LinkLifetime < time.Hour || c.LinkLifetime > 7*24*time.Hour:
		return errors.New("link_lifetime: want 1h to 168h")
	case c.KeepEnded < time.Hour:
		return errors.New("keep_ended: want at least 1h")
	case c.ExchangeTimeout <= 0:
		return errors.New("exchange_timeout: want more than 0")
	}
	return nil
}

// Deps is what a Service works with; all of it is required but HTTPClient and Diagnose.
type Deps struct {
	Flows        Flows
	Find         FlowFinder
	Documents    Documents
	Tokens       Tokens
	Orgs         Orgs
	Revoker      Revoker
	Keeper       *lifecycle.Keeper
	Installation *seal.Installation
	Addresses    Addresses
	// Platform is the platform's own app, for connections that bring none.
	Platform tokens.App
	// PublicURL is where browsers find this service, without a slash at the end.
	PublicURL func() string
	// Diagnose looks at an org that was connected just now.
	Diagnose func(ctx context.Context, workspace, connection string) (*configv1.Diagnosis, error)
	// Audit keeps logins that were refused, as many of one workspace as Refusals lets through (promise 7): the pages need no
	// account.
	Audit    Audit
	Refusals *limit.Limiter
	// HTTPClient carries questions to the token endpoint; nil for one with a time-out.
	HTTPClient *http.Client
	Clock      interface{ Now() time.Time }
	Logger     *slog.Logger
}

// Service runs attempts. Safe for concurrent use, also by several replicas on one store.
type Service struct {
	cfg  Config
	deps Deps
}

// New returns a service.
func New(cfg Config, deps Deps) *Service { return &Service{cfg: cfg, deps: deps} }

// CallbackPath is where Salesforce sends browsers back to; LinkPath is where links begin.
const (
	CallbackPath = "/oauth/callback"
	LinkPath     = "/connect/"
)

// CallbackURL is the address to register with an app, character by character (IMM-6).
func (s *Service) CallbackURL() string { return s.deps.PublicURL() + CallbackPath }

// unguessable returns 260 random bits as 52 letters and digits, which also suit a state parameter and a PKCE verifier.
func unguessable() string { return rand.Text() + rand.Text() }

// trusted are the hosts that may be given secrets besides Salesforce's own.
func (s *Service) trusted() []string { return s.deps.Addresses.Trusted }
