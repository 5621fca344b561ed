package catalogue

import (
	"context"
	"errors"
	"time"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// refusal is a write that an org refused for a reason that lies in a field.
type refusal struct {
	key store.DescribeKey
	at  time.Time
}

// fieldReasons are those that a change of the org explains best.
var fieldReasons = map[streamv1.Reason]bool{
	streamv1.Reason_REASON_SF_FIELD_GONE:          true,
	streamv1.Reason_REASON_SF_NO_PERMISSION:       true,
	streamv1.Reason_REASON_REQUIRED_FIELD_MISSING: true,
	streamv1.Reason_REASON_TYPE_MISMATCH:          true,
}

// writerStage is the stage whose refusals are the org's.
const writerStage = "writer"

// Observe takes note of an outcome: a write refused for a field's sake makes us ask the org about the object. It never
// waits. Safe for concurrent use.
func (c *Catalogue) Observe(o *streamv1.Outcome) {
	if o.GetStage() != writerStage || !fieldReasons[o.GetReason()] || o.GetObject() == "" || o.GetConnection() == "" {
		return
	}
	if o.GetStatus() != streamv1.Status_STATUS_FAILED && o.GetStatus() != streamv1.Status_STATUS_PARKED {
		return
	}
	r := refusal{
		key: store.DescribeKey{Workspace: o.GetWorkspace(), Connection: o.GetConnection(), Object: o.GetObject()},
		at:  o.GetDecidedAt().AsTime(),
	}
	select {
	case c.refused <- r:
	default: // promise 7: the queue is full; the next refusal says the same again, and the schedule comes in any case
	}
}

// follow asks about refused writes, one after the other, until ctx ends.
func (c *Catalogue) follow(ctx context.Context) error {
	for {
		select {
		case r := <-c.refused:
			if err := c.followUp(ctx, r); err != nil && ctx.Err() == nil {
				c.deps.Logger.WarnContext(ctx, "an org refused a field and could not be asked about it; the schedule will",
					"workspace", r.key.Workspace, "connection", r.key.Connection, "object", r.key.Object, "error", err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// followUp asks about one refused write, unless the org was asked since, or not long ago for the same reason.
func (c *Catalogue) followUp(ctx context.Context, r refusal) error {
	now := c.deps.Clock.Now()
	if !c.mayAsk(r.key, now) {
		return nil
	}
	conn, err := c.connection(ctx, r.key.Workspace, r.key.Connection)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	row, known, err := c.kept(ctx, conn, r.key.Object)
	if err != nil {
		return err
	}
	// Outcomes come again when the run log's topic is read again.
	if known && row.ReadAt.After(r.at) || c.isLeftAlone(conn) {
		return nil
	}
	c.mu.Lock()
	c.told[r.key] = now
	c.mu.Unlock()
	if _, _, err := c.ask(ctx, question{conn: conn, object: r.key.Object, full: true}); err != nil {
		return err
	}
	return c.Judge(ctx, conn)
}

func (c *Catalogue) mayAsk(key store.DescribeKey, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	last, ok := c.told[key]
	return !ok || now.Sub(last) >= c.cfg.RefusedEvery
}
