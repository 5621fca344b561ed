package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Token is one that is forgotten here and still good at Salesforce.
type Token struct {
	Workspace, Connection, LoginURL string
	Token                           secret.String
}

// sealedToken is what is kept of it.
type sealedToken struct{ LoginURL, Token string }

// RevocationContext binds what is sealed to one revocation.
func RevocationContext(workspace, id string) []byte {
	return []byte("throughline/revocation/" + workspace + "/" + id)
}

// firstRetry is when a sweep takes over from whoever made a revocation, and tries it at once.
const firstRetry = time.Minute

// NewRevocation seals a token for the store. Whoever stores it calls Revoker.Try afterwards; sweeps go on from there.
func NewRevocation(inst *seal.Installation, t Token, now time.Time) (*store.Revocation, error) {
	r := &store.Revocation{
		ID: uuid.NewString(), Workspace: t.Workspace, Connection: t.Connection, Attempts: 1, NextAt: now.Add(firstRetry), CreatedAt: now,
	}
	plain, err := json.Marshal(sealedToken{t.LoginURL, t.Token.Reveal()})
	if err != nil {
		return nil, fmt.Errorf("seal a token of connection %s: %w", t.Connection, err)
	}
	r.Sealed, err = inst.Seal(plain, RevocationContext(r.Workspace, r.ID))
	return r, err
}

// Revocations is where tokens wait to be revoked.
type Revocations interface {
	ClaimRevocations(ctx context.Context, now, then time.Time, limit int) ([]store.Revocation, error)
	PostponeRevocation(ctx context.Context, id string, at time.Time) error
	DropRevocation(ctx context.Context, id string) error
}

// RevokeConfig bounds how tokens are revoked.
type RevokeConfig struct {
	// Timeout bounds one question to Salesforce.
	Timeout time.Duration `yaml:"timeout"`
	// RetryMin and RetryMax: the wait doubles from one to the other.
	RetryMin time.Duration `yaml:"retry_min"`
	RetryMax time.Duration `yaml:"retry_max"`
	// GiveUp is after how long a token that cannot be revoked is forgotten; idle ones end by themselves after 30 days.
	GiveUp time.Duration `yaml:"give_up"`
}

// DefaultRevokeConfig returns 15 s per question, 1 min to 6 h between two tries, and 7 days.
func DefaultRevokeConfig() RevokeConfig {
	return RevokeConfig{Timeout: 15 * time.Second, RetryMin: time.Minute, RetryMax: 6 * time.Hour, GiveUp: 7 * 24 * time.Hour}
}

// Validate names the key that is wrong.
func (c RevokeConfig) Validate() error {
	switch {
	case c.Timeout <= 0:
		return errors.New("timeout: want more than 0")
	case c.RetryMin <= 0 || c.RetryMax < c.RetryMin:
		return errors.New("retry_min, retry_max: want 0 < retry_min <= retry_max")
	case c.GiveUp < c.RetryMin:
		return errors.New("give_up: want at least retry_min")
	}
	return nil
}

// Revoker revokes tokens at Salesforce. Safe for concurrent use.
type Revoker struct {
	Config       RevokeConfig
	Store        Revocations
	Installation *seal.Installation
	HTTPClient   *http.Client
	TrustedHosts []string
	Clock        Clock
	Logger       *slog.Logger
}

const revokeBatch = 50

// Sweep tries all tokens whose time has come, of all workspaces.
func (r *Revoker) Sweep(ctx context.Context) error {
	now := r.Clock.Now()
	due, err := r.Store.ClaimRevocations(ctx, now, now.Add(r.Config.RetryMin+r.Config.Timeout), revokeBatch)
	for i := range due {
		_, one := r.Try(ctx, &due[i])
		err = errors.Join(err, one)
	}
	return err
}

// Try revokes one token and reports whether it is dead now. One that Salesforce cannot be asked about stays in the store.
func (r *Revoker) Try(ctx context.Context, token *store.Revocation) (bool, error) {
	plain, err := r.Installation.Open(token.Sealed, RevocationContext(token.Workspace, token.ID))
	var t sealedToken
	if err == nil {
		err = json.Unmarshal(plain, &t)
	}
	if err != nil {
		return false, r.giveUp(ctx, token, "it does not open with this installation's key")
	}
	asking, cancel := context.WithTimeout(ctx, r.Config.Timeout)
	defer cancel()
	err = oauth.Revoke(asking, oauth.Request{LoginURL: t.LoginURL, HTTPClient: r.HTTPClient, TrustedHosts: r.TrustedHosts}, secret.New(t.Token))
	var e *salesforce.Error
	switch {
	case err == nil, errors.As(err, &e) && (e.Code == "invalid_token" || e.Code == "unsupported_token_type"):
		return true, r.Store.DropRevocation(ctx, token.ID) // dead, by us or by somebody before us
	case r.Clock.Now().Sub(token.CreatedAt) >= r.Config.GiveUp:
		return false, r.giveUp(ctx, token, err.Error())
	}
	wait := r.Config.RetryMax
	if shift := max(token.Attempts-1, 0); shift < 16 {
		wait = min(r.Config.RetryMin<<shift, r.Config.RetryMax)
	}
	r.Logger.WarnContext(ctx, "a token that is forgotten here could not be revoked at Salesforce; it will be tried again",
		"workspace", token.Workspace, "connection", token.Connection, "attempt", token.Attempts, "wait", wait, "error", err)
	return false, r.Store.PostponeRevocation(ctx, token.ID, r.Clock.Now().Add(wait))
}

func (r *Revoker) giveUp(ctx context.Context, token *store.Revocation, why string) error {
	r.Logger.ErrorContext(ctx, "a token cannot be revoked at Salesforce; its administrator can end it there, on the OAuth usage page",
		"workspace", token.Workspace, "connection", token.Connection, "attempts", token.Attempts, "cause", why)
	return r.Store.DropRevocation(ctx, token.ID)
}
