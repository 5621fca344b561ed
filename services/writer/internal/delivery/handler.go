package delivery

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/writer/internal/gate"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/parking"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
	"github.com/throughline-dev/throughline/services/writer/internal/refusals"
	"github.com/throughline-dev/throughline/services/writer/internal/tally"
)

// Settings tells which connections there are and opens sealed fields.
type Settings interface {
	View() *settings.View
}

// Orgs hands out the connections' clients.
type Orgs interface {
	Client(workspace, connection string) (*salesforce.Client, error)
}

// Deps is what code passes in. All are required.
type Deps struct {
	Settings Settings
	Orgs     Orgs
	Gates    *gate.Registry
	// Refusals pauses the actions that the org refuses too often.
	Refusals *refusals.Registry
	Clock    stage.Clock
	Logger   *slog.Logger
	Tracer   trace.Tracer
	Tally    *tally.Tally
	// ParkDelay is how long parked writes stay parked at least.
	ParkDelay parking.Delay
	// LedgerKeep is how long entries of the ledger are remembered, LedgerSweep how often others are forgotten.
	LedgerKeep, LedgerSweep time.Duration
	// Accepted is told of every write that is taken in, and since when it lies on the topic.
	Accepted func(offset int64, class streamv1.Priority, since time.Time)
}

// Handler is the sink handler of one partition of the writes topic.
type Handler struct {
	cfg   Config
	deps  Deps
	table ledger.Ranger
	port  stage.Port

	// life ends when the partition is given up: requests in flight are abandoned then.
	life   context.Context //nolint:containedctx // outlives every Accept, ends with Drain
	cancel context.CancelFunc
	work   sync.WaitGroup
	parks  chan park
	// stopping is closed when Drain begins.
	stopping chan struct{}
	// reserving is held while reservations are decided and saved, pausing while pauses are.
	reserving, pausing sync.Mutex
	// restored are the actions that were paused when the partition came.
	restored []refusals.Action

	mu      sync.Mutex
	started bool
	lanes   map[laneKey]*lane
}

type laneKey struct{ workspace, connection string }

// NewHandler returns the handler of one partition, with the partition's part of the ledger.
func NewHandler(cfg Config, deps Deps, table ledger.Ranger, port stage.Port) *Handler {
	life, cancel := context.WithCancel(context.Background())
	h := &Handler{
		cfg: cfg, deps: deps, table: table, port: port, life: life, cancel: cancel,
		parks: make(chan park, parkQueue), stopping: make(chan struct{}), lanes: map[laneKey]*lane{},
	}
	h.restorePauses()
	return h
}

// Accept implements stage.SinkHandler. It waits only for a lane that is full but moving, and not for long if the
// partition serves other orgs too.
func (h *Handler) Accept(ctx context.Context, rec stage.Record) error {
	w := new(streamv1.Write)
	if err := proto.Unmarshal(rec.Value, w); err != nil {
		return stage.Permanent("BAD_SCHEMA", errors.New("the record is not a write"))
	}
	if err := check(w); err != nil {
		return stage.Permanent("BAD_SCHEMA", err)
	}
	if string(rec.Header(topic.HeaderClass)) == topic.ClassBulk {
		w.Priority = streamv1.Priority_PRIORITY_BULK // a replay takes nothing from what happens now (XC-7)
	}
	it := &queue.Item{Write: w, Record: parking.Clone(rec), Accepted: h.deps.Clock.Now()}
	if h.erased(w) {
		return h.endErased(ctx, it)
	}
	if h.replaced(w) {
		return h.endReplaced(ctx, it)
	}
	h.deps.Accepted(rec.Offset, it.Class(), since(rec, it.Accepted))
	l := h.lane(laneKey{w.GetWorkspace(), w.GetConnection()})
	for {
		if state := h.open(l, it); !state.Open {
			return h.park(ctx, it, state.Reason, state.Detail)
		}
		if l.offer(it) {
			return nil
		}
		if h.tooLate(l, rec) {
			// Promise 6: a full lane does not hold the partition.
			return h.park(ctx, it, streamv1.Reason_REASON_BUDGET_EXHAUSTED,
				"the connection's queue is full; the write comes back when there is room")
		}
		if err := l.awaitRoom(ctx); err != nil {
			return err
		}
	}
}

// since is when a record was put on the topic, as far as that is known.
func since(rec stage.Record, accepted time.Time) time.Time {
	if rec.Time.IsZero() {
		return accepted
	}
	return rec.Time
}

func check(w *streamv1.Write) error {
	switch {
	case w.GetWorkspace() == "" || w.GetConnection() == "":
		return errors.New("the write names no connection")
	case w.GetWriteKey() == "" || w.GetRevision() <= 0:
		return errors.New("the write has no key or no revision")
	case w.GetObject() == "":
		return errors.New("the write names no object")
	}
	switch w.GetOperation() {
	case streamv1.Operation_OPERATION_UPSERT:
		if w.GetExternalIdField() == "" || w.GetExternalId() == "" {
			return errors.New("the upsert has no external id")
		}
	case streamv1.Operation_OPERATION_UPDATE:
		if w.GetRecordId() == "" {
			return errors.New("the update has no record id")
		}
	case streamv1.Operation_OPERATION_INSERT:
		if w.GetMarker() == "" || w.GetMarkerField() == "" {
			return errors.New("the insert has no marker; without one it could not be looked for after a lost answer")
		}
	default:
		return errors.New("the write has no operation")
	}
	return nil
}

// lane returns the connection's lane and starts it when it is new.
func (h *Handler) lane(key laneKey) *lane {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.started {
		h.started = true
		h.work.Go(h.parkLoop)
		h.work.Go(h.sweepLoop)
	}
	l := h.lanes[key]
	if l == nil {
		l = newLane(h, key)
		h.lanes[key] = l
		h.work.Go(l.loop)
	}
	return l
}

// capacity is a lane's share of what the partition may hold.
func (h *Handler) capacity() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(h.cfg.BatchRecords, min(h.cfg.LaneRecords, h.cfg.HeldRecords/max(1, len(h.lanes))))
}

// tooLate reports whether a full lane's record has waited as long as the partition can afford.
func (h *Handler) tooLate(l *lane, rec stage.Record) bool {
	now := h.deps.Clock.Now()
	if !l.moving(now) {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	limit := h.cfg.LoneLag
	for _, other := range h.lanes {
		if other != l && other.busySince(now.Add(-time.Minute)) {
			limit = h.cfg.PartitionLag
		}
	}
	return now.Sub(rec.Time) > limit
}

// Drain implements stage.SinkHandler: pending writes are sent at once, without waiting for company; what waits for a retry
// or for an org that does not answer comes again.
func (h *Handler) Drain(ctx context.Context) error {
	h.mu.Lock()
	lanes := make([]*lane, 0, len(h.lanes))
	for _, l := range h.lanes {
		lanes = append(lanes, l)
	}
	h.mu.Unlock()
	for _, l := range lanes {
		l.drain()
	}
	close(h.parks)
	close(h.stopping)
	done := make(chan struct{})
	go func() {
		h.work.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = errors.New("requests in flight were abandoned; their writes come again")
	}
	h.cancel()
	<-done
	h.leavePauses()
	return err
}
