package stage

import (
	"context"
	"fmt"
	"sync"
)

// sink is the worker of a Sink's partition. It hands records over one by one; the handler settles them through the port,
// from any goroutine, in any order.
type sink struct {
	*part
	newHandler NewSinkHandler

	handler SinkHandler
	port    *port
	track   *tracker

	// room is signalled whenever a record is settled.
	room chan struct{}
	mu   sync.Mutex // orders what the tracker says with what part.settle gets
}

func (w *sink) start() error {
	if w.port != nil {
		w.port.stop()
	}
	w.track, w.room = newTracker(w.next), make(chan struct{}, 1)
	w.port = newPort(w)
	h, err := w.newHandler(Partition{Topic: w.cfg.Topic, ID: w.id}, w.table, w.port)
	if err != nil {
		w.port.stop()
		return fmt.Errorf("building the handler: %w", err)
	}
	w.handler = h
	return nil
}

// run hands records over until ctx ends, then lets the handler drain.
func (w *sink) run(ctx context.Context, f *fetcher) {
	work, done := w.drainContext(ctx)
	defer done()
	defer w.port.stop()
	w.port.open(work)
	for c := range f.out {
		if !w.chunk(ctx, work, c) {
			break
		}
	}
	w.setPhase(draining, nil)
	if err := guard(func() error { return w.handler.Drain(work) }); err != nil {
		w.logger.Warn("not everything could be drained; the rest will come again", "unsettled", w.track.unsettled(), "error", err)
	}
}

// chunk hands over what one fetch brought, and reports whether to go on.
func (w *sink) chunk(ctx, work context.Context, c chunk) bool {
	for i := range c.records {
		if !w.awaitRoom(ctx) || !w.accept(ctx, work, c.records[i]) {
			return false
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settle(w.track.skip(c.next))
	return true
}

// awaitRoom waits while the handler holds Config.MaxUnsettled records. Promise 7.
func (w *sink) awaitRoom(ctx context.Context) bool {
	for w.track.unsettled() >= w.cfg.MaxUnsettled {
		select {
		case <-w.room:
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}

// accept hands one record over, or buries it if the handler can never take it.
func (w *sink) accept(ctx, work context.Context, rec Record) bool {
	w.track.take(rec.Offset)
	err := w.retry(ctx, "handing a record over", func() error {
		return guard(func() error { return w.handler.Accept(ctx, rec) })
	})
	if reason, ok := PermanentReason(err); ok {
		if err = w.port.DeadLetter(work, rec, reason, detailOf(err)); err == nil {
			w.port.Settle(rec.Offset)
		}
	}
	if err != nil {
		return false // ctx has ended; the record was not accepted and stays unsettled
	}
	w.in.Add(1)
	return true
}

// settled is called by the port.
func (w *sink) settled(offsets []int64) {
	w.mu.Lock()
	next, unknown := w.track.settle(offsets...)
	w.settle(next)
	w.mu.Unlock()
	if unknown > 0 {
		w.logger.Error("the handler settled records twice or never got them", "records", unknown)
	}
	select {
	case w.room <- struct{}{}:
	default:
	}
}
