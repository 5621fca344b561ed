package oidc

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"
)

// Config names the issuer that is trusted.
type Config struct {
	// Issuer is its address, as in the tokens' iss claim; empty: none is trusted. Its keys are found through its
	// /.well-known/openid-configuration.
	Issuer string `yaml:"issuer"`
	// ClientID is whom tokens must be for (aud).
	ClientID string `yaml:"client_id"`
	// EmailClaim is the claim with the address that invitations are accepted by. It counts only beside a true
	// VerifiedClaim.
	EmailClaim string `yaml:"email_claim"`
	// VerifiedClaim is the claim that says whether the issuer has verified the address.
	VerifiedClaim string `yaml:"verified_claim"`
	// Operators are the names of the platform's operators, by the subject of their ID tokens.
	Operators map[string]string `yaml:"operators"`
	// Timeout bounds every request to the issuer.
	Timeout time.Duration `yaml:"timeout"`
	// RetryEvery is the least time between two attempts to reach an issuer that could not be reached.
	RetryEvery time.Duration `yaml:"retry_every"`
	// KeysEvery is how long keys are trusted before the issuer is asked whether they are still its own.
	KeysEvery time.Duration `yaml:"keys_every"`
	// FetchesPerMinute bounds how often keys are fetched because a token names one that is not known.
	FetchesPerMinute int `yaml:"fetches_per_minute"`
}

// DefaultConfig trusts nobody.
func DefaultConfig() Config {
	return Config{
		EmailClaim: "email", VerifiedClaim: "email_verified", Timeout: 10 * time.Second, RetryEvery: 5 * time.Second,
		KeysEvery: time.Hour, FetchesPerMinute: 30,
	}
}

// Validate names the key that is wrong.
func (c Config) Validate() error {
	if c.Issuer == "" {
		return nil
	}
	u, err := url.Parse(c.Issuer)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return errors.New("issuer: want the address of an OpenID Connect issuer")
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return fmt.Errorf("issuer: %s: want https", c.Issuer)
	case c.ClientID == "":
		return errors.New("client_id: say whom tokens must be for")
	case c.EmailClaim == "" || c.VerifiedClaim == "":
		return errors.New("email_claim, verified_claim: set both")
	case c.Timeout <= 0:
		return errors.New("timeout: want more than 0")
	case c.RetryEvery <= 0:
		return errors.New("retry_every: want more than 0")
	case c.KeysEvery <= 0:
		return errors.New("keys_every: want more than 0")
	case c.FetchesPerMinute < 1:
		return errors.New("fetches_per_minute: want at least 1")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
