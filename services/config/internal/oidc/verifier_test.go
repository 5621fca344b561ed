package oidc_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/oidc"
	"github.com/throughline-dev/throughline/services/config/internal/oidc/oidctest"
)

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

type testBundle struct {
	issuer   *oidctest.Issuer
	clock    *stagetest.ManualClock
	verifier *oidc.Verifier
}

func setup(t *testing.T, change func(*oidc.Config)) *testBundle {
	t.Helper()
	b := &testBundle{issuer: oidctest.New(t), clock: stagetest.NewClock(epoch)}
	cfg := oidc.DefaultConfig()
	cfg.Issuer, cfg.ClientID = b.issuer.URL, oidctest.ClientID
	if change != nil {
		change(&cfg)
	}
	require.NoError(t, cfg.Validate())
	transport := &http.Transport{DisableKeepAlives: true}
	b.verifier = oidc.New(cfg, oidc.Deps{Clock: b.clock, Transport: transport})
	return b
}

func TestVerifierKnowsWhoseTokenItIs(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	claims, err := b.verifier.Verify(t.Context(), b.issuer.Token(t, "aoi", epoch, map[string]any{"nonce": "n1"}))
	require.NoError(t, err)
	require.Equal(t, auth.Claims{Subject: "aoi", Email: "aoi@acme.example", Nonce: "n1"}, claims)
	for name, value := range map[string]any{"no": false, "absent": nil, "odd": 1} {
		claims, err = b.verifier.Verify(t.Context(), b.issuer.Token(t, "aoi", epoch, map[string]any{"email_verified": value}))
		require.NoError(t, err)
		require.Empty(t, claims.Email, "an address that is not verified is nobody's: %s", name)
	}
}

func TestVerifierRefusesEveryOtherToken(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	good := b.issuer.Token(t, "aoi", epoch, nil)
	other := oidctest.New(t)
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	for name, token := range map[string]string{
		"expired":         b.issuer.Token(t, "aoi", epoch.Add(-2*time.Hour), nil),
		"without expiry":  b.issuer.Token(t, "aoi", epoch, map[string]any{"exp": nil}),
		"not yet valid":   b.issuer.Token(t, "aoi", epoch, map[string]any{"nbf": epoch.Add(time.Hour).Unix()}),
		"for another":     b.issuer.Token(t, "aoi", epoch, map[string]any{"aud": "another"}),
		"for nobody":      b.issuer.Token(t, "aoi", epoch, map[string]any{"aud": nil}),
		"of another":      other.Token(t, "aoi", epoch, nil),
		"says it is ours": other.Token(t, "aoi", epoch, map[string]any{"iss": b.issuer.URL}),
		"another issuer":  b.issuer.Token(t, "aoi", epoch, map[string]any{"iss": "https://issuer.example"}),
		"no subject":      b.issuer.Token(t, "", epoch, nil),
		"forged":          b.issuer.Forged(t, "aoi", epoch),
		"shared secret":   b.issuer.WithSecret(t, "aoi", epoch),
		"not signed":      none,
		"changed":         parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"root"}`)) + "." + parts[2],
		"not a token":     "a.b.c",
	} {
		_, err := b.verifier.Verify(t.Context(), token)
		require.ErrorIs(t, err, auth.ErrUnauthenticated, name)
		require.NotContains(t, err.Error(), "aoi", name)
	}
	_, err := b.verifier.Verify(t.Context(), good)
	require.NoError(t, err)
	b.clock.Advance(time.Hour + time.Second)
	_, err = b.verifier.Verify(t.Context(), good)
	require.ErrorIs(t, err, auth.ErrUnauthenticated, "expired meanwhile")
}

func TestVerifierFollowsTheIssuersKeys(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	old := b.issuer.Token(t, "aoi", epoch, nil)
	for range 5 {
		_, err := b.verifier.Verify(t.Context(), old)
		require.NoError(t, err)
	}
	require.Equal(t, 1, b.issuer.Fetches(), "keys are kept")
	b.issuer.Rotate(t)
	fresh := b.issuer.Token(t, "aoi", epoch, nil)
	// The library puts the keys of a fetch away only after it has told them: who asks in between gets the ones of before.
	require.Eventually(t, func() bool {
		_, err := b.verifier.Verify(t.Context(), fresh)
		return err == nil
	}, time.Minute, time.Millisecond)
	require.Equal(t, 2, b.issuer.Fetches())
	_, err := b.verifier.Verify(t.Context(), old)
	require.NoError(t, err)
}

// A key that was stolen is withdrawn, and whoever has it will not sign with another.
func TestVerifierForgetsKeysThatAreWithdrawn(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	stolen := b.issuer.Token(t, "aoi", epoch, map[string]any{"exp": epoch.Add(30 * 24 * time.Hour).Unix()})
	_, err := b.verifier.Verify(t.Context(), stolen)
	require.NoError(t, err)
	b.issuer.Rotate(t)
	b.issuer.Withdraw()
	every, retry := oidc.DefaultConfig().KeysEvery, oidc.DefaultConfig().RetryEvery

	b.clock.Advance(every)
	b.issuer.SetAway(true)
	for range 3 {
		_, err = b.verifier.Verify(t.Context(), stolen)
		require.NoError(t, err, "known keys go on working while the issuer is away")
	}
	b.issuer.SetAway(false)
	b.clock.Advance(retry)
	for range 2 {
		_, err = b.verifier.Verify(t.Context(), stolen)
		require.ErrorIs(t, err, auth.ErrUnauthenticated)
	}
	_, err = b.verifier.Verify(t.Context(), b.issuer.Token(t, "aoi", b.clock.Now(), nil))
	require.NoError(t, err)
}

func TestVerifierAsksTheIssuerNotTooOften(t *testing.T) {
	t.Parallel()
	b := setup(t, func(cfg *oidc.Config) { cfg.FetchesPerMinute = 3 })
	good := b.issuer.Token(t, "aoi", epoch, nil)
	_, err := b.verifier.Verify(t.Context(), good)
	require.NoError(t, err)
	require.Eventually(t, func() bool { // not at once: while one fetch is not over in the library, others take part in it
		_, err := b.verifier.Verify(t.Context(), b.issuer.Forged(t, "aoi", epoch))
		if errors.Is(err, auth.ErrIssuerAway) {
			return true
		}
		require.ErrorIs(t, err, auth.ErrUnauthenticated)
		return false
	}, time.Minute, time.Millisecond)
	require.Less(t, b.issuer.Fetches(), 5)
	_, err = b.verifier.Verify(t.Context(), good)
	require.NoError(t, err, "known keys go on working")
}

func TestVerifierWaitsForAnIssuerThatIsAway(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.issuer.SetAway(true)
	token := b.issuer.Token(t, "aoi", epoch, nil)
	_, err := b.verifier.Verify(t.Context(), token)
	require.ErrorIs(t, err, auth.ErrIssuerAway)
	b.issuer.SetAway(false)
	_, err = b.verifier.Verify(t.Context(), token)
	require.ErrorIs(t, err, auth.ErrIssuerAway, "not asked again at once")
	b.clock.Advance(oidc.DefaultConfig().RetryEvery)
	_, err = b.verifier.Verify(t.Context(), token)
	require.NoError(t, err)
}

func TestVerifierDoesNotWaitForeverForKeys(t *testing.T) {
	t.Parallel()
	b := setup(t, func(cfg *oidc.Config) { cfg.Timeout = 100 * time.Millisecond })
	// The issuer is found first, however often a slow machine takes longer than that.
	require.Eventually(t, func() bool {
		_, err := b.verifier.Verify(t.Context(), b.issuer.Token(t, "aoi", epoch, nil))
		if err != nil {
			b.clock.Advance(oidc.DefaultConfig().RetryEvery)
		}
		return err == nil
	}, time.Minute, time.Millisecond)
	b.issuer.Rotate(t)
	b.issuer.SetHanging(true)
	token := b.issuer.Token(t, "aoi", b.clock.Now(), nil)
	_, err := b.verifier.Verify(t.Context(), token)
	require.ErrorIs(t, err, auth.ErrIssuerAway)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.verifier.Verify(ctx, token)
	require.ErrorIs(t, err, context.Canceled, "a caller who gives up does not wait")
}

func TestVerifierServesManyAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	token := b.issuer.Token(t, "aoi", epoch, nil)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 20 {
				if _, err := b.verifier.Verify(t.Context(), token); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, b.issuer.Fetches(), 16, "together, as far as they come together")
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	require.NoError(t, oidc.DefaultConfig().Validate())
	valid := oidc.DefaultConfig()
	valid.Issuer, valid.ClientID = "https://issuer.example", "throughline"
	require.NoError(t, valid.Validate())
	for key, change := range map[string]func(*oidc.Config){
		"issuer: http":       func(c *oidc.Config) { c.Issuer = "http://issuer.example" },
		"issuer":             func(c *oidc.Config) { c.Issuer = "issuer" },
		"client_id":          func(c *oidc.Config) { c.ClientID = "" },
		"email_claim":        func(c *oidc.Config) { c.EmailClaim = "" },
		"timeout":            func(c *oidc.Config) { c.Timeout = 0 },
		"keys_every":         func(c *oidc.Config) { c.KeysEvery = 0 },
		"retry_every":        func(c *oidc.Config) { c.RetryEvery = 0 },
		"fetches_per_minute": func(c *oidc.Config) { c.FetchesPerMinute = 0 },
	} {
		cfg := valid
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), key)
	}
}
