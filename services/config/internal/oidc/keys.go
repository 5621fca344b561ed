package oidc

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/throughline-dev/throughline/services/config/internal/auth"
)

// keysError is where in its context a call finds why keys could not be had. The library tells it as text only.
type keysError struct{}

// keySet are the issuer's keys. The library's set asks for new ones when a token names one that it does not know, and keeps
// those it knows for ever; so it begins anew now and then, lest a key that was withdrawn because it was stolen goes on signing.
// Safe for concurrent use.
type keySet struct {
	// fresh returns a set that knows no keys yet.
	fresh        func() oidc.KeySet
	every, retry time.Duration
	now          func() time.Time

	mu    sync.Mutex
	known oidc.KeySet
	due   time.Time
}

func newKeySet(cfg Config, now func() time.Time, fresh func() oidc.KeySet) *keySet {
	return &keySet{fresh: fresh, every: cfg.KeysEvery, retry: cfg.RetryEvery, now: now, known: fresh(), due: now().Add(cfg.KeysEvery)}
}

// VerifySignature implements oidc.KeySet.
func (k *keySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.verify(ctx, jwt)
	if out, ok := ctx.Value(keysError{}).(*error); ok {
		*out = err
	}
	return payload, err
}

func (k *keySet) verify(ctx context.Context, jwt string) ([]byte, error) {
	set, renewing := k.choose()
	payload, err := set.VerifySignature(ctx, jwt)
	if !renewing {
		return payload, err
	}
	k.mu.Lock()
	away := errors.Is(err, auth.ErrIssuerAway) || ctx.Err() != nil
	if !away {
		k.known, k.due = set, k.now().Add(k.every)
	}
	known := k.known
	k.mu.Unlock()
	if away {
		return known.VerifySignature(ctx, jwt) // an issuer that is away has withdrawn nothing that we know of
	}
	return payload, err
}

// choose returns the known keys, or once they are due, to one caller at a time, a fresh set.
func (k *keySet) choose() (set oidc.KeySet, renewing bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if now.Before(k.due) {
		return k.known, false
	}
	k.due = now.Add(k.retry)
	return k.fresh(), true
}
