package kms

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/hashicorp/vault/api"
	"github.com/tink-crypto/tink-go-hcvault/v2/integration/hcvault"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// vault wraps with the transit engine of a Vault: POST <mount>/encrypt/<name> and <mount>/decrypt/<name>. The key may be
// rotated there as well, at any time: Vault's ciphertexts name their version.
type vault struct {
	tokenFile string

	mu     sync.Mutex // a token and the call that is made with it
	client *api.Client
	aead   tink.AEAD
}

func parseVault(uri string) (*url.URL, error) {
	u, err := url.Parse(uri)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("key_uri: want hcvault://<host>:<port>/<mount>/keys/<name>, without a user, a query or a fragment")
	}
	parts := strings.Split(u.Path, "/")
	if u.Host == "" || len(parts) < 4 || parts[len(parts)-2] != "keys" || parts[len(parts)-1] == "" || parts[1] == "" {
		return nil, errors.New("key_uri: want hcvault://<host>:<port>/<mount>/keys/<name>")
	}
	return u, nil
}

func newVault(cfg Config, key *url.URL) (*vault, error) {
	// It reads VAULT_NAMESPACE and others from the environment; what would lead elsewhere is overruled.
	conn := api.DefaultConfig()
	if conn.Error != nil {
		return nil, fmt.Errorf("key service: %w", conn.Error)
	}
	conn.Address, conn.AgentAddress = "https://"+key.Host, ""
	conn.Timeout, conn.MaxRetries = cfg.Timeout, cfg.Retries
	if cfg.CAFile != "" {
		if err := conn.ConfigureTLS(&api.TLSConfig{CACert: cfg.CAFile}); err != nil {
			return nil, fmt.Errorf("key service: ca_file: %w", err)
		}
	}
	transport, ok := conn.HttpClient.Transport.(*http.Transport)
	if !ok || transport.TLSClientConfig == nil {
		return nil, errors.New("key service: its client cannot be made to check certificates")
	}
	transport.TLSClientConfig.InsecureSkipVerify = false // whatever VAULT_SKIP_VERIFY says
	client, err := api.NewClient(conn)
	if err != nil {
		return nil, fmt.Errorf("key service: %w", err)
	}
	aead, err := hcvault.NewAEAD(key.EscapedPath(), client.Logical())
	if err != nil {
		return nil, fmt.Errorf("key service: key_uri: %w", err)
	}
	return &vault{tokenFile: cfg.TokenFile, client: client, aead: aead}, nil
}

// Encrypt implements tink.AEAD.
func (v *vault) Encrypt(plain, associated []byte) ([]byte, error) {
	return v.call(func() ([]byte, error) { return v.aead.Encrypt(plain, associated) })
}

// Decrypt implements tink.AEAD.
func (v *vault) Decrypt(sealed, associated []byte) ([]byte, error) {
	return v.call(func() ([]byte, error) { return v.aead.Decrypt(sealed, associated) })
}

func (v *vault) call(do func() ([]byte, error)) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.tokenFile != "" {
		token, err := os.ReadFile(v.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("token_file: %w", err)
		}
		v.client.SetToken(strings.TrimSpace(string(token)))
	}
	if v.client.Token() == "" {
		return nil, errors.New("no token for the key service: set token_file or VAULT_TOKEN")
	}
	out, err := do()
	if err != nil {
		return nil, explain(err)
	}
	if len(out) == 0 {
		return nil, errors.New("the key service answered with nothing")
	}
	return out, nil
}

// explain keeps what Vault says and leaves out the rest of its report over several lines.
func explain(err error) error {
	var refused *api.ResponseError
	if !errors.As(err, &refused) {
		return errors.New(strings.Join(strings.Fields(err.Error()), " "))
	}
	said := strings.Join(strings.Fields(strings.Join(refused.Errors, "; ")), " ")
	if said == "" {
		said = "no reason given"
	}
	return fmt.Errorf("the key service answered %d: %s", refused.StatusCode, said)
}
