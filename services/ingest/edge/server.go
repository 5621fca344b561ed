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
)

// maxHeaderBytes and idleTimeout bound what a connection may hold without a request.
const (
	maxHeaderBytes = 32 << 10
	idleTimeout    = 2 * time.Minute
)

// Serve serves handler until ctx ends, then lets requests in flight finish within cfg.DrainTimeout. listener may be nil:
// then it listens on cfg.Addr. The error is a certificate or an address that cannot be used.
func Serve(ctx context.Context, cfg Config, handler http.Handler, listener net.Listener, logger *slog.Logger) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: cfg.ReadTimeout, ReadTimeout: cfg.ReadTimeout,
		WriteTimeout: cfg.ReadTimeout + cfg.RequestTimeout + time.Second, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	if listener == nil {
		var err error
		if listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Addr); err != nil {
			return fmt.Errorf("listen for events: %w", err)
		}
	}
	if cfg.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return errors.Join(fmt.Errorf("use http.cert_file: %w", err), listener.Close())
		}
		listener = tls.NewListener(listener, &tls.Config{
			Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		})
	}
	drained := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(drained)
		// The requests' own contexts live on: they end with their answers, not with the service.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.DrainTimeout)
		defer cancel()
		if server.Shutdown(bounded) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(listener)
	if !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve events: %w", err)
	}
	<-drained
	return nil
}
