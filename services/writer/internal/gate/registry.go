package gate

import (
	"maps"
	"sync"
)

// Registry keeps one gate per connection. Safe for concurrent use.
type Registry struct {
	spawn   Spawn
	cfg     Config
	connect func(workspace, connection string) Connection

	mu    sync.Mutex
	gates map[[2]string]*Gate
}

// NewRegistry returns an empty registry.
func NewRegistry(spawn Spawn, cfg Config, connect func(workspace, connection string) Connection) *Registry {
	return &Registry{spawn: spawn, cfg: cfg, connect: connect, gates: map[[2]string]*Gate{}}
}

// Gate returns the connection's gate.
func (r *Registry) Gate(workspace, connection string) *Gate {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := [2]string{workspace, connection}
	g := r.gates[k]
	if g == nil {
		g = New(r.spawn, r.cfg, r.connect(workspace, connection))
		r.gates[k] = g
	}
	return g
}

// Each calls f for every gate there is.
func (r *Registry) Each(f func(workspace, connection string, g *Gate)) {
	r.mu.Lock()
	gates := maps.Clone(r.gates)
	r.mu.Unlock()
	for k, g := range gates {
		f(k[0], k[1], g)
	}
}
