package kms

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"
)

// Config says which key wraps the installation's keyset.
type Config struct {
	// KeyURI names the key: hcvault://<host>:<port>/<mount>/keys/<name> is one of a HashiCorp Vault or OpenBao transit engine.
	// Empty: none, and the file holds the keys themselves.
	KeyURI string `yaml:"key_uri"`
	// TokenFile holds what the service lets us in with. It is read for every call, so that an agent may renew it. Empty: the
	// environment variable VAULT_TOKEN.
	TokenFile string `yaml:"token_file"`
	// CAFile holds the certificates to trust; empty: the system's.
	CAFile string `yaml:"ca_file"`
	// Timeout bounds one call, Retries how often one is made again that failed for a reason that may pass.
	Timeout time.Duration `yaml:"timeout"`
	Retries int           `yaml:"retries"`
}

// DefaultConfig returns no key service, and calls of 10 s, tried three times.
func DefaultConfig() Config { return Config{Timeout: 10 * time.Second, Retries: 2} }

// Validate names the key that is wrong.
func (c Config) Validate() error {
	if c.KeyURI == "" {
		return nil
	}
	if _, err := c.parse(); err != nil {
		return err
	}
	switch {
	case c.Timeout <= 0 || c.Timeout > 5*time.Minute:
		return errors.New("timeout: want more than 0 and at most 5m")
	case c.Retries < 0 || c.Retries > 10:
		return errors.New("retries: want 0 to 10")
	}
	return nil
}

func (c Config) parse() (*url.URL, error) {
	u, err := url.Parse(c.KeyURI)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" { // it may hold what should not be there: promise 8
		return nil, errors.New("key_uri: want hcvault://<host>:<port>/<mount>/keys/<name>, without a user, a query or a fragment")
	}
	if u.Scheme != "hcvault" {
		return nil, fmt.Errorf("key_uri: no key service is known by %q; want hcvault://", u.Scheme)
	}
	parts := strings.Split(u.Path, "/")
	if u.Host == "" || len(parts) < 4 || parts[len(parts)-2] != "keys" || parts[len(parts)-1] == "" || parts[1] == "" {
		return nil, errors.New("key_uri: want hcvault://<host>:<port>/<mount>/keys/<name>")
	}
	return u, nil
}

// Open returns what wraps and unwraps with the key, or nil when the configuration names none. It calls nothing yet. Safe for
// concurrent use.
func Open(cfg Config) (tink.AEAD, error) {
	if cfg.KeyURI == "" {
		return nil, nil //nolint:nilnil // no key service is a choice
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	u, err := cfg.parse()
	if err != nil {
		return nil, err
	}
	return newVault(cfg, u)
}
