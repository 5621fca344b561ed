package parking

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

var errBadKey = errors.New("the record's key does not name a connection")

// releaseLoop brings back, at every recheck, what is due of the orgs that take writes.
func (h *Handler) releaseLoop() {
	ticker := time.NewTicker(h.cfg.Recheck)
	defer ticker.Stop()
	for {
		select {
		case <-h.life.Done():
			return
		case <-ticker.C:
		}
		for _, o := range h.snapshot() {
			if err := h.releaseOrg(h.life, o); err != nil && h.life.Err() == nil {
				// Promise 6: the others' writes are brought back all the same.
				h.deps.Logger.Warn("parked writes could not be brought back; they stay parked",
					"workspace", o.workspace, "connection", o.connection, "error", err)
			}
		}
	}
}

func (h *Handler) snapshot() []*parked {
	h.mu.Lock()
	defer h.mu.Unlock()
	orgs := make([]*parked, 0, len(h.orgs))
	for key, o := range h.orgs {
		if len(o.held) == 0 {
			delete(h.orgs, key)
			continue
		}
		orgs = append(orgs, o)
	}
	return orgs
}

// releaseOrg ends what is parked for too long and brings back what is due, oldest first, up to the rate.
func (h *Handler) releaseOrg(ctx context.Context, o *parked) error {
	now := h.deps.Clock.Now()
	expired, due := h.pick(o, now, h.ready(o))
	if err := h.expire(ctx, o, expired); err != nil {
		return err
	}
	if len(due) == 0 {
		return nil
	}
	messages := make([]stage.Message, len(due))
	for i := range due {
		messages[i] = release(&due[i].rec, due[i].ticket)
	}
	// Promise 3: settled here only once it is back on the writes topic.
	if err := h.port.Publish(ctx, messages...); err != nil {
		return err
	}
	h.settle(o, due)
	return nil
}

// expiring is how many writes are ended at a time: one after the other they would keep those of other orgs waiting, for each takes a
// few round trips (promise 6).
const expiring = 16

// expire ends what is parked for too long.
func (h *Handler) expire(ctx context.Context, o *parked, expired []held) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(expiring)
	for i := range expired {
		g.Go(func() error {
			if err := h.deps.Expire(ctx, h.port, &expired[i].rec, expired[i].ticket); err != nil {
				return err
			}
			h.settle(o, expired[i:i+1])
			return nil
		})
	}
	return g.Wait()
}

// ready tells which classes the org takes now.
func (h *Handler) ready(o *parked) map[streamv1.Priority]bool {
	ready := map[streamv1.Priority]bool{}
	for n := range streamv1.Priority_name {
		class := streamv1.Priority(n)
		ready[class] = h.deps.Ready(o.workspace, o.connection, class)
	}
	return ready
}

func (h *Handler) pick(o *parked, now time.Time, ready map[streamv1.Priority]bool) (expired, due []held) {
	limit := max(1, int(float64(h.cfg.ReleasePerSecond)*h.cfg.Recheck.Seconds()))
	room := map[Action]int{}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range o.held {
		switch {
		case h.over(one.about):
			if len(due) < limit {
				due = append(due, one)
			}
		case !one.ticket.Since.IsZero() && now.Sub(one.ticket.Since) > h.cfg.KeepFor:
			if len(expired) < limit {
				expired = append(expired, one)
			}
		case len(due) < limit && !now.Before(one.ticket.Due) && ready[one.ticket.Class] && h.fits(room, one.action):
			due = append(due, one)
		}
	}
	return expired, due
}

// fits reports whether one more write of an action may come back: a paused one has no room, and one on trial little (XC-39).
func (h *Handler) fits(room map[Action]int, a Action) bool {
	left, asked := room[a]
	if !asked {
		left = h.deps.Room(a)
	}
	room[a] = left - 1
	return left > 0
}

// settle forgets writes and settles their offsets.
func (h *Handler) settle(o *parked, done []held) {
	offsets := make([]int64, len(done))
	gone := make(map[int64]bool, len(done))
	for i := range done {
		offsets[i] = done[i].rec.Offset
		gone[offsets[i]] = true
	}
	h.mu.Lock()
	kept := o.held[:0]
	for _, one := range o.held {
		if !gone[one.rec.Offset] {
			kept = append(kept, one)
		}
	}
	clear(o.held[len(kept):])
	o.held = kept
	h.mu.Unlock()
	h.deps.Held(-len(done))
	h.port.Settle(offsets...)
	select {
	case h.room <- struct{}{}:
	default:
	}
}
