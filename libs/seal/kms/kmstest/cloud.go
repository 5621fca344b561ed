package kmstest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"hash/crc32"
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

// Cloud is AWS KMS or Google Cloud KMS, as far as they wrap with one symmetric key: their requests, checks and answers. Safe for
// concurrent use.
type Cloud struct {
	server *httptest.Server
	uri    string
	aead   cipher.AEAD

	mu      sync.Mutex
	refused bool
	seen    []http.Header
}

// What the services have: a key, and whom they let in.
const (
	awsKeyARN = "arn:aws:kms:eu-central-1:111122223333:key/0f1e2d3c-aaaa-bbbb-cccc-000000000001"
	gcpKey    = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/throughline"
	// GCPToken is the access token that Google Cloud KMS takes.
	GCPToken = "ya29.kmstest-token-0123456789"
)

// NewAWS starts the KMS of AWS. It wants requests signed, and does not check the signature.
func NewAWS(tb testing.TB) *Cloud {
	tb.Helper()
	c := newCloud(tb, "aws-kms://"+awsKeyARN)
	c.server.Config.Handler = http.HandlerFunc(c.aws)
	return c
}

// NewGCP starts the KMS of Google Cloud.
func NewGCP(tb testing.TB) *Cloud {
	tb.Helper()
	c := newCloud(tb, "gcp-kms://"+gcpKey)
	c.server.Config.Handler = http.HandlerFunc(c.gcp)
	return c
}

func newCloud(tb testing.TB, uri string) *Cloud {
	tb.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	require.NoError(tb, err)
	c := &Cloud{uri: uri}
	c.aead, err = cipher.NewGCM(block)
	require.NoError(tb, err)
	c.server = httptest.NewTLSServer(http.NotFoundHandler())
	tb.Cleanup(c.server.Close)
	return c
}

// Config is how to reach it.
func (c *Cloud) Config(tb testing.TB) kms.Config {
	tb.Helper()
	dir := tb.TempDir()
	cfg := kms.DefaultConfig()
	cfg.KeyURI, cfg.Endpoint, cfg.Retries, cfg.Timeout = c.uri, c.server.URL, 0, time.Minute
	cfg.CAFile, cfg.TokenFile = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "token")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.server.Certificate().Raw})
	require.NoError(tb, os.WriteFile(cfg.CAFile, ca, 0o600))
	require.NoError(tb, os.WriteFile(cfg.TokenFile, []byte(GCPToken+"\n"), 0o600))
	return cfg
}

// Refuse has every request refused for want of a right.
func (c *Cloud) Refuse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = true
}

// Seen are the headers of the requests.
func (c *Cloud) Seen() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

func (c *Cloud) note(r *http.Request) (refused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, r.Header.Clone())
	return c.refused
}

func (c *Cloud) seal(plain, associated []byte) []byte {
	nonce := make([]byte, c.aead.NonceSize())
	_, _ = rand.Read(nonce)
	return c.aead.Seal(nonce, nonce, plain, associated)
}

func (c *Cloud) open(sealed, associated []byte) ([]byte, error) {
	n := min(c.aead.NonceSize(), len(sealed))
	return c.aead.Open(nil, sealed[:n], sealed[n:], associated)
}

// aws answers as AWS Key Management Service API Reference describes Encrypt and Decrypt, in JSON 1.1.
func (c *Cloud) aws(w http.ResponseWriter, r *http.Request) {
	fail := func(kind, text string) {
		reply(w, http.StatusBadRequest, map[string]any{"__type": kind, "message": text})
	}
	var req struct {
		KeyID             string `json:"KeyId"`
		Plaintext         []byte
		CiphertextBlob    []byte
		EncryptionContext map[string]string
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		fail("SerializationException", "not JSON")
		return
	}
	if c.note(r) || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=") {
		fail("AccessDeniedException", "User is not authorized to perform this operation")
		return
	}
	about, err := json.Marshal(req.EncryptionContext) // keys in order
	if err != nil || req.KeyID != awsKeyARN {
		fail("NotFoundException", "Key does not exist")
		return
	}
	switch r.Header.Get("X-Amz-Target") {
	case "TrentService.Encrypt":
		reply(w, http.StatusOK, map[string]any{"KeyId": awsKeyARN, "CiphertextBlob": c.seal(req.Plaintext, about)})
	case "TrentService.Decrypt":
		plain, err := c.open(req.CiphertextBlob, about)
		if err != nil {
			fail("InvalidCiphertextException", "")
			return
		}
		reply(w, http.StatusOK, map[string]any{"KeyId": awsKeyARN, "Plaintext": plain})
	default:
		fail("UnknownOperationException", "")
	}
}

// gcp answers as Cloud KMS's REST reference describes cryptoKeys.encrypt and cryptoKeys.decrypt, checksums included.
func (c *Cloud) gcp(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, text string) {
		reply(w, status, map[string]any{"error": map[string]any{"code": status, "message": text}})
	}
	var req struct {
		Plaintext, Ciphertext, AdditionalAuthenticatedData string
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		fail(http.StatusBadRequest, "Invalid JSON payload received.")
		return
	}
	if c.note(r) || r.Header.Get("Authorization") != "Bearer "+GCPToken {
		fail(http.StatusForbidden, "Permission denied on resource")
		return
	}
	decode := func(text string) []byte {
		data, err := base64.URLEncoding.DecodeString(text)
		if err != nil {
			fail(http.StatusBadRequest, "Base64 decoding failed")
		}
		return data
	}
	about := decode(req.AdditionalAuthenticatedData)
	switch r.URL.Path {
	case "/v1/" + gcpKey + ":encrypt":
		sealed := c.seal(decode(req.Plaintext), about)
		reply(w, http.StatusOK, map[string]any{
			"name": gcpKey + "/cryptoKeyVersions/1", "ciphertext": sealed, "ciphertextCrc32c": sum(sealed),
			"verifiedPlaintextCrc32c": true, "verifiedAdditionalAuthenticatedDataCrc32c": true,
		})
	case "/v1/" + gcpKey + ":decrypt":
		plain, err := c.open(decode(req.Ciphertext), about)
		if err != nil {
			fail(http.StatusBadRequest, "Decryption failed: the ciphertext is invalid.")
			return
		}
		reply(w, http.StatusOK, map[string]any{"plaintext": plain, "plaintextCrc32c": sum(plain)})
	default:
		fail(http.StatusNotFound, "not found")
	}
}

// sum is a CRC32C as JSON has an int64: a string.
func sum(data []byte) string {
	return strconv.FormatUint(uint64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))), 10)
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if status == http.StatusOK {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
