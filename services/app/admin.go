package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/throughline-dev/throughline/libs/conf"
	"github.com/throughline-dev/throughline/libs/telemetry"
)

// admin is the listener for operators: /healthz (the process runs), /readyz (it can do its work, or why not), /metrics,
// /config (in force, secrets redacted) and /log-level (of each service, to read and to change). Liveness does not depend on Salesforce, Kafka or config: restarting would not help.
type admin struct {
	listener net.Listener
	server   *http.Server
}

// Limits of the listener: promise 7.
const (
	adminTimeout   = 15 * time.Second
	adminMaxHeader = 16 << 10
)

func newAdmin(ctx context.Context, cfg *Config, tel *telemetry.Telemetry, ready func() error) (*admin, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Admin.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin.listen %s: %w", cfg.Admin.Listen, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", tel.MetricsHandler())
	mux.HandleFunc("GET /config", func(w http.ResponseWriter, _ *http.Request) {
		text, err := conf.YAML(cfg)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/yaml")
		fmt.Fprint(w, text)
	})
	levels := logLevels{tel}
	mux.HandleFunc("GET /log-level", levels.show)
	mux.HandleFunc("PUT /log-level", levels.set)
	mux.HandleFunc("PUT /log-level/{service}", levels.set)
	server := &http.Server{
		Handler: mux, ReadTimeout: adminTimeout, WriteTimeout: adminTimeout, MaxHeaderBytes: adminMaxHeader,
		ErrorLog: telemetry.ServerLog(tel.For("admin")),
	}
	a := &admin{listener: listener, server: server}
	go func() {
		if err := server.Serve(listener); err != nil && err != http.ErrServerClosed {
			tel.Logger.Error("the admin listener ended", "error", err)
		}
	}()
	return a, nil
}

// address is where it listens.
func (a *admin) address() string { return a.listener.Addr().String() }

// close ends it; it is the last thing a process stops, so that probes see it drain.
func (a *admin) close() error { return a.server.Close() }
