package simulator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/libs/telemetry"
	"github.com/throughline-dev/throughline/services/simulator/internal/certs"
	"github.com/throughline-dev/throughline/services/simulator/internal/clock"
	"github.com/throughline-dev/throughline/services/simulator/internal/faults"
	"github.com/throughline-dev/throughline/services/simulator/internal/journal"
	"github.com/throughline-dev/throughline/services/simulator/internal/org"
	"github.com/throughline-dev/throughline/services/simulator/internal/scenario"
	"github.com/throughline-dev/throughline/services/simulator/internal/stats"
)

// Simulator is a set of simulated orgs. It is safe for concurrent use.
type Simulator struct {
	cfg    Config
	deps   Deps
	clock  *clock.Clock
	faults *faults.Engine
	stats  *stats.Recorder

	setup   sync.Mutex // one change to the set of orgs at a time
	opened  bool
	journal *journal.Journal

	mu       sync.RWMutex
	tenants  map[string]*tenant
	order    []string
	listener net.Listener
	events   net.Listener // of the Pub/Sub API; nil when it is off
	secure   *tls.Config  // of both listeners; nil without TLS
}

// ErrUnknownOrg says that there is no org with the key.
var ErrUnknownOrg = errors.New("there is no such org")

// New checks the configuration. It opens and starts nothing.
func New(cfg Config, deps Deps) (*Simulator, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	deps = deps.withDefaults()
	return &Simulator{
		cfg: cfg, deps: deps, clock: clock.New(deps.Clock), faults: &faults.Engine{}, stats: stats.New(),
		tenants: map[string]*tenant{},
	}, nil
}

// Open reads the orgs that Config.Dir keeps and makes those of Config.Scenario that are missing. Run, Listen and Seed do it
// when it has not been done.
func (s *Simulator) Open(ctx context.Context) error {
	s.setup.Lock()
	defer s.setup.Unlock()
	if s.opened {
		return nil
	}
	if s.cfg.Dir != "" {
		if err := s.load(ctx); err != nil {
			return err
		}
	}
	s.opened = true
	if s.cfg.Scenario == "" {
		return nil
	}
	data, err := os.ReadFile(s.cfg.Scenario)
	if err != nil {
		return fmt.Errorf("scenario: %w", err)
	}
	sc, err := scenario.Parse(data)
	if err != nil {
		return err
	}
	return s.seed(ctx, sc)
}

func (s *Simulator) load(ctx context.Context) error {
	if err := os.MkdirAll(s.cfg.Dir, 0o755); err != nil {
		return fmt.Errorf("dir: %w", err)
	}
	j, err := journal.Open(ctx, filepath.Join(s.cfg.Dir, "simulator.db"))
	if err != nil {
		return err
	}
	loaded, err := org.Load(ctx, org.Deps{Clock: s.clock, Journal: j, Observe: s.observer()})
	if err != nil {
		return errors.Join(err, j.Close())
	}
	s.journal = j
	slices.SortFunc(loaded, func(a, b org.Loaded) int { return a.Ordinal - b.Ordinal })
	for _, l := range loaded {
		t := s.tenant(l.Org, l.Spec, l.Ordinal) //nolint:contextcheck // tokens are kept whatever becomes of the request that made them
		err := t.restore(ctx, j)
		if err == nil {
			err = s.capture(ctx, t)
		}
		if err != nil {
			return errors.Join(err, j.Close())
		}
		s.add(t)
	}
	return nil
}

// Seed makes the orgs of a scenario that do not exist yet, with all their records or not at all, and puts its faults in
// force. Orgs that exist are left as they are, so that Seed may run at every start.
func (s *Simulator) Seed(ctx context.Context, sc *Scenario) error {
	if err := s.Open(ctx); err != nil {
		return err
	}
	if err := sc.Validate(); err != nil {
		return err
	}
	s.setup.Lock()
	defer s.setup.Unlock()
	return s.seed(ctx, sc)
}

// seed needs the setup lock.
func (s *Simulator) seed(ctx context.Context, sc *scenario.Scenario) error {
	for _, spec := range sc.Orgs {
		if _, exists := s.find(spec.Key); exists {
			continue
		}
		if err := s.create(ctx, spec); err != nil {
			return err
		}
	}
	s.faults.Add(sc.Faults...)
	return nil
}

// create needs the setup lock.
func (s *Simulator) create(ctx context.Context, spec scenario.Org) error {
	ordinal := 0
	for _, t := range s.all() {
		ordinal = max(ordinal, t.ordinal+1)
	}
	o, err := org.Create(ctx, spec, org.Deps{Clock: s.clock, Journal: s.journal, Ordinal: ordinal, Observe: s.observer()})
	if err != nil {
		return err
	}
	t := s.tenant(o, spec, ordinal) //nolint:contextcheck // as in load
	if err := s.capture(ctx, t); err != nil {
		return err
	}
	s.add(t)
	return nil
}

// drop needs the setup lock.
func (s *Simulator) drop(ctx context.Context, key string) error {
	t, exists := s.find(key)
	if !exists {
		return fmt.Errorf("org %s: %w", key, ErrUnknownOrg)
	}
	s.mu.Lock()
	delete(s.tenants, key)
	s.order = slices.DeleteFunc(s.order, func(k string) bool { return k == key })
	s.mu.Unlock()
	s.stats.Reset(key)
	t.auth.RevokeAll()
	t.rest.Close()
	if t.changes != nil {
		t.changes.Close()
	}
	return t.org.Drop(ctx)
}

// Reset brings an org, or all with an empty key, back to what its scenario made of it. Tokens end; faults, the clock and
// the other orgs stay.
func (s *Simulator) Reset(ctx context.Context, key string) error {
	s.setup.Lock()
	defer s.setup.Unlock()
	keys := []string{key}
	if key == "" {
		keys = nil
		for _, t := range s.all() {
			keys = append(keys, t.org.Key)
		}
	}
	for _, key := range keys {
		t, exists := s.find(key)
		if !exists {
			return fmt.Errorf("org %s: %w", key, ErrUnknownOrg)
		}
		if err := s.drop(ctx, key); err != nil {
			return err
		}
		if err := s.create(ctx, t.spec); err != nil {
			return err
		}
	}
	return nil
}

func (s *Simulator) add(t *tenant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tenants[t.org.Key] = t
	s.order = append(s.order, t.org.Key)
}

func (s *Simulator) find(key string) (*tenant, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t, ok := s.tenants[key]
	return t, ok
}

func (s *Simulator) all() []*tenant {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*tenant, 0, len(s.order))
	for _, key := range s.order {
		out = append(out, s.tenants[key])
	}
	return out
}

// Listen opens the simulator and its listener, so that Addr and BaseURL are known before Run.
func (s *Simulator) Listen(ctx context.Context) error {
	if err := s.Open(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if s.secure, err = s.tlsConfig(); err != nil {
		return errors.Join(err, l.Close())
	}
	if s.secure != nil {
		l = tls.NewListener(l, s.secure)
	}
	s.listener = l
	if s.cfg.PubSub == "" {
		return nil
	}
	if s.events, err = lc.Listen(ctx, "tcp", s.cfg.PubSub); err != nil {
		s.listener = nil
		return errors.Join(fmt.Errorf("listen: pubsub: %w", err), l.Close())
	}
	return nil
}

// tlsConfig returns how the listeners speak TLS, or nil when they do not.
func (s *Simulator) tlsConfig() (*tls.Config, error) {
	if !s.cfg.TLS.Enabled {
		return nil, nil
	}
	if s.cfg.TLS.Cert == "" {
		authority, err := certs.Open(s.cfg.tlsDir(), s.deps.Clock.Now)
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		return authority.Config(), nil
	}
	pair, err := tls.LoadX509KeyPair(s.cfg.TLS.Cert, s.cfg.TLS.Key)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, nil
}

// Addr returns the address that the simulator listens on, or "" before Listen.
func (s *Simulator) Addr() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// BaseURL returns an org's login and instance address on the simulator's listener.
func (s *Simulator) BaseURL(key string) string { return s.Origin() + "/orgs/" + key }

// Origin returns scheme and address of the simulator's listener, after Listen.
func (s *Simulator) Origin() string {
	if s.cfg.TLS.Enabled {
		return "https://" + s.Addr()
	}
	return "http://" + s.Addr()
}

// Run serves until ctx ends, then finishes the requests under way and closes the store. It can run once.
func (s *Simulator) Run(ctx context.Context) error {
	if err := s.Listen(ctx); err != nil {
		return err
	}
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: telemetry.ServerLog(s.deps.Logger),
	}
	stop := s.servePubSub(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- server.Serve(s.listener) }()
	s.deps.Logger.InfoContext(ctx, "the Salesforce simulator is up", "address", s.Addr())
	err := s.serve(ctx, server, served)
	stop() // subscriptions do not end by themselves
	return errors.Join(err, s.Close())
}

// notClosed leaves out the error of a server that was asked to stop.
func notClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// quotaEvery is how often call counters are stored.
const quotaEvery = time.Second

// serve waits until ctx or the server ends.
func (s *Simulator) serve(ctx context.Context, server *http.Server, served <-chan error) error {
	ticker := time.NewTicker(quotaEvery)
	defer ticker.Stop()
	for {
		select {
		case err := <-served:
			return err
		case <-ticker.C:
			s.keepQuotas()
			continue
		case <-ctx.Done():
		}
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.DrainTimeout)
		defer cancel()
		err := server.Shutdown(drain)
		if err != nil {
			err = server.Close()
		}
		return errors.Join(err, notClosed(<-served))
	}
}

// Close writes what is waiting to be written and closes the store. Run does it; it is for use with Handler alone.
func (s *Simulator) Close() error {
	s.setup.Lock()
	defer s.setup.Unlock()
	for _, t := range s.all() {
		t.rest.Close()
	}
	if s.journal == nil {
		return nil
	}
	s.keepQuotas()
	return s.journal.Close()
}
