package config

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/telemetry"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connectweb"
	"github.com/throughline-dev/throughline/services/config/internal/consent"
	"github.com/throughline-dev/throughline/services/config/internal/diagnose"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/limit"
	"github.com/throughline-dev/throughline/services/config/internal/outgoing"
	"github.com/throughline-dev/throughline/services/config/internal/probe"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
)

// Limits of the pages: promise 7.
const (
	pageTimeout   = 10 * time.Second
	pageMaxHeader = 16 << 10
)

// connecting is what connects orgs and looks after connections.
type connecting struct {
	listener     net.Listener
	server       *http.Server
	custodian    *tokens.Custodian
	keeper       *lifecycle.Keeper
	revoker      *lifecycle.Revoker
	disconnector *lifecycle.Disconnector
	consent      *consent.Service
	diagnose     *diagnose.Service
	networks     *outgoing.Networks
}

func (a PlatformApp) read() (tokens.App, error) {
	app := tokens.App{ClientID: a.ClientID, Secret: a.ClientSecret}
	if a.ClientSecretFile != "" {
		data, err := os.ReadFile(a.ClientSecretFile)
		if err != nil {
			return app, fmt.Errorf("connect.app.client_secret_file: %w", err)
		}
		app.Secret = secret.New(strings.TrimSpace(string(data)))
	}
	return app, nil
}

// newConnecting builds what connects orgs, and takes the address of its pages.
func (s *Service) newConnecting() (*connecting, error) {
	app, err := s.cfg.Connect.App.read()
	if err != nil {
		return nil, err
	}
	c := &connecting{
		keeper: &lifecycle.Keeper{Rules: s.cfg.Connect.Flapping, States: s.store, Clock: s.deps.Clock, Logger: s.deps.Logger},
		revoker: &lifecycle.Revoker{
			Config: s.cfg.Connect.Revoking, Store: s.store, Installation: s.deps.Installation, TrustedHosts: s.cfg.TrustedHosts,
			Clock: s.deps.Clock, Logger: s.deps.Logger,
		},
	}
	c.networks, err = outgoing.New(context.Background(), s.cfg.Connect.OutgoingAddresses, s.cfg.Connect.OutgoingChanges, s.store, s.deps.Clock)
	if err != nil {
		return nil, fmt.Errorf("connect.%w", err)
	}
	c.custodian = tokens.New(s.cfg.AccessTokens, tokens.Deps{
		Store: s.store, Leases: s.store, Installation: s.deps.Installation, Observer: c.keeper,
		Issuer: tokens.Salesforce{TrustedHosts: s.cfg.TrustedHosts, Platform: app}, Clock: s.deps.Clock, Logger: s.deps.Logger,
	})
	c.disconnector = &lifecycle.Disconnector{
		Documents: s.store, Custody: c.custodian, Keeper: c.keeper, Revoker: c.revoker, Installation: s.deps.Installation,
	}
	c.diagnose = diagnose.New(s.cfg.Connect.Diagnosis, diagnose.Deps{
		Documents: s.store, Diagnoses: s.store, Claims: s.store, History: s.store, Tokens: c.custodian, Keeper: c.keeper, Random: rand.Float64,
		Installation: s.deps.Installation,
		Addresses:    c.networks.InUse,
		Connect: func(connection *configv1.Connection, access *configv1.GetAccessTokenResponse) (probe.Org, func()) {
			client := s.orgs().client(connection, access)
			return client, client.CloseIdle
		},
		Clock: s.deps.Clock, Logger: s.deps.Logger,
	})
	c.consent = consent.New(s.cfg.Connect.Logins, consent.Deps{
		Flows: s.store, Find: s.store, Documents: s.store, Tokens: c.custodian, Orgs: s.orgs(), Keeper: c.keeper, Revoker: c.revoker, Diagnose: c.diagnose.Diagnose,
		Audit: s.store, Refusals: limit.New(s.cfg.Access.Refusals), Installation: s.deps.Installation, Platform: app, PublicURL: func() string { return s.publicURL(c) },
		Addresses: consent.Addresses{Embedded: s.cfg.Embedded, Trusted: s.cfg.TrustedHosts, Domains: s.cfg.Connect.LoginDomains},
		Clock:     s.deps.Clock, Logger: s.deps.Logger,
	})
	if s.cfg.Connect.Listen == "" {
		return c, nil
	}
	if c.listener, err = net.Listen("tcp", s.cfg.Connect.Listen); err != nil { //nolint:noctx // a local bind does not block
		return nil, fmt.Errorf("connect.listen: %w", err)
	}
	perSecond := s.cfg.Connect.RequestsPerSecond
	pages := &connectweb.Handler{
		Consent: c.consent, Secure: strings.HasPrefix(s.cfg.Connect.PublicURL, "https:"), Origin: s.cfg.Connect.PublicURL,
		Logger: s.deps.Logger,
		Limit:  rate.NewLimiter(rate.Limit(perSecond), 2*perSecond),
	}
	c.server = &http.Server{
		Handler: pages.Routes(), ReadHeaderTimeout: pageTimeout, ReadTimeout: pageTimeout, MaxHeaderBytes: pageMaxHeader,
		ErrorLog: telemetry.ServerLog(s.deps.Logger),
		// The answer to a login waits for Salesforce several times.
		WriteTimeout: 4*s.cfg.Connect.Logins.ExchangeTimeout + s.cfg.OrgTimeout,
	}
	return c, nil
}

// publicURL is where browsers find the pages.
func (s *Service) publicURL(c *connecting) string {
	if s.cfg.Connect.PublicURL != "" || c.listener == nil {
		return s.cfg.Connect.PublicURL
	}
	return "http://" + c.listener.Addr().String()
}

// ConnectAddr is the address of the pages, "" if there are none.
func (s *Service) ConnectAddr() string {
	if s.connect.listener == nil {
		return ""
	}
	return s.connect.listener.Addr().String()
}

// servePages answers browsers until ctx ends.
func (s *Service) servePages(ctx context.Context) error {
	if s.connect.server == nil {
		return nil
	}
	served := make(chan error, 1)
	go func() { served <- s.connect.server.Serve(s.connect.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("config service: pages: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.StopTimeout)
	defer cancel()
	if err := s.connect.server.Shutdown(stop); err != nil {
		return s.connect.server.Close()
	}
	return nil
}

// sweep looks for what nobody is waiting for, until ctx ends.
func (s *Service) sweep(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.Connect.SweepEvery)
	defer ticker.Stop()
	for {
		err := errors.Join(s.connect.consent.Sweep(ctx), s.connect.revoker.Sweep(ctx))
		if err != nil && ctx.Err() == nil {
			s.deps.Logger.ErrorContext(ctx, "expired logins or tokens to be revoked could not be looked for; they will be", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
