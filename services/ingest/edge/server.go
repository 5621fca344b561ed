package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"

	"github.com/throughline-dev/throughline/libs/certs"
	"github.com/throughline-dev/throughline/libs/telemetry"
)

// maxHeaderBytes and idleTimeout bound what a connection may hold without a request.
const (
	maxHeaderBytes = 32 << 10
	idleTimeout    = 2 * time.Minute
)

// Server serves the endpoint. All fields are required except Listener.
type Server struct {
	Config  Config
	Handler http.Handler
	Logger  *slog.Logger
	// Listener takes the place of Config.Addr.
	Listener net.Listener
}

// Run serves until ctx ends, then lets requests in flight finish within Config.DrainTimeout. The error is a certificate or
// an address that cannot be used.
func (s Server) Run(ctx context.Context) error {
	listener, err := s.listen(ctx)
	if err != nil {
		return err
	}
	// Promise 7: nobody needs a key to connect, and every connection costs memory until it is too slow for the timeouts.
	listener = netutil.LimitListener(listener, s.Config.Connections)
	server := &http.Server{
		Handler: s.Handler, ReadHeaderTimeout: s.Config.ReadTimeout, ReadTimeout: s.Config.ReadTimeout,
		WriteTimeout: s.Config.ReadTimeout + s.Config.RequestTimeout + time.Second, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: telemetry.ServerLog(s.Logger),
	}
	drained := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(drained)
		// The requests' own contexts live on: they end with their answers, not with the service.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Config.DrainTimeout)
		defer cancel()
		if server.Shutdown(bounded) != nil {
			_ = server.Close()
		}
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve events: %w", err)
	}
	<-drained
	return nil
}

func (s Server) listen(ctx context.Context) (net.Listener, error) {
	listener := s.Listener
	if listener == nil {
		var err error
		if listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.Config.Addr); err != nil {
			return nil, fmt.Errorf("listen for events: %w", err)
		}
	}
	if s.Config.CertFile == "" {
		return listener, nil
	}
	pair, err := certs.Load(s.Config.CertFile, s.Config.KeyFile)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("use http.cert_file: %w", err), listener.Close())
	}
	return tls.NewListener(listener, &tls.Config{
		GetCertificate: pair.Server, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
	}), nil
}
