package rest

import (
	"context"

	"github.com/throughline-dev/throughline/services/simulator/internal/bulk"
	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
	"github.com/throughline-dev/throughline/services/simulator/internal/faults"
	"github.com/throughline-dev/throughline/services/simulator/internal/journal"
)

// bulkWriter writes the chunks of bulk jobs with the same locks, latency, faults and statistics as other writes.
type bulkWriter struct{ s *Server }

func (b bulkWriter) call(object string) faults.Call {
	return faults.Call{Org: b.s.org.Key, Route: routeBulkJob, Object: object, Now: b.s.org.Now()}
}

// Trouble returns the scripted fault that hits the next chunk.
func (b bulkWriter) Trouble(object string) *faults.Rule { return b.s.faults.Chunk(b.call(object)) }

// Wait lets the simulated time of one request pass.
func (b bulkWriter) Wait(ctx context.Context) { b.s.latency.wait(ctx) }

// WriteChunk writes a chunk in one transaction. When ctx ends before, nothing is written; a transaction that has begun is
// taken to its end, so that a caller who gets an error knows that there are no results.
func (b bulkWriter) WriteChunk(ctx context.Context, c *bulk.Chunk) error {
	release, busy, err := b.s.lock(ctx, c.Inputs, c.Op)
	if err != nil {
		return err
	}
	defer release()
	if b.s.locks == nil { // with locks, the time has passed while they were held
		b.s.latency.wait(ctx)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	rows := b.s.faults.Rows(b.call(c.Object))
	var results []dml.Result
	err = b.s.org.WriteWith(context.WithoutCancel(ctx), c.Caller, func(w *dml.Writer) ([]journal.Entry, error) {
		w.Fault = refuse(rows, busy)
		results = w.Batch(c.Inputs, c.Op, false)
		return c.Keep(results)
	})
	if err == nil {
		b.s.count(results, c.Inputs, c.Op)
	}
	return err
}
