package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/libs/telemetry"
	"github.com/throughline-dev/throughline/services/internal/orgs"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// Options is what a caller passes besides the configuration.
type Options struct {
	// Version is the program's, for telemetry.
	Version string
	// Silence is the clock by which visits notice that somebody has gone; nil for the system's. The demo moves it ahead
	// instead of waiting. Everything else runs on real time.
	Silence stage.Clock
	// Telemetry says where logs and spans go, if not where the configuration sends them.
	Telemetry []telemetry.Option
}

// Process is a set of services that share a process.
type Process struct {
	cfg      *Config
	names    []string
	tel      *telemetry.Telemetry
	admin    *admin
	shared   shared
	services map[string]Service
	group    group
}

// shared is what the services of a process have in common: one Kafka client, one connection to config.
type shared struct {
	cfg          *Config
	tel          *telemetry.Telemetry
	silence      stage.Clock
	kafka        *kafka.Client
	installation *seal.Installation
	settings     *settings.Client
	// config is the connection on which the settings come.
	config     grpc.ClientConnInterface
	orgs       *orgs.Pool
	deadLetter func(stage.DeadLetter) (stage.Message, error)
	// closers end connections that single services opened.
	closers []func() error
}

// New builds the named services ("all" means every one) and what they share. Nothing of it runs yet but the admin
// listener.
func New(ctx context.Context, cfg *Config, names []string, opts Options) (*Process, error) {
	names, err := Resolve(names)
	if err != nil {
		return nil, err
	}
	tel, err := telemetry.New(ctx, cfg.Telemetry, "throughline-"+strings.Join(names, "-"), opts.Version, opts.Telemetry...)
	if err != nil {
		return nil, err
	}
	p := &Process{cfg: cfg, names: names, tel: tel, services: map[string]Service{}}
	p.warnOfPlaintext()
	if err := p.build(ctx, opts); err != nil {
		return nil, errors.Join(err, p.Close(ctx))
	}
	return p, nil
}

// Resolve expands and checks the names of services and puts them in order of start.
func Resolve(names []string) ([]string, error) {
	var out []string
	for _, m := range modules {
		if slices.Contains(names, m.name) || slices.Contains(names, "all") {
			out = append(out, m.name)
		}
	}
	for _, n := range names {
		if n != "all" && !slices.Contains(out, n) {
			return nil, fmt.Errorf("there is no service %q; choose from all, %s", n, strings.Join(Names(), ", "))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no service named; choose from all, %s", strings.Join(Names(), ", "))
	}
	return out, nil
}

func (p *Process) build(ctx context.Context, opts Options) error {
	p.shared = shared{cfg: p.cfg, tel: p.tel, silence: opts.Silence}
	if err := p.shared.open(); err != nil {
		return err
	}
	if p.needsSettings() {
		if err := p.shared.watch(); err != nil {
			return err
		}
	}
	p.group = group{stopTimeout: p.cfg.StopTimeout, logger: p.tel.Logger}
	for _, m := range modules {
		if !slices.Contains(p.names, m.name) && m.name != keysModule && (m.name != settingsModule || !p.needsSettings()) {
			continue
		}
		s, err := m.build(&p.shared)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		p.services[m.name] = s
		p.group.members = append(p.group.members, member{m.name, s})
	}
	if p.cfg.Admin.Listen == "" {
		return nil
	}
	var err error
	p.admin, err = newAdmin(ctx, p.cfg, p.tel, p.group.ready)
	return err
}

// needsSettings reports whether any service but config runs: config keeps the settings, the others watch them.
func (p *Process) needsSettings() bool {
	return slices.ContainsFunc(p.names, func(n string) bool { return n != configModule })
}

// Run starts the services from the end of the flow, blocks until ctx ends or one of them fails, and stops them from its
// beginning. Call Close afterwards.
func (p *Process) Run(ctx context.Context) error { return p.group.run(ctx) }

// TakeGlobalLogs sends what libraries log on their own through this process's logger, where the same rules hold for every line.
// Only a program that runs one Process calls it.
func (p *Process) TakeGlobalLogs() { p.tel.TakeGlobal() }

// Ready reports nil, or which services are not ready and why.
func (p *Process) Ready() error { return p.group.ready() }

// Revision is that of the newest settings that the services of this process work with; 0 while there are none, and in a
// process that runs config alone.
func (p *Process) Revision() int64 {
	if p.shared.settings == nil {
		return 0
	}
	if view := p.shared.settings.View(); view != nil {
		return view.Revision()
	}
	return 0
}

// Service returns the service with the name, or nil when this process does not run it.
func (p *Process) Service(name string) Service { return p.services[name] }

// AdminAddress is host:port of the admin listener, empty when there is none.
func (p *Process) AdminAddress() string {
	if p.admin == nil {
		return ""
	}
	return p.admin.address()
}

// Close ends what Run does not: the admin listener, connections, and telemetry, which it flushes. Safe to call twice.
func (p *Process) Close(ctx context.Context) error {
	var errs []error
	if p.admin != nil {
		errs = append(errs, p.admin.close())
		p.admin = nil
	}
	for _, closeOne := range p.shared.closers {
		errs = append(errs, closeOne())
	}
	p.shared.closers = nil
	if p.shared.kafka != nil {
		p.shared.kafka.Close()
		p.shared.kafka = nil
	}
	return errors.Join(append(errs, p.tel.Close(ctx))...)
}
