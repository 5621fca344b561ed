package oidc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"

	"github.com/throughline-dev/throughline/services/config/internal/auth"
)

// maxAnswer is the most that is read of what the issuer answers, in bytes.
const maxAnswer = 1 << 20

// Deps is what a Verifier works with.
type Deps struct {
	Clock interface{ Now() time.Time }
	// Transport carries requests to the issuer; nil for the usual one.
	Transport http.RoundTripper
}

// Verifier checks ID tokens. It finds the issuer's keys when the first token comes, and again when one names a key that it
// does not know. Safe for concurrent use.
type Verifier struct {
	cfg    Config
	deps   Deps
	client *http.Client

	finding chan struct{} // held by the one who looks for the issuer, and by whoever reads what was found
	found   *oidc.IDTokenVerifier
	failed  time.Time
}

// New returns a verifier; the configuration must be valid and name an issuer. It asks nobody yet.
func New(cfg Config, deps Deps) *Verifier {
	next := deps.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	every := time.Minute / time.Duration(cfg.FetchesPerMinute)
	return &Verifier{
		cfg: cfg, deps: deps, finding: make(chan struct{}, 1),
		client: &http.Client{
			Transport: &bounded{next: next, timeout: cfg.Timeout, rate: rate.NewLimiter(rate.Every(every), cfg.FetchesPerMinute)},
		},
	}
}

// Verify implements auth.Verifier: signature, issuer, audience and expiry.
func (v *Verifier) Verify(ctx context.Context, token string) (auth.Claims, error) {
	verifier, err := v.verifier(ctx)
	if err != nil {
		return auth.Claims{}, err
	}
	var keys error
	verified, err := verifier.Verify(context.WithValue(ctx, keysError{}, &keys), token)
	switch {
	case errors.Is(keys, auth.ErrIssuerAway):
		return auth.Claims{}, keys
	case ctx.Err() != nil:
		return auth.Claims{}, ctx.Err()
	case err != nil: // promise 8: not what was wrong with it, which would quote it
		return auth.Claims{}, auth.ErrUnauthenticated
	}
	if verified.Subject == "" {
		return auth.Claims{}, auth.ErrUnauthenticated
	}
	var all map[string]any
	if err := verified.Claims(&all); err != nil {
		return auth.Claims{}, auth.ErrUnauthenticated
	}
	out := auth.Claims{Subject: verified.Subject, Nonce: verified.Nonce}
	if all[v.cfg.VerifiedClaim] == true || all[v.cfg.VerifiedClaim] == "true" { // some issuers send a text
		out.Email, _ = all[v.cfg.EmailClaim].(string)
	}
	return out, nil
}

// verifier finds the issuer, one caller at a time and not too often.
func (v *Verifier) verifier(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	select {
	case v.finding <- struct{}{}:
		defer func() { <-v.finding }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if v.found != nil {
		return v.found, nil
	}
	now := v.deps.Clock.Now()
	if !v.failed.IsZero() && now.Before(v.failed.Add(v.cfg.RetryEvery)) {
		return nil, auth.ErrIssuerAway
	}
	// Not the caller's context: whoever waits as well wants the answer, too. The transport's time-out bounds it.
	ask := oidc.ClientContext(context.WithoutCancel(ctx), v.client)
	provider, err := oidc.NewProvider(ask, v.cfg.Issuer)
	var discovered struct {
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err == nil {
		err = provider.Claims(&discovered)
	}
	if err != nil {
		v.failed = now
		return nil, fmt.Errorf("%w: %w", auth.ErrIssuerAway, err)
	}
	keys := newKeySet(v.cfg, v.deps.Clock.Now, func() oidc.KeySet { return oidc.NewRemoteKeySet(ask, discovered.Keys) })
	v.found = oidc.NewVerifier(v.cfg.Issuer, keys, &oidc.Config{
		ClientID: v.cfg.ClientID, Now: v.deps.Clock.Now, SupportedSigningAlgs: asymmetric(discovered.Algorithms),
	})
	return v.found, nil
}

// asymmetric leaves out what a token must not be signed with: nothing, or a secret that the verifier would have to know.
// Without any left RS256 is meant, which every issuer has.
func asymmetric(algorithms []string) []string {
	known := []string{
		oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
	}
	return slices.DeleteFunc(algorithms, func(a string) bool { return !slices.Contains(known, a) })
}

// bounded asks the issuer not too often, waits not too long and reads not too much. Promise 7.
type bounded struct {
	next    http.RoundTripper
	timeout time.Duration
	rate    *rate.Limiter
}

// RoundTrip implements http.RoundTripper. Everything but an answer that is there whole is ErrIssuerAway: with a time-out of
// the client's, or an error while reading, the library would only tell a text.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if !b.rate.Allow() {
		return nil, fmt.Errorf("%w: asked too often", auth.ErrIssuerAway)
	}
	ctx, cancel := context.WithTimeout(r.Context(), b.timeout)
	defer cancel()
	resp, err := b.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", auth.ErrIssuerAway, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusBadRequest {
		return nil, fmt.Errorf("%w: %s", auth.ErrIssuerAway, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", auth.ErrIssuerAway, err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}
