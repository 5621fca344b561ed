package stage

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// longPoll is how long an idle partition's fetch waits at the broker. An answer that is overdue by blindAfter says that
// nobody knows what is waiting there.
const (
	longPoll   = time.Second
	blindAfter = 5 * longPoll
)

// chunk is what one fetch brought. next is the offset after it, which can lie beyond the last record.
type chunk struct {
	records []Record
	next    int64
}

// fetcher reads one partition ahead of its worker: while the worker handles one chunk, the fetcher has the next one ready.
type fetcher struct {
	part   *part
	out    chan chunk
	offset int64
	// answered is when the broker told what there is, in Unix nanoseconds; 0 for never.
	answered atomic.Int64
}

// blind reports whether the partition cannot be read at the moment. Its processor is not told the time then: it would
// take records that wait at the broker for silence.
func (f *fetcher) blind() bool { return time.Since(time.Unix(0, f.answered.Load())) > blindAfter }

// run fetches until ctx ends. It never gives up and never skips.
func (f *fetcher) run(ctx context.Context) {
	defer close(f.out)
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = f.part.cfg.RetryMin, f.part.cfg.RetryMax
	failing := false
	for ctx.Err() == nil {
		c, err := f.fetch(ctx)
		if err != nil {
			if !failing && ctx.Err() == nil { // once per trouble, not once per attempt
				f.part.logger.Warn("fetching failed, trying until it works", "error", err)
				failing = true
			}
			pause(ctx, wait.NextBackOff())
			continue
		}
		wait.Reset()
		failing = false
		if c.next == f.offset && len(c.records) == 0 {
			continue
		}
		f.offset = c.next
		select {
		case f.out <- c:
		case <-ctx.Done():
			return
		}
	}
}

// fetch waits for records. A small catch is given Config.BatchWait to grow: at low rates that turns many small batches into
// one, at high rates it never waits.
func (f *fetcher) fetch(ctx context.Context) (chunk, error) {
	wait := longPoll
	if f.part.end.Load() < 0 {
		wait = 0 // tells at once how far behind the partition is
	}
	got, err := f.ask(ctx, f.offset, 1, wait)
	if err != nil {
		return chunk{}, err
	}
	c := chunk{records: got.Records, next: got.Next}
	cfg := f.part.cfg
	if n := len(c.records); n == 0 || n >= cfg.BatchRecords/4 || cfg.BatchWait == 0 || got.Next < got.End {
		return c, nil
	}
	if !pause(ctx, cfg.BatchWait) {
		return c, nil
	}
	// If this fails, the next fetch will meet the same error.
	if more, err := f.ask(ctx, c.next, 0, 0); err == nil {
		c.records, c.next = append(c.records, more.Records...), more.Next
	}
	return c, nil
}

func (f *fetcher) ask(ctx context.Context, offset int64, minBytes int, wait time.Duration) (Fetched, error) {
	p := f.part
	got, err := p.deps.Broker.Fetch(ctx, FetchRequest{
		Topic: p.cfg.Topic, Partition: p.id, Offset: offset,
		MinBytes: minBytes, MaxBytes: p.cfg.BatchBytes, MaxWait: wait,
	})
	if errors.Is(err, ErrOffsetOutOfRange) && (offset < got.Start || offset > got.End) {
		return f.reposition(offset, got), nil
	}
	// Promise 3: an offset that is denied and lies within what there is, as while a leader changes, is asked for again.
	if err == nil {
		p.committed.CompareAndSwap(-1, max(got.Start, 0))
		if p.end.Load() <= p.committed.Load() { // nothing was waiting until now, so nothing stood still
			p.progress.Store(time.Now().UnixNano())
		}
		p.end.Store(got.End)
		f.answered.Store(time.Now().UnixNano())
	}
	return got, err
}

// reposition goes on from the nearest offset that exists. Either the topic's retention has deleted what was not read yet,
// or the broker has lost the end of its log. Both are beyond the runtime to mend, and loud.
func (f *fetcher) reposition(offset int64, got Fetched) Fetched {
	next := got.End
	if offset < got.Start {
		next = got.Start
	}
	f.part.logger.Error("the broker no longer has the next offset; going on from the nearest one. "+
		"Raise the topic's retention, or check the broker's log", "offset", offset, "start", got.Start, "end", got.End)
	f.offset = next
	return Fetched{Next: next, Start: got.Start, End: got.End}
}
