package stage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/throughline-dev/throughline/libs/stage/internal/fault"
)

// pipeline is the worker of a Pipeline's partition. One goroutine does everything, in an order that never changes: handle,
// produce, save, settle.
type pipeline struct {
	*part
	newProcessor NewProcessor

	proc   Processor
	ticker Ticker
	out    Outbox
	batch  ProduceBatch
}

func (w *pipeline) start() error {
	proc, err := w.newProcessor(Partition{Topic: w.cfg.Topic, ID: w.id}, w.table)
	if err != nil {
		return fmt.Errorf("building the processor: %w", err)
	}
	w.proc = proc
	w.ticker, _ = proc.(Ticker)
	return nil
}

// run handles batches until ctx ends. The batch in hand is finished; what was fetched beyond it comes back.
func (w *pipeline) run(ctx context.Context, f *fetcher) {
	work, done := w.drainContext(ctx)
	defer done()
	tick := time.NewTicker(w.cfg.TickEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case c, ok := <-f.out:
			if !ok || !w.chunk(ctx, work, c) {
				return
			}
		case <-tick.C:
			if !f.blind() && !w.tick(work) {
				return
			}
		}
	}
}

// chunk handles what one fetch brought, batch by batch, and reports whether to go on.
func (w *pipeline) chunk(ctx, work context.Context, c chunk) bool {
	for records := c.records; len(records) > 0; {
		if ctx.Err() != nil {
			return false
		}
		n := min(len(records), w.cfg.BatchRecords)
		if err := w.handle(work, records[:n]); err != nil {
			w.logger.WarnContext(work, "gave up a batch, it will come again", "error", err)
			return false
		}
		records = records[n:]
	}
	w.settle(c.next)
	return true
}

// handle processes and settles records. It returns an error only if work has ended.
func (w *pipeline) handle(work context.Context, records []Record) error {
	ctx, b := w.stage.tel.startBatch(work, w.part, records)
	err := w.retry(ctx, "handling a batch", func() error { return w.attempt(ctx, records) })
	if err == nil {
		err = w.deliver(ctx, b)
	}
	if reason, ok := PermanentReason(err); ok {
		b.end(ctx, err)
		return w.isolate(work, records, reason, err)
	}
	if err == nil {
		w.settle(records[len(records)-1].Offset + 1)
		w.in.Add(int64(len(records)))
	}
	b.end(ctx, err)
	return err
}

// attempt calls the handler. After an error nothing that it did remains.
func (w *pipeline) attempt(ctx context.Context, records []Record) error {
	w.out.Reset()
	err := guard(func() error { return w.proc.Process(ctx, records, &w.out) })
	if err == nil {
		err = w.hook(fault.Handled, w.id)
	}
	if err != nil {
		w.rollback()
		return w.unlessEnding(err)
	}
	return nil
}

func (w *pipeline) rollback() {
	w.out.Reset()
	if w.table != nil {
		w.table.Rollback()
	}
}

// isolate finds the record that cannot be handled: halves are handled on their own until one record is left, and that one
// is dead-lettered. All others are handled as if it had not been there.
func (w *pipeline) isolate(work context.Context, records []Record, reason string, cause error) error {
	if len(records) > 1 {
		w.rollback()
		half := len(records) / 2
		if err := w.handle(work, records[:half]); err != nil {
			return err
		}
		return w.handle(work, records[half:])
	}
	ctx, b := w.stage.tel.startBatch(work, w.part, records)
	defer func() { b.end(ctx, cause) }()
	if err := w.giveUp(ctx, b, records[0], reason, cause); err != nil {
		return err
	}
	w.settle(records[0].Offset + 1)
	w.in.Add(1)
	return nil
}

// giveUp dead-letters a record. Where its bytes are too large for that as well, the dead letter goes without them; from
// there on nothing is left to give up, and what fails is tried again. It returns an error only if ctx has ended.
func (w *pipeline) giveUp(ctx context.Context, b *batchTrace, rec Record, reason string, cause error) error {
	if reason == ReasonTooLarge && len(w.out.dead) > 0 { // the handler gave it up: its reason and its messages stand
		w.bare()
		if err := w.deliver(ctx, b); !isPermanent(err) {
			return err
		}
	}
	w.rollback()
	w.out.DeadLetter(rec, reason, detailOf(cause))
	if err := w.deliver(ctx, b); !isPermanent(err) {
		return err
	}
	w.bare()
	return w.retry(ctx, "dead-lettering", func() error { return lasting(w.deliver(ctx, b)) })
}

func (w *pipeline) bare() {
	for i := range w.out.dead {
		w.out.dead[i].Bare = true
	}
}

// deliver makes the effects of a handled batch permanent: first its outputs, then its state. A crash in between repeats
// outputs and loses none.
func (w *pipeline) deliver(ctx context.Context, b *batchTrace) error {
	w.batch.Source = w.cfg.Name
	w.batch.Messages = append(w.batch.Messages[:0], w.out.messages...)
	b.continueTraces(w.batch.Messages)
	dead, err := w.buryAll(ctx, w.out.dead)
	if err != nil {
		return err
	}
	w.batch.Messages = append(w.batch.Messages, dead...)
	// Promise 2: the batch is settled only after every output is acknowledged by all in-sync replicas.
	err = w.retry(ctx, "producing", func() error { return w.produce(ctx, w.batch) })
	if err == nil {
		err = w.hook(fault.Produced, w.id)
	}
	if err == nil {
		err = w.save(ctx)
	}
	clear(w.batch.Messages)
	if err != nil {
		return err
	}
	w.outCount.Add(int64(len(w.out.messages)))
	w.countDead(ctx, w.out.dead)
	w.out.Reset()
	return w.hook(fault.Saved, w.id)
}

// save writes the staged state and then makes it the table's.
func (w *pipeline) save(ctx context.Context) error {
	if w.table == nil {
		return nil
	}
	entries := w.table.Staged()
	if len(entries) > 0 {
		b := ProduceBatch{StateTopic: w.cfg.StateTopic, StatePartition: w.id, Entries: entries}
		err := w.retry(ctx, "saving the state", func() error { return w.produceState(ctx, b, w.next) })
		if err != nil {
			return err
		}
	}
	w.table.Commit()
	return nil
}

// produce writes a batch. What is too large will be so for ever.
func (p *part) produce(ctx context.Context, b ProduceBatch) error {
	if len(b.Messages)+len(b.Entries) == 0 {
		return nil
	}
	err := p.deps.Broker.Produce(ctx, b)
	var large *TooLargeError
	if errors.As(err, &large) {
		return Permanent(ReasonTooLarge, err)
	}
	return err
}

// produceState writes state entries, unless another member may own the partition by now, which is settled up to next.
func (p *part) produceState(ctx context.Context, b ProduceBatch, next int64) error {
	sure, err := p.commit.fence(ctx, p.id, next)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithDeadline(ctx, sure)
	defer cancel()
	return p.produce(ctx, b)
}

func (p *part) buryAll(ctx context.Context, dead []DeadLetter) ([]Message, error) {
	if len(dead) == 0 {
		return nil, nil
	}
	messages := make([]Message, 0, len(dead))
	for _, d := range dead {
		err := p.retry(ctx, "making a dead letter", func() error {
			m, err := p.bury(d)
			if err == nil {
				messages = append(messages, m)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return messages, nil
}

// tick gives the processor the time, and reports whether to go on.
func (w *pipeline) tick(work context.Context) bool {
	if w.ticker == nil {
		return true
	}
	ctx, b := w.stage.tel.startBatch(work, w.part, nil)
	err := w.retry(ctx, "handling a tick", func() error {
		w.out.Reset()
		err := guard(func() error { return w.ticker.Tick(ctx, w.deps.Clock.Now(), &w.out) })
		if err != nil {
			w.rollback()
			return w.unlessEnding(err)
		}
		return nil
	})
	if err == nil {
		err = w.deliver(ctx, b)
	}
	b.end(ctx, err)
	if isPermanent(err) {
		w.rollback()
		w.logger.Error("gave up a tick, the next one will try again", "error", err)
		return true
	}
	return err == nil
}

// detailOf is a dead letter's detail for an error: its text without the reason, which has a place of its own.
func detailOf(err error) string {
	var p *permanentError
	if errors.As(err, &p) {
		return p.err.Error()
	}
	return err.Error()
}
