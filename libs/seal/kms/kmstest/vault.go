package kmstest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/seal/kms"
)

// Token is what the service lets in.
const Token = "hvs.kmstest-token-0123456789"

// Vault is a transit engine, mounted at transit, with one key of type aes256-gcm96. Safe for concurrent use.
type Vault struct {
	server *httptest.Server
	name   string

	mu       sync.Mutex
	versions []cipher.AEAD
	calls    int
	refuse   int
	noOpen   bool
}

// NewVault starts one with a key of that name; it ends with the test.
func NewVault(tb testing.TB, name string) *Vault {
	tb.Helper()
	v := &Vault{name: name}
	v.Rotate()
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/transit/encrypt/"+name, v.serve(v.encrypt))
	mux.HandleFunc("/v1/transit/decrypt/"+name, v.serve(v.decrypt))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fail(w, http.StatusNotFound, "no handler for route") })
	v.server = httptest.NewTLSServer(mux)
	v.server.Config.ErrorLog = nil
	tb.Cleanup(v.server.Close)
	return v
}

// Config is how to reach it.
func (v *Vault) Config(tb testing.TB) kms.Config {
	tb.Helper()
	dir := tb.TempDir()
	cfg := kms.DefaultConfig()
	cfg.KeyURI = "hcvault://" + v.server.Listener.Addr().String() + "/transit/keys/" + v.name
	cfg.TokenFile, cfg.CAFile = filepath.Join(dir, "vault.token"), filepath.Join(dir, "vault.pem")
	cfg.Retries, cfg.Timeout = 0, time.Minute
	require.NoError(tb, os.WriteFile(cfg.TokenFile, []byte(Token+"\n"), 0o600))
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: v.server.Certificate().Raw})
	require.NoError(tb, os.WriteFile(cfg.CAFile, ca, 0o600))
	return cfg
}

// Rotate gives the key a new version, as POST transit/keys/<name>/rotate does.
func (v *Vault) Rotate() {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.versions = append(v.versions, aead)
}

// Calls is how many requests came with a valid token.
func (v *Vault) Calls() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls
}

// Refuse answers everything with the HTTP status from now on; 0 ends that.
func (v *Vault) Refuse(status int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.refuse = status
}

// RefuseDecrypt makes a policy that allows encrypting only.
func (v *Vault) RefuseDecrypt() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.noOpen = true
}

// request is the body of both calls.
type request struct {
	Plaintext      string `json:"plaintext"`
	Ciphertext     string `json:"ciphertext"`
	AssociatedData string `json:"associated_data"`
}

func (v *Vault) serve(handle func(request) (map[string]string, int, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		defer v.mu.Unlock()
		switch {
		case v.refuse == http.StatusForbidden, r.Header.Get("X-Vault-Token") != Token:
			fail(w, http.StatusForbidden, "permission denied")
			return
		case v.refuse != 0:
			fail(w, v.refuse, "Vault is sealed")
			return
		case r.Method != http.MethodPut && r.Method != http.MethodPost:
			fail(w, http.StatusMethodNotAllowed, "unsupported operation")
			return
		}
		v.calls++
		var req request
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&req); err != nil {
			fail(w, http.StatusBadRequest, "failed to parse JSON input")
			return
		}
		data, status, problem := handle(req)
		if problem != "" {
			fail(w, status, problem)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"request_id": rand.Text(), "lease_duration": 0, "renewable": false, "data": data})
	}
}

func (v *Vault) encrypt(r request) (data map[string]string, status int, problem string) {
	plain, err := base64.StdEncoding.DecodeString(r.Plaintext)
	if err != nil {
		return nil, http.StatusBadRequest, "failed to base64-decode plaintext"
	}
	associated, err := base64.StdEncoding.DecodeString(r.AssociatedData)
	if err != nil {
		return nil, http.StatusBadRequest, "failed to base64-decode associated_data"
	}
	version := len(v.versions)
	nonce := make([]byte, 12)
	_, _ = rand.Read(nonce)
	sealed := v.versions[version-1].Seal(nonce, nonce, plain, associated)
	text := fmt.Sprintf("vault:v%d:%s", version, base64.StdEncoding.EncodeToString(sealed))
	return map[string]string{"ciphertext": text, "key_version": strconv.Itoa(version)}, 0, ""
}

func (v *Vault) decrypt(r request) (data map[string]string, status int, problem string) {
	if v.noOpen {
		return nil, http.StatusForbidden, "permission denied"
	}
	var version int
	_, encoded, found := strings.Cut(strings.TrimPrefix(r.Ciphertext, "vault:v"), ":")
	if _, err := fmt.Sscanf(r.Ciphertext, "vault:v%d:", &version); err != nil || !found || version < 1 || version > len(v.versions) {
		return nil, http.StatusBadRequest, "invalid ciphertext: no prefix"
	}
	sealed, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(sealed) < 12 {
		return nil, http.StatusBadRequest, "invalid ciphertext: could not decode base64"
	}
	associated, err := base64.StdEncoding.DecodeString(r.AssociatedData)
	if err != nil {
		return nil, http.StatusBadRequest, "failed to base64-decode associated_data"
	}
	plain, err := v.versions[version-1].Open(nil, sealed[:12], sealed[12:], associated)
	if err != nil {
		return nil, http.StatusBadRequest, "cipher: message authentication failed"
	}
	return map[string]string{"plaintext": base64.StdEncoding.EncodeToString(plain)}, 0, ""
}

func fail(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string][]string{"errors": {text}})
}

// OtherCA is a certificate that the service's does not come from.
func OtherCA(tb testing.TB) []byte {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(tb, err)
	return raw
}
