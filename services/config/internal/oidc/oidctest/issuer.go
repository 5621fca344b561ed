package oidctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// ClientID is whom the issuer's tokens are for.
const ClientID = "throughline"

// Issuer is one that listens on loopback.
type Issuer struct {
	URL string

	mu      sync.Mutex
	keys    []jose.JSONWebKey // the last one signs
	away    bool
	hanging bool
	fetches int
}

// New starts an issuer with one key; it ends with the test.
func New(t *testing.T) *Issuer {
	t.Helper()
	i := &Issuer{}
	i.Rotate(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discover)
	mux.HandleFunc("GET /keys", i.serveKeys)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.URL = server.URL
	return i
}

func (i *Issuer) discover(w http.ResponseWriter, _ *http.Request) {
	if i.isAway() {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
		"id_token_signing_alg_values_supported": []string{"ES256"},
	})
}

func (i *Issuer) serveKeys(w http.ResponseWriter, r *http.Request) {
	if i.isHanging() {
		<-r.Context().Done()
		return
	}
	if i.isAway() {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fetches++
	set := jose.JSONWebKeySet{}
	for _, key := range i.keys {
		set.Keys = append(set.Keys, key.Public())
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(set)
}

// Rotate adds a key, which signs from now on.
func (i *Issuer) Rotate(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, jose.JSONWebKey{Key: key, KeyID: fmt.Sprint("key-", len(i.keys)), Algorithm: string(jose.ES256), Use: "sig"})
}

// Withdraw takes away all keys but the one that signs.
func (i *Issuer) Withdraw() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = i.keys[len(i.keys)-1:]
}

// SetAway makes the issuer answer nothing useful, or again.
func (i *Issuer) SetAway(away bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.away = away
}

// SetHanging makes the issuer take requests for its keys and never answer, until whoever asked gives up.
func (i *Issuer) SetHanging(hanging bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.hanging = hanging
}

func (i *Issuer) isHanging() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.hanging
}

func (i *Issuer) isAway() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.away
}

// Fetches is how often keys were fetched.
func (i *Issuer) Fetches() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

// Token signs an ID token of the subject that is good for an hour from now. Claims in with replace the usual ones; nil
// leaves one out.
func (i *Issuer) Token(t *testing.T, subject string, now time.Time, with map[string]any) string {
	t.Helper()
	i.mu.Lock()
	key := i.keys[len(i.keys)-1]
	i.mu.Unlock()
	return sign(t, key, i.claims(subject, now, with))
}

// Forged is a token as Token makes it, signed with a key that is not the issuer's but says it is.
func (i *Issuer) Forged(t *testing.T, subject string, now time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return sign(t, jose.JSONWebKey{Key: key, KeyID: "key-0", Algorithm: string(jose.ES256)}, i.claims(subject, now, nil))
}

// WithSecret is a token signed with a shared secret, which only a verifier that lets the token choose would accept.
func (i *Issuer) WithSecret(t *testing.T, subject string, now time.Time) string {
	t.Helper()
	secret := []byte("0123456789012345678901234567890123456789")
	return sign(t, jose.JSONWebKey{Key: secret, KeyID: "key-0", Algorithm: string(jose.HS256)}, i.claims(subject, now, nil))
}

func (i *Issuer) claims(subject string, now time.Time, with map[string]any) map[string]any {
	claims := map[string]any{
		"iss": i.URL, "aud": ClientID, "sub": subject, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"email": subject + "@acme.example", "email_verified": true,
	}
	maps.Copy(claims, with)
	for name, value := range claims {
		if value == nil {
			delete(claims, name)
		}
	}
	return claims
}

func sign(t *testing.T, key jose.JSONWebKey, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, nil)
	require.NoError(t, err)
	payload, err := json.Marshal(claims)
	require.NoError(t, err)
	signed, err := signer.Sign(payload)
	require.NoError(t, err)
	token, err := signed.CompactSerialize()
	require.NoError(t, err)
	return token
}
