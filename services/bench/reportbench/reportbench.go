package reportbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

// doneWithin bounds a push: WALK-37 allows two hours for a million rows.
const doneWithin = 2 * time.Hour

// Run measures, writes a line per figure to w and the result as one JSON object in the last line, and returns it.
func Run(ctx context.Context, cfg Config, w io.Writer) (Result, error) {
	if err := cfg.Validate(); err != nil {
		return Result{}, err
	}
	out := w
	if cfg.JSON {
		out = io.Discard
	}
	e, err := open(ctx, cfg)
	if err != nil {
		return Result{}, fmt.Errorf("bench report: %w", err)
	}
	r, err := e.measure(ctx, out)
	if err = errors.Join(err, e.close()); err != nil {
		return r, fmt.Errorf("bench report: %w", err)
	}
	line, err := json.Marshal(r)
	if err == nil {
		_, err = fmt.Fprintf(w, "%s\n", line)
	}
	return r, err
}

func (e *environment) measure(ctx context.Context, w io.Writer) (Result, error) {
	n := float64(e.cfg.Rows)
	r := Result{
		Name: "report", Unit: "rows/s", Rows: e.cfg.Rows,
		Against: fmt.Sprintf("the same rows as upserts in bare Bulk API 2.0 jobs of %d, one after the other", jobRows),
	}
	if err := e.bulk(ctx, salesforce.Insert, 0); err != nil {
		return r, fmt.Errorf("make the records: %w", err)
	}
	fmt.Fprintf(w, "records               %d contacts, %s a call\n", e.cfg.Rows, e.cfg.Latency)
	calls, began := e.org.Calls(), time.Now()
	if err := e.bulk(ctx, salesforce.Upsert, 1000); err != nil {
		return r, fmt.Errorf("baseline: %w", err)
	}
	bare := time.Since(began)
	r.BaselineCalls = float64(e.org.Calls()-calls) / n * 1000
	fmt.Fprintf(w, "bare bulk jobs        %8.0f rows/s   %6.2f calls per 1,000 rows\n", n/bare.Seconds(), r.BaselineCalls)

	peak, stop := watchMemory()
	push, err := e.push(ctx, "changed", 2000)
	stop()
	if err != nil {
		return r, err
	}
	r.PeakMiB = float64(peak.Load()) / (1 << 20)
	r.Took, r.Delivered, r.Calls = push.took.Seconds(), push.delivered.Seconds(), push.calls/n*1000
	r.Value = n / push.took.Seconds()
	r.Ratio = bare.Seconds() / push.took.Seconds()
	fmt.Fprintf(w, "report push           %8.0f rows/s   %6.2f calls per 1,000 rows   %.2f of the bare jobs   %.0f MiB at most\n",
		r.Value, r.Calls, r.Ratio, r.PeakMiB)

	same, err := e.push(ctx, "unchanged", 2000)
	if err != nil {
		return r, err
	}
	if same.unchanged != int64(e.cfg.Rows) {
		return r, fmt.Errorf("%d of %d rows were found unchanged: the records do not hold what was pushed", same.unchanged, e.cfg.Rows)
	}
	r.Unchanged, r.UnchangedCalls = n/same.took.Seconds(), same.calls/n*1000
	fmt.Fprintf(w, "again, all unchanged  %8.0f rows/s   %6.2f calls per 1,000 rows\n", r.Unchanged, r.UnchangedCalls)
	return r, nil
}

// pushed is what one push cost.
type pushed struct {
	took, delivered time.Duration
	calls           float64
	unchanged       int64
}

// push delivers the rows and waits until every one has ended.
func (e *environment) push(ctx context.Context, id string, score float64) (p pushed, err error) {
	ctx, cancel := context.WithTimeout(ctx, doneWithin)
	defer cancel()
	calls, began := e.org.Calls(), time.Now()
	e.runs.begin()
	if err := e.deliver(ctx, id, score); err != nil {
		return p, err
	}
	p.delivered = time.Since(began)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		over, unchanged, wrong := e.runs.state()
		switch {
		case wrong != "":
			return p, fmt.Errorf("a push that does not write every row measures nothing: %s", wrong)
		case over:
			p.took, p.calls, p.unchanged = time.Since(began), float64(e.org.Calls()-calls), unchanged
			return p, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return p, ctx.Err()
		}
	}
}

// watchMemory follows the memory that the process has from the system until stop is called.
func watchMemory() (peak *atomic.Uint64, stop func()) {
	peak = new(atomic.Uint64)
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	look := func() {
		metrics.Read(samples)
		if held := samples[0].Value.Uint64() - samples[1].Value.Uint64(); held > peak.Load() {
			peak.Store(held)
		}
	}
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			look()
			select {
			case <-tick.C:
			case <-ended:
				return
			}
		}
	}()
	return peak, func() { close(ended); <-done }
}
