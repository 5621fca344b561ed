package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/telemetry"
)

// Limits on every request: promise 7.
const (
	readTimeout   = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
	stopTimeout   = 10 * time.Second
	writeOverhead = 10 * time.Second
)

// minTokenLength is that of the config service's callers, one of which the console is.
const minTokenLength = 16

// Service is the console.
type Service struct {
	cfg   Config
	deps  Deps
	token secret.String
	addr  atomic.Pointer[net.TCPAddr]
}

// New prepares the console; Run serves it.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Settings == nil || deps.Tracer == nil {
		return nil, errors.New("console: Settings and Tracer are required")
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	token := cfg.Token
	if token.IsEmpty() && cfg.TokenFile != "" {
		data, err := os.ReadFile(cfg.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("console.token_file: %w", err)
		}
		token = secret.New(strings.TrimSpace(string(data)))
	}
	if token.IsEmpty() {
		return nil, errors.New("console.token or console.token_file: missing; without it nobody could sign in")
	}
	if len(token.Reveal()) < minTokenLength {
		return nil, fmt.Errorf("console.token: shorter than %d characters; it is all that keeps the console closed", minTokenLength)
	}
	return &Service{cfg: cfg, deps: deps, token: token}, nil
}

// Run serves until ctx ends and open requests are answered.
func (s *Service) Run(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("console.listen %s: %w", s.cfg.Listen, err)
	}
	if tcp, ok := listener.Addr().(*net.TCPAddr); ok {
		s.addr.Store(tcp)
	}
	server := &http.Server{
		Handler: s.Handler(), ReadTimeout: readTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		WriteTimeout: s.cfg.LookupTimeout + writeOverhead, BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ErrorLog: telemetry.ServerLog(s.deps.Logger),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return server.Shutdown(stop)
}

// Ready reports nil once the console listens.
func (s *Service) Ready() error {
	if s.addr.Load() == nil {
		return errors.New("not listening yet")
	}
	return nil
}

// Addr is the address it listens on, nil before Run.
func (s *Service) Addr() net.Addr {
	if a := s.addr.Load(); a != nil {
		return a
	}
	return nil
}
