package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/outcome"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/parking"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
	"github.com/throughline-dev/throughline/services/writer/internal/tally"
)

// park is one write to be parked.
type park struct {
	item   *queue.Item
	reason streamv1.Reason
	detail string
}

const (
	// parkQueue is how many parked writes may wait for the broker before Accept waits with them.
	parkQueue = 1000
	// parkBatch is how many are published together.
	parkBatch = 500
)

// park hands a write to the parking loop. It waits only when the broker does not keep up.
func (h *Handler) park(ctx context.Context, it *queue.Item, reason streamv1.Reason, detail string) error {
	select {
	case h.parks <- park{item: it, reason: reason, detail: detail}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// parkLoop publishes what Accept parks, as many together as have gathered.
func (h *Handler) parkLoop() {
	for first := range h.parks {
		batch := append(make([]park, 0, parkBatch), first)
	gather:
		for len(batch) < parkBatch {
			select {
			case p, ok := <-h.parks:
				if !ok {
					break gather
				}
				batch = append(batch, p)
			default:
				break gather
			}
		}
		if err := h.publishParks(h.life, batch); err != nil && h.life.Err() == nil {
			h.deps.Logger.Error("writes could not be parked; they are left unsettled and come again after a restart",
				"writes", len(batch), "error", err)
		}
	}
}

// prepareParks saves what later revisions must know about writes that are about to be parked.
func (h *Handler) prepareParks(ctx context.Context, parks []park, now time.Time) error {
	h.reserving.Lock()
	defer h.reserving.Unlock()
	var entries []stage.Entry
	for i := range parks {
		it := parks[i].item
		// What cannot be read is a newer program's, and stays.
		if entry, err := ledger.Reserve(h.table, it.Write, now); err == nil && entry != nil {
			entries = append(entries, *entry)
		}
		if !it.Ambiguous || ledger.Once(it.Write) {
			continue
		}
		if entry, err := ledger.Doubt(h.table, it.Write, now); err == nil {
			entries = append(entries, entry)
		}
	}
	if len(entries) == 0 {
		return nil
	}
	return h.port.Save(ctx, entries...)
}

// publishAllParks is publishParks for any number of writes, some at a time.
func (h *Handler) publishAllParks(ctx context.Context, parks []park) error {
	for some := range slices.Chunk(parks, parkBatch) {
		if err := h.publishParks(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

// publishParks parks writes. One that is too large for the topic with what parking adds fails alone: left unsettled, it would hold
// up the whole partition in the end (promise 6).
func (h *Handler) publishParks(ctx context.Context, parks []park) error {
	if len(parks) == 0 {
		return nil
	}
	err := h.publishTogether(ctx, parks)
	if _, tooLarge := stage.PermanentReason(err); !tooLarge {
		return err
	}
	if half := len(parks) / 2; half > 0 {
		return errors.Join(h.publishParks(ctx, parks[:half]), h.publishParks(ctx, parks[half:]))
	}
	return h.endTooLarge(ctx, parks[0])
}

// endTooLarge ends a write that cannot be parked.
func (h *Handler) endTooLarge(ctx context.Context, p park) error {
	w := p.item.Write
	end := ending{
		item: p.item, status: streamv1.Status_STATUS_FAILED, reason: streamv1.Reason_REASON_TOO_LARGE,
		detail: "the write could not be made now (" + p.detail + ") and is too large to be parked; raise max.message.bytes of " + topic.Parked +
			", then replay the dead letter",
	}
	if p.item.Ambiguous && !ledger.Once(w) {
		entry, err := ledger.Doubt(h.table, w, h.deps.Clock.Now()) // promise 4
		if err != nil {
			return err
		}
		end.entry = &entry
	}
	return h.lane(laneKey{w.GetWorkspace(), w.GetConnection()}).finish(ctx, []ending{end})
}

// publishTogether parks writes: message and outcome first, offsets last (promise 2).
func (h *Handler) publishTogether(ctx context.Context, parks []park) error {
	now := h.deps.Clock.Now()
	if err := h.prepareParks(ctx, parks, now); err != nil {
		return fmt.Errorf("save the ledger: %w", err)
	}
	messages := make([]stage.Message, 0, 2*len(parks))
	outcomes := make([]*streamv1.Outcome, 0, len(parks))
	offsets := make([]int64, 0, len(parks))
	for i := range parks {
		p := &parks[i]
		message, _ := parking.Park(&p.item.Record, parking.Why{Reason: p.reason, Class: p.item.Class()}, h.deps.ParkDelay, now)
		e := ending{item: p.item, status: streamv1.Status_STATUS_PARKED, reason: p.reason, detail: p.detail}
		o := e.outcome(now)
		told, err := outcome.Message(o, p.item.Record.TraceParent())
		if err != nil {
			return fmt.Errorf("outcome of write %s: %w", p.item.Write.GetWriteKey(), err)
		}
		messages = append(messages, message, told)
		outcomes = append(outcomes, o)
		offsets = append(offsets, p.item.Offsets()...)
	}
	if err := h.port.Publish(ctx, messages...); err != nil {
		return err
	}
	for _, o := range outcomes {
		h.deps.Tally.Ended(ctx, tally.Org{Workspace: o.GetWorkspace(), Connection: o.GetConnection()}, o)
	}
	h.port.Settle(offsets...)
	return nil
}
