package parking

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// Config bounds parking.
type Config struct {
	// HeldPerOrg is the most parked writes of one org a partition keeps in memory; more move to the end of the topic.
	HeldPerOrg int `yaml:"held_per_org"`
	// ReleasePerSecond is the most writes of one org a partition brings back in a second.
	ReleasePerSecond int `yaml:"release_per_second"`
	// Recheck is the time between two looks at what may come back.
	Recheck time.Duration `yaml:"recheck"`
	// Postpone is how long a write that was moved to the end waits there.
	Postpone time.Duration `yaml:"postpone"`
	// DelayMin is how long a write stays parked at least; it doubles with every return, up to DelayMax.
	DelayMin time.Duration `yaml:"delay_min"`
	DelayMax time.Duration `yaml:"delay_max"`
	// KeepFor is how long a write may be parked before it fails. The parked topic must keep records for longer.
	KeepFor time.Duration `yaml:"keep_for"`
}

// DefaultConfig returns 2,000 writes per org and partition in memory, 2,000 brought back a second, a look every second,
// 1 s to 1 min of delay and 14 days.
func DefaultConfig() Config {
	return Config{
		HeldPerOrg: 2000, ReleasePerSecond: 2000, Recheck: time.Second, Postpone: 30 * time.Second,
		DelayMin: time.Second, DelayMax: time.Minute, KeepFor: 14 * 24 * time.Hour,
	}
}

// Validate names the first key that does not fit.
func (c Config) Validate() error {
	switch {
	case c.HeldPerOrg < 1 || c.ReleasePerSecond < 1:
		return errors.New("held_per_org and release_per_second: must be at least 1")
	case c.Recheck <= 0 || c.Postpone <= 0:
		return errors.New("recheck and postpone: must be above 0")
	case c.DelayMin < 0 || c.DelayMax < c.DelayMin:
		return errors.New("delay_min: must be 0 to delay_max")
	case c.KeepFor <= 0:
		return errors.New("keep_for: must be above 0")
	}
	return nil
}

// Delay is how long writes stay parked at least.
func (c Config) Delay() Delay { return Delay{Min: c.DelayMin, Max: c.DelayMax} }

// Ready reports whether an org takes writes of a class now; of any class when it is unspecified.
type Ready func(workspace, connection string, class streamv1.Priority) bool

// Action is what a parked write belongs to: one version of an integration, writing to one object.
type Action struct {
	Workspace, Connection, Integration, Object string
	Version                                    int64
}

// Room tells how many writes of an action may come back now.
type Room func(Action) int

// Expire ends a write that was parked for too long: it records the failure. It does not settle the write.
type Expire func(ctx context.Context, port stage.Port, rec *stage.Record, t Ticket) error

// Deps is what code passes in.
type Deps struct {
	Ready Ready
	Room  Room
	// Erased reports whether what a person did at a time must not be recorded, Replaced whether a connection is with another org
	// now than the one that a write is for. Such writes come back at once, however their org is, and end there. Nil: none does.
	Erased   func(workspace, personKey string, at time.Time) bool
	Replaced func(workspace, connection, org string) bool
	Expire   Expire
	Clock    stage.Clock
	Logger   *slog.Logger
	// Held is told by how much the number of writes in memory changed.
	Held func(change int)
}

// Handler is the sink handler of one partition of the parked topic.
type Handler struct {
	cfg  Config
	deps Deps
	port stage.Port

	life   context.Context //nolint:containedctx // the life of the releasing goroutine, from the first Accept to Drain
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	started bool
	orgs    map[string]*parked
	room    chan struct{}
}

// parked is what one org has in memory, oldest first.
type parked struct {
	workspace, connection string
	held                  []held
}

type held struct {
	rec    stage.Record
	ticket Ticket
	action Action
	about  subject
}

// subject is whom a parked write is about, when it happened, and for which org of the connection it is.
type subject struct {
	workspace, personKey string
	at                   time.Time
	connection, org      string
}

// read tells what a parked write belongs to and whom it is about. What is no write belongs to nothing but its connection, and is about
// nobody; the writes stage says so when it comes back.
func read(rec *stage.Record, workspace, connection string) (Action, subject) {
	a, w := Action{Workspace: workspace, Connection: connection}, new(streamv1.Write)
	if proto.Unmarshal(rec.Value, w) != nil {
		return a, subject{}
	}
	a.Integration, a.Object, a.Version = w.GetIntegration(), w.GetObject(), w.GetIntegrationVersion()
	return a, subject{w.GetWorkspace(), w.GetPersonKey(), w.GetOccurredAt().AsTime(), w.GetConnection(), w.GetOrg()}
}

// over reports whether a write need not wait for its org: it is not to be made any more.
func (h *Handler) over(s subject) bool {
	return (h.deps.Erased != nil && s.personKey != "" && h.deps.Erased(s.workspace, s.personKey, s.at)) ||
		(h.deps.Replaced != nil && s.connection != "" && h.deps.Replaced(s.workspace, s.connection, s.org))
}

// NewHandler returns the handler of one partition.
func NewHandler(cfg Config, deps Deps, port stage.Port) *Handler {
	life, cancel := context.WithCancel(context.Background())
	return &Handler{
		cfg: cfg, deps: deps, port: port, life: life, cancel: cancel,
		orgs: map[string]*parked{}, room: make(chan struct{}, 1),
	}
}

// Accept implements stage.SinkHandler.
func (h *Handler) Accept(ctx context.Context, rec stage.Record) error {
	workspace, connection, ok := bytes.Cut(rec.Key, []byte{'/'})
	if !ok {
		return stage.Permanent("BAD_SCHEMA", errBadKey)
	}
	t, _ := Of(&rec)
	// Promise 6: nothing waits for longer than anything is made to, or a clock that was ahead when the write was parked would have
	// the orgs behind it wait with it.
	if latest := h.deps.Clock.Now().Add(max(h.cfg.DelayMax, h.cfg.Postpone)); t.Due.After(latest) {
		t.Due = latest
	}
	action, about := read(&rec, string(workspace), string(connection))
	if h.over(about) {
		rec = Clone(rec)
		return h.pass(ctx, release(&rec, t), rec.Offset)
	}
	one := held{rec: rec, ticket: t, action: action, about: about}
	for {
		if h.hold(one) {
			return nil
		}
		// The org's share of the memory is full. Once the write is due, it goes to the end of the topic, so that those of
		// other orgs behind it are reached.
		wait := t.Due.Sub(h.deps.Clock.Now())
		if wait <= 0 {
			rec = Clone(rec)
			return h.pass(ctx, postpone(&rec, t, h.deps.Clock.Now().Add(h.cfg.Postpone)), rec.Offset)
		}
		timer := time.NewTimer(min(wait, h.cfg.Recheck))
		select {
		case <-timer.C:
		case <-h.room:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
}

func (h *Handler) hold(one held) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.orgs[string(one.rec.Key)]
	if o == nil {
		o = &parked{workspace: one.action.Workspace, connection: one.action.Connection}
		h.orgs[string(one.rec.Key)] = o
	}
	if len(o.held) >= h.cfg.HeldPerOrg {
		return false
	}
	one.rec = Clone(one.rec)
	o.held = append(o.held, one)
	h.deps.Held(1)
	if !h.started {
		h.started = true
		h.work.Go(h.releaseLoop)
	}
	return true
}

// pass sends a record on without keeping it: to the end of the topic, or back.
func (h *Handler) pass(ctx context.Context, m stage.Message, offset int64) error {
	if err := h.port.Publish(ctx, m); err != nil {
		return err
	}
	h.port.Settle(offset)
	return nil
}

// Drain implements stage.SinkHandler. What is parked stays parked.
func (h *Handler) Drain(context.Context) error {
	h.cancel()
	h.work.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.orgs {
		h.deps.Held(-len(o.held))
	}
	clear(h.orgs)
	return nil
}

// Oldest returns since when the oldest write in memory is parked; ok is false when there is none.
func (h *Handler) Oldest() (since time.Time, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.orgs {
		for _, one := range o.held {
			if !ok || one.ticket.Since.Before(since) {
				since, ok = one.ticket.Since, true
			}
		}
	}
	return since, ok
}
