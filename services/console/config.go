package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/trace"
)

// Config is what a user sets.
type Config struct {
	// Listen is the address to serve on.
	Listen string `yaml:"listen"`
	// Token signs a browser in: /?token=… once, then a cookie. Required.
	Token secret.String `yaml:"token"`
	// TokenFile is read when Token is empty.
	TokenFile string `yaml:"token_file"`
	// LookupTimeout bounds the search for one event.
	LookupTimeout time.Duration `yaml:"lookup_timeout"`
	// SecureCookie sends the cookie over TLS only. Off is for loopback.
	SecureCookie bool `yaml:"secure_cookie"`
}

// DefaultConfig serves on port 8090 of all addresses and demands TLS in front.
func DefaultConfig() Config {
	return Config{Listen: ":8090", LookupTimeout: 30 * time.Second, SecureCookie: true}
}

// Validate names the key that is wrong.
func (c Config) Validate() error {
	var errs []error
	if c.Listen == "" {
		errs = append(errs, errors.New("console.listen: missing, e.g. :8090"))
	}
	if c.LookupTimeout <= 0 {
		errs = append(errs, fmt.Errorf("console.lookup_timeout: %s is not positive", c.LookupTimeout))
	}
	return errors.Join(errs...)
}

// Tracer follows one event.
type Tracer interface {
	Find(ctx context.Context, q trace.Query) (*trace.Journey, error)
}

// Deps is what code passes in.
type Deps struct {
	Settings configv1.ConfigServiceClient
	Tracer   Tracer
	Logger   *slog.Logger
}
