package config

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/throughline-dev/throughline/libs/telemetry"
	"github.com/throughline-dev/throughline/services/config/internal/api"
	"github.com/throughline-dev/throughline/services/config/internal/gateway"
)

// Limits of HTTP calls besides those of the configuration: promise 7.
const (
	webHeaderTimeout = 10 * time.Second
	webIdleTimeout   = 2 * time.Minute
	webMaxHeader     = 32 << 10
)

// web is the service over HTTP with JSON.
type web struct {
	listener net.Listener
	gateway  *gateway.Gateway
	inner    *grpc.Server // what the gateway calls
	server   *http.Server
}

// newHTTP takes the address of the HTTP calls.
func (s *Service) newHTTP(gate *api.Gate) error {
	if s.cfg.HTTP == "" {
		return nil
	}
	g, err := gateway.New(gateway.Config{
		MaxRequestBytes: int64(s.cfg.MaxRequestBytes), Timeout: s.cfg.HTTPTimeout, Reason: api.ReasonHeader,
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.cfg.HTTP) //nolint:noctx // a local bind does not block
	if err != nil {
		return errors.Join(fmt.Errorf("http: %w", err), g.Close())
	}
	s.web = &web{listener: listener, gateway: g, inner: s.newServer(gate), server: &http.Server{
		Handler: g, ReadHeaderTimeout: webHeaderTimeout, ReadTimeout: s.cfg.HTTPTimeout, WriteTimeout: s.cfg.HTTPTimeout + webHeaderTimeout,
		IdleTimeout: webIdleTimeout, MaxHeaderBytes: webMaxHeader, ErrorLog: telemetry.ServerLog(s.deps.Logger),
	}}
	if s.cfg.TLS.CertFile == "" {
		return nil
	}
	secured, err := s.cfg.TLS.config()
	if err != nil {
		return err
	}
	secured.ClientAuth, secured.NextProtos = tls.NoClientCert, []string{"h2", "http/1.1"}
	s.web.listener = tls.NewListener(listener, secured)
	return nil
}

// HTTPAddr is the address of the HTTP calls, "" if there are none.
func (s *Service) HTTPAddr() string {
	if s.web == nil {
		return ""
	}
	return s.web.listener.Addr().String()
}

// serveHTTP answers calls over HTTP until ctx ends, and lets those under way finish within the stop time-out.
func (s *Service) serveHTTP(ctx context.Context) error {
	if s.web == nil {
		return nil
	}
	group, life := errgroup.WithContext(ctx)
	group.Go(func() error { return s.web.gateway.Serve(s.web.inner) })
	group.Go(func() error {
		if err := s.web.server.Serve(s.web.listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-life.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.StopTimeout)
		defer cancel()
		if s.web.server.Shutdown(stop) != nil {
			_ = s.web.server.Close()
		}
		s.web.inner.Stop()
		return nil
	})
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("config service: http: %w", err)
	}
	return nil
}

// close gives up what New took.
func (w *web) close() error {
	w.inner.Stop()
	if err := w.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return w.gateway.Close()
}
