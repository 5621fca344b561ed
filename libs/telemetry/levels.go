package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Levels are the log levels of a process: one for each of its services, and one for the rest. They may be changed at any time;
// safe for concurrent use.
type Levels struct {
	first slog.Level

	mu   sync.Mutex
	rest *slog.LevelVar
	of   map[string]*slog.LevelVar
}

func newLevels(first slog.Level) *Levels {
	l := &Levels{first: first, rest: new(slog.LevelVar), of: map[string]*slog.LevelVar{}}
	l.rest.Set(first)
	return l
}

// service returns the level of a service, which begins as the configuration has it.
func (l *Levels) service(name string) *slog.LevelVar {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[name] == nil {
		l.of[name] = new(slog.LevelVar)
		l.of[name].Set(l.first)
	}
	return l.of[name]
}

// Set changes the level of a service, or of everything for "". The error names the services there are.
func (l *Levels) Set(service string, level slog.Level) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if service != "" {
		one := l.of[service]
		if one == nil {
			return fmt.Errorf("there is no service %q in this process; it has %s", service,
				strings.Join(slices.Sorted(maps.Keys(l.of)), ", "))
		}
		one.Set(level)
		return nil
	}
	l.rest.Set(level)
	for _, one := range l.of {
		one.Set(level)
	}
	return nil
}

// Rest is the name under which All tells the level of what belongs to no service.
const Rest = "process"

// All returns the levels by service, and that of the rest.
func (l *Levels) All() map[string]slog.Level {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]slog.Level{Rest: l.rest.Level()}
	for name, one := range l.of {
		out[name] = one.Level()
	}
	return out
}

// leveled writes what its level lets through.
type leveled struct {
	slog.Handler
	level slog.Leveler
}

func (h leveled) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

func (h leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return leveled{h.Handler.WithAttrs(attrs), h.level}
}

func (h leveled) WithGroup(name string) slog.Handler {
	return leveled{h.Handler.WithGroup(name), h.level}
}

// For returns the logger of one of the process's services: its lines name it, and it has a level of its own.
func (t *Telemetry) For(service string) *slog.Logger {
	return slog.New(leveled{t.lines, t.Levels.service(service)}).With("service", service)
}
