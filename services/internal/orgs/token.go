package orgs

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// tokenCache is one connection's salesforce.TokenSource.
type tokenCache struct {
	cfg  Config
	deps Deps
	key  key
	// asking is held by the one caller who asks config; the others wait for what it learns.
	asking chan struct{}

	mu      sync.Mutex
	token   salesforce.Token
	refused []byte // SHA-256 of the token Salesforce did not accept
	failure error
	retryAt time.Time
	epoch   int // grows when everything known is forgotten
	// org is the id of the org that tokens must be of; empty: of any. retired: of none any more.
	org     string
	retired bool
}

func newTokenCache(cfg Config, deps Deps, k key) *tokenCache {
	return &tokenCache{cfg: cfg, deps: deps, key: k, asking: make(chan struct{}, 1)}
}

// Token implements salesforce.TokenSource.
func (c *tokenCache) Token(ctx context.Context) (salesforce.Token, error) {
	if token, known, err := c.cached(); known {
		return token, err
	}
	select {
	case c.asking <- struct{}{}:
	case <-ctx.Done():
		return salesforce.Token{}, ctx.Err()
	}
	defer func() { <-c.asking }()
	if token, known, err := c.cached(); known {
		return token, err
	}
	return c.ask(ctx)
}

// cached returns what is known without asking: a usable token, or a failure that is too young to ask again.
func (c *tokenCache) cached() (token salesforce.Token, known bool, failure error) {
	now := c.deps.Clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.retired {
		return salesforce.Token{}, true, errSuperseded
	}
	usable := !c.token.AccessToken.IsEmpty() &&
		(c.token.ExpiresAt.IsZero() || now.Before(c.token.ExpiresAt.Add(-c.cfg.TokenMargin)))
	if usable {
		return c.token, true, nil
	}
	if c.failure != nil && now.Before(c.retryAt) {
		return salesforce.Token{}, true, c.failure
	}
	return salesforce.Token{}, false, nil
}

func (c *tokenCache) ask(ctx context.Context) (salesforce.Token, error) {
	c.mu.Lock()
	refused, epoch := c.refused, c.epoch
	c.mu.Unlock()
	asked, cancel := context.WithTimeout(ctx, c.cfg.TokenTimeout)
	defer cancel()
	resp, err := c.deps.Tokens.GetAccessToken(asked, &configv1.GetAccessTokenRequest{
		Workspace: c.key.workspace, Connection: c.key.connection, RefusedTokenHash: refused,
	})
	if err != nil && ctx.Err() != nil {
		return salesforce.Token{}, ctx.Err() // the caller gave up; that says nothing about the connection
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch != epoch {
		return salesforce.Token{}, errSuperseded
	}
	if err != nil {
		c.failure, c.retryAt = classify(err), c.deps.Clock.Now().Add(c.cfg.TokenRetry)
		return salesforce.Token{}, c.failure
	}
	if issued := resp.GetOrgId(); issued != "" && !sameOrg(c.org, issued) {
		// Promise 5: config is ahead of the settings that are known here. What is meant for one org never reaches another.
		c.failure, c.retryAt = errSuperseded, c.deps.Clock.Now().Add(c.cfg.TokenRetry)
		return salesforce.Token{}, c.failure
	}
	c.failure = nil
	c.token = salesforce.Token{
		AccessToken: secret.New(resp.GetAccessToken()), InstanceURL: resp.GetInstanceUrl(),
	}
	if resp.GetExpiresAt() != nil {
		c.token.ExpiresAt = resp.GetExpiresAt().AsTime()
	}
	return c.token, nil
}

// errSuperseded: the connection was saved while its token was asked for. The next call gets the new one.
var errSuperseded = &salesforce.Error{
	Class: salesforce.ClassTransient, Reason: salesforce.ReasonUnavailable, Code: salesforce.CodeNoToken,
	Detail: "the connection was changed while a token was asked for; it will be asked again",
}

// forget drops the token, and a token that is being asked for now is not kept either.
func (c *tokenCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token, c.refused, c.failure = salesforce.Token{}, nil, nil
	c.epoch++
}

// belong lets through no tokens but those of an org, from now on.
func (c *tokenCache) belong(org string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.org == org {
		return
	}
	c.org = org
	c.epoch++ // what is being asked for may be another's
}

// retire ends all calls by these tokens.
func (c *tokenCache) retire() {
	c.forget()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
}

// Refused implements salesforce.TokenSource. A refusal of a token that was replaced meanwhile changes nothing.
func (c *tokenCache) Refused(_ context.Context, token salesforce.Token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.token.AccessToken.Equal(token.AccessToken) {
		return
	}
	hash := sha256.Sum256([]byte(token.AccessToken.Reveal()))
	c.refused = hash[:]
	c.token = salesforce.Token{}
}

// classify turns config's refusal into the client's terms. Config names its reason in an ErrorInfo; its text is for people
// and is scrubbed by config.
func classify(err error) error {
	s := status.Convert(err)
	e := &salesforce.Error{
		Class: salesforce.ClassTransient, Reason: salesforce.ReasonUnavailable, Code: salesforce.CodeNoToken,
		Detail: "the config service gave no access token (" + s.Code().String() + "); it will be asked again",
	}
	switch s.Code() {
	case codes.FailedPrecondition, codes.NotFound:
		e.Class, e.Reason = salesforce.ClassAuth, salesforce.ReasonAuthRevoked
		e.Detail = "the connection cannot get an access token; check or reconnect it"
		for _, d := range s.Details() {
			if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetReason() != "" {
				e.Reason = info.GetReason()
			}
		}
	default:
	}
	return e
}
