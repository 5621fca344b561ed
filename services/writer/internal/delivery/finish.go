package delivery

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/outcome"
	"github.com/throughline-dev/throughline/services/writer/internal/gate"
	"github.com/throughline-dev/throughline/services/writer/internal/parking"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
	"github.com/throughline-dev/throughline/services/writer/internal/tally"
)

// finishAll is finish for any number of endings, some at a time.
func (l *lane) finishAll(ctx context.Context, endings []ending) error {
	for some := range slices.Chunk(endings, finishBatch) {
		if err := l.finish(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

// finishBatch is how many endings are recorded together.
const finishBatch = 500

// finish records endings for good: ledger, dead letters, outcomes, and only then the offsets (promise 2). A process that
// dies between two of these repeats the later ones: the ledger tells the same outcome again.
func (l *lane) finish(ctx context.Context, endings []ending) error {
	if len(endings) == 0 {
		return nil
	}
	now := l.h.deps.Clock.Now()
	if err := l.record(ctx, endings, now); err != nil {
		return err
	}
	messages := make([]stage.Message, 0, len(endings))
	outcomes := make([]*streamv1.Outcome, len(endings))
	offsets := make([]int64, 0, len(endings))
	for i := range endings {
		e := &endings[i]
		outcomes[i] = e.outcome(now)
		m, err := outcome.Message(outcomes[i], e.item.Record.TraceParent())
		if err != nil {
			return fmt.Errorf("outcome of write %s: %w", e.item.Write.GetWriteKey(), err)
		}
		messages = append(messages, m)
		if !e.waypoint() {
			offsets = append(offsets, e.item.Offsets()...)
		}
	}
	messages, err := tellGone(messages, endings, now)
	if err != nil {
		return err
	}
	if err := l.bury(ctx, endings); err != nil {
		return err
	}
	if err := l.h.port.Publish(ctx, messages...); err != nil {
		return fmt.Errorf("publish outcomes: %w", err)
	}
	for _, o := range outcomes {
		l.h.deps.Tally.Ended(ctx, l.org(), o)
	}
	if len(offsets) > 0 {
		l.h.port.Settle(offsets...)
	}
	return nil
}

// record saves what the ledger must know of endings.
func (l *lane) record(ctx context.Context, endings []ending, now time.Time) error {
	if slices.ContainsFunc(endings, func(e ending) bool { return e.reserves() }) {
		// Decided and saved in one go; see Handler.reserving.
		l.h.reserving.Lock()
		defer l.h.reserving.Unlock()
	}
	var entries []stage.Entry
	for i := range endings {
		e := &endings[i]
		if e.entry != nil {
			entries = append(entries, *e.entry)
		}
		reservation, err := e.reservation(l.h.table, now)
		if err != nil {
			return fmt.Errorf("reservation of write %s: %w", e.item.Write.GetWriteKey(), err)
		}
		if reservation != nil {
			entries = append(entries, *reservation)
		}
	}
	if len(entries) == 0 {
		return nil
	}
	if err := l.h.port.Save(ctx, entries...); err != nil {
		return fmt.Errorf("save the ledger: %w", err)
	}
	return nil
}

// bury publishes the dead letters of failed writes, a few at a time.
func (l *lane) bury(ctx context.Context, endings []ending) error {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		first error
		slots = make(chan struct{}, 16)
	)
	for i := range endings {
		e := &endings[i]
		if e.status != streamv1.Status_STATUS_FAILED {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			err := l.h.port.DeadLetter(ctx, e.item.Record, parking.ReasonName(e.reason), e.detail)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && first == nil {
				first = fmt.Errorf("dead letter of write %s: %w", e.item.Write.GetWriteKey(), err)
			}
		})
	}
	wg.Wait()
	return first
}

// settleUnsent ends what needs no request: overtaken and already settled writes. Those stranded by a closed gate are parked,
// and those that the ledger cannot judge: a newer program, whose entry it is, will.
func (l *lane) settleUnsent(overtaken []*queue.Item, skipped []queue.Skipped, stranded []*queue.Item, state gate.State) {
	now := l.h.deps.Clock.Now()
	endings := make([]ending, 0, len(overtaken)+len(skipped))
	for _, it := range overtaken {
		endings = append(endings, ending{
			item: it, status: streamv1.Status_STATUS_SKIPPED, reason: streamv1.Reason_REASON_SUPERSEDED,
		})
	}
	parks := make([]park, 0, len(stranded))
	for _, s := range skipped {
		if s.Err != nil {
			l.noteLedger(s.Err)
			parks = append(parks, park{item: s.Item, reason: streamv1.Reason_REASON_BAD_SCHEMA, detail: s.Err.Error()})
			continue
		}
		e, err := skip(s, now)
		if err != nil {
			l.abandoned("skip a write", err)
			continue
		}
		endings = append(endings, e)
	}
	if err := l.finishAll(l.h.life, endings); err != nil {
		l.abandoned("end writes", err)
	}
	for _, it := range stranded {
		parks = append(parks, park{item: it, reason: state.Reason, detail: state.Detail})
	}
	if err := l.h.publishAllParks(l.h.life, parks); err != nil {
		l.abandoned("park writes", err)
	}
}

// abandoned logs that writes were left unsettled: they come again. It happens when the partition is given up, which
// is not worth a word.
func (l *lane) abandoned(doing string, err error) {
	if l.h.life.Err() != nil {
		return
	}
	l.h.deps.Logger.Error("writes are left unsettled and come again after a restart",
		"workspace", l.key.workspace, "connection", l.key.connection, "doing", doing, "error", err)
}

func (l *lane) org() tally.Org {
	return tally.Org{Workspace: l.key.workspace, Connection: l.key.connection}
}
