package oauth

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
)

// Store keeps the refresh token of one connection where all replicas find it.
type Store interface {
	// RefreshToken returns the newest refresh token.
	RefreshToken(ctx context.Context) (secret.String, error)
	// Rotated stores next durably in the place of used, which is dead, before it returns. Called again with the same tokens
	// when it failed. It must not put next over a token that is neither of the two: another login is newer.
	Rotated(ctx context.Context, used, next secret.String) error
}

// SourceConfig bounds a Source.
type SourceConfig struct {
	// RefreshTimeout is the longest one refresh may take, storing included. It runs on when its callers leave: an answer
	// nobody reads may hold the only live refresh token.
	RefreshTimeout time.Duration `yaml:"refresh_timeout"`
	// HoldFailure is how long callers get the failure of the last refresh without the endpoint being asked again. Salesforce
	// allows some 3,600 logins per user and hour.
	HoldFailure time.Duration `yaml:"hold_failure"`
}

// DefaultSourceConfig returns 45 s for a refresh, and 10 s between failures.
func DefaultSourceConfig() SourceConfig {
	return SourceConfig{RefreshTimeout: 45 * time.Second, HoldFailure: 10 * time.Second}
}

// Validate names the first key that does not fit.
func (c SourceConfig) Validate() error {
	switch {
	case c.RefreshTimeout <= 0 || c.RefreshTimeout > 10*time.Minute:
		return errors.New("refresh_timeout: must be above 0 and at most 10m")
	case c.HoldFailure < 0 || c.HoldFailure > time.Hour:
		return errors.New("hold_failure: must be 0 to 1h")
	}
	return nil
}

// Source is a salesforce.TokenSource of one refresh-token grant, and safe for concurrent use. At most one refresh runs at a
// time, however many callers wait. A token is used until Salesforce refuses it, because its lifetime is not told, and its
// instance address comes anew with every refresh. A rotated refresh token is in the Store before the access token that came
// with it is handed out; while storing fails, callers get that error, and the storing is repeated, not the refresh, whose
// token is dead. After invalid_grant the Store is read once more, for another replica may have rotated the grant.
// Source: Salesforce Help, "OAuth 2.0 Refresh Token Flow for Renewed Sessions"; ISVforce Guide, "Secure Your Connected Apps
// and External Client Apps".
type Source struct {
	request Request
	store   Store
	clock   salesforce.Clock
	cfg     SourceConfig
	flight  singleflight.Group

	mu      sync.Mutex
	current salesforce.Token
	failure error
	failed  time.Time
	// pending is a rotation that is not stored yet. Only the flight touches it.
	pending *rotation
}

type rotation struct {
	used  secret.String
	token Token
}

// NewSource returns a source that has not asked for a token yet; request.RefreshToken is not used, the store's is. A
// SourceConfig that does not Validate makes every call of Token fail.
func NewSource(request Request, store Store, clock salesforce.Clock, cfg SourceConfig) *Source {
	return &Source{request: request, store: store, clock: clock, cfg: cfg}
}

// Token implements salesforce.TokenSource.
func (s *Source) Token(ctx context.Context) (salesforce.Token, error) {
	if err := s.cfg.Validate(); err != nil {
		return salesforce.Token{}, misuse(err.Error())
	}
	if token, known, err := s.known(); known {
		return token, err
	}
	result := s.flight.DoChan("", func() (any, error) {
		// The refresh outlives its callers, see RefreshTimeout.
		work, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.RefreshTimeout)
		defer cancel()
		// Whoever flew before may have brought what is wanted.
		if token, known, err := s.known(); known {
			return token, err
		}
		token, err := s.refresh(work)
		s.note(token, err)
		return token, err
	})
	select {
	case r := <-result:
		token, _ := r.Val.(salesforce.Token)
		return token, r.Err
	case <-ctx.Done():
		return salesforce.Token{}, classify(ctx, ctx.Err())
	}
}

// Refused implements salesforce.TokenSource. A token that is not the current one any more changes nothing.
func (s *Source) Refused(_ context.Context, token salesforce.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.AccessToken.Equal(token.AccessToken) {
		s.current = salesforce.Token{}
	}
}

// known returns the current token, or the failure that is still held.
func (s *Source) known() (token salesforce.Token, known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.current.AccessToken.IsEmpty():
		return s.current, true, nil
	case s.failure != nil && s.clock.Now().Sub(s.failed) < s.cfg.HoldFailure:
		return salesforce.Token{}, true, s.failure
	}
	return salesforce.Token{}, false, nil
}

func (s *Source) note(token salesforce.Token, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.failure, s.failed = token, err, s.clock.Now()
}

func (s *Source) refresh(ctx context.Context) (salesforce.Token, error) {
	if s.pending == nil {
		used, token, err := s.ask(ctx)
		if err != nil {
			return salesforce.Token{}, err
		}
		if token.RefreshToken.IsEmpty() {
			return usable(token), nil
		}
		s.pending = &rotation{used, token}
	}
	p := s.pending
	if err := s.store.Rotated(ctx, p.used, p.token.RefreshToken); err != nil {
		return salesforce.Token{}, storeError("the new refresh token cannot be stored; it is kept and stored again")
	}
	s.pending = nil
	return usable(p.token), nil
}

// ask refreshes once, and once more when the store turns out to hold another refresh token than the one that is dead.
func (s *Source) ask(ctx context.Context) (secret.String, Token, error) {
	used, err := s.load(ctx)
	if err != nil {
		return used, Token{}, err
	}
	token, err := s.exchange(ctx, used)
	if e := new(salesforce.Error); !errors.As(err, &e) || e.Code != "invalid_grant" {
		return used, token, err
	}
	newer, loadErr := s.load(ctx)
	if loadErr != nil || newer.Equal(used) {
		return used, Token{}, err
	}
	token, err = s.exchange(ctx, newer)
	return newer, token, err
}

func (s *Source) exchange(ctx context.Context, refreshToken secret.String) (Token, error) {
	request := s.request
	request.RefreshToken = refreshToken
	return Refresh(ctx, request)
}

func (s *Source) load(ctx context.Context) (secret.String, error) {
	token, err := s.store.RefreshToken(ctx)
	if err != nil {
		return token, storeError("the refresh token cannot be read from its store; it will be read again")
	}
	if token.IsEmpty() {
		return token, &salesforce.Error{
			Class: salesforce.ClassAuth, Reason: salesforce.ReasonAuthRevoked, Code: salesforce.CodeNoToken,
			Detail: "the connection has no refresh token; " + reconnect,
		}
	}
	return token, nil
}

// storeError leaves the cause out: texts of stores name hosts (promise 8).
func storeError(detail string) error {
	return &salesforce.Error{
		Class: salesforce.ClassTransient, Reason: salesforce.ReasonUnavailable, Code: salesforce.CodeNoToken, Detail: detail,
	}
}

func usable(t Token) salesforce.Token {
	return salesforce.Token{AccessToken: t.AccessToken, InstanceURL: t.InstanceURL}
}
