package kms

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"
)

// Config says which key wraps the installation's keyset.
type Config struct {
	// KeyURI names the key, in Tink's form. Empty: none, and the file holds the keys themselves.
	//
	//	hcvault://<host>:<port>/<mount>/keys/<name>                              HashiCorp Vault or OpenBao, transit engine
	//	aws-kms://arn:aws:kms:<region>:<account>:key/<id>                        AWS KMS
	//	gcp-kms://projects/<p>/locations/<l>/keyRings/<r>/cryptoKeys/<name>      Google Cloud KMS
	KeyURI string `yaml:"key_uri"`
	// TokenFile holds what the service lets us in with; for Vault and Google Cloud. It is read for every call, so that an agent may
	// renew it. Empty: Vault's environment variable VAULT_TOKEN, and at AWS and Google Cloud what their libraries find: the machine's
	// or the pod's role, the environment, a file.
	TokenFile string `yaml:"token_file"`
	// CAFile holds the certificates to trust; empty: the system's.
	CAFile string `yaml:"ca_file"`
	// Endpoint is where AWS or Google Cloud is reached instead of their public addresses, e.g. a private link: https://<host>.
	Endpoint string `yaml:"endpoint"`
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
	if _, err := c.service(); err != nil {
		return err
	}
	switch {
	case c.Timeout <= 0 || c.Timeout > 5*time.Minute:
		return errors.New("timeout: want more than 0 and at most 5m")
	case c.Retries < 0 || c.Retries > 10:
		return errors.New("retries: want 0 to 10")
	}
	return c.checkEndpoint()
}

func (c Config) checkEndpoint() error {
	if c.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/")+u.RawQuery+u.Fragment != "" {
		return errors.New("endpoint: want https://<host>, and nothing behind it")
	}
	if strings.HasPrefix(c.KeyURI, vaultScheme) {
		return errors.New("endpoint: not for hcvault://, whose key_uri names its host")
	}
	return nil
}

// The key services.
const (
	vaultScheme = "hcvault://"
	awsScheme   = "aws-kms://"
	gcpScheme   = "gcp-kms://"
)

var (
	awsKey = regexp.MustCompile(`^arn:aws[a-z-]*:kms:([a-z0-9-]+):[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]+$`)
	gcpKey = regexp.MustCompile(`^projects/[^/?#]+/locations/[^/?#]+/keyRings/[^/?#]+/cryptoKeys/[^/?#]+$`)
)

// service returns what makes the wrapper that the key's URI asks for. The URI is never quoted: it may hold what should not be there
// (promise 8).
func (c Config) service() (open func() (tink.AEAD, error), err error) {
	switch {
	case strings.HasPrefix(c.KeyURI, vaultScheme):
		u, err := parseVault(c.KeyURI)
		return func() (tink.AEAD, error) { return newVault(c, u) }, err
	case strings.HasPrefix(c.KeyURI, awsScheme):
		key := awsKey.FindStringSubmatch(strings.TrimPrefix(c.KeyURI, awsScheme))
		if key == nil {
			return nil, errors.New("key_uri: want aws-kms://arn:aws:kms:<region>:<account>:key/<id>")
		}
		return func() (tink.AEAD, error) { return newAWS(c, key[1]) }, nil
	case strings.HasPrefix(c.KeyURI, gcpScheme):
		if !gcpKey.MatchString(strings.TrimPrefix(c.KeyURI, gcpScheme)) {
			return nil, errors.New("key_uri: want gcp-kms://projects/<project>/locations/<location>/keyRings/<ring>/cryptoKeys/<name>")
		}
		return func() (tink.AEAD, error) { return newGCP(c) }, nil
	}
	return nil, errors.New("key_uri: want one that begins with hcvault://, aws-kms:// or gcp-kms://")
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
	open, err := cfg.service()
	if err != nil {
		return nil, err
	}
	return open()
}

// tls trusts the certificates in CAFile, or the system's.
func (c Config) tls() (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return out, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("key service: ca_file: %w", err)
	}
	out.RootCAs = x509.NewCertPool()
	if !out.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("key service: ca_file: no certificate in it")
	}
	return out, nil
}

// checked wraps with a key service in the cloud, whose errors are brought to one line, and never takes nothing for an answer.
type checked struct{ aead tink.AEAD }

// Encrypt implements tink.AEAD.
func (c checked) Encrypt(plain, associated []byte) ([]byte, error) {
	return check(c.aead.Encrypt(plain, associated))
}

// Decrypt implements tink.AEAD.
func (c checked) Decrypt(sealed, associated []byte) ([]byte, error) {
	return check(c.aead.Decrypt(sealed, associated))
}

func check(out []byte, err error) ([]byte, error) {
	switch {
	case err != nil:
		return nil, fmt.Errorf("the key service: %s", strings.Join(strings.Fields(err.Error()), " "))
	case len(out) == 0:
		return nil, errors.New("the key service answered with nothing")
	}
	return out, nil
}
