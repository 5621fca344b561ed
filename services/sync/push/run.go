package push

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/sync/deliveries"
	"github.com/throughline-dev/throughline/services/sync/keys"
)

// run is one run, in the hands of one worker.
type run struct {
	cfg    *Config
	deps   *Deps
	stats  *counters
	tell   *metrics
	claim  *configv1.ClaimReportRunResponse
	tenure *tenure
	ws     *settings.Workspace
	org    *org

	plan    *plan
	matcher *matcher
	hashes  *keys.Builder
	index   *keys.Index
	// sums are the rows that become one, by key, from their first to their last.
	sums  map[keys.Hash]*sum
	chunk chunk
	// unsure is the last row whose write an earlier worker may have handed on without recording it.
	unsure int64
}

// sum is what the rows of one key have come to.
type sum struct {
	cells []*streamv1.Cell
	// misfit is why they do not become one row.
	misfit error
}

func (p *Pusher) newRun(claim *configv1.ClaimReportRunResponse, t *tenure) (*run, error) {
	ws, ok := p.deps.Settings.View().Workspace(claim.GetRun().GetWorkspace())
	if !ok {
		return nil, errors.New("the settings have no such workspace yet")
	}
	if claim.GetDelivery().GetRows() > p.cfg.Rows {
		return nil, fail(streamv1.Reason_REASON_TOO_LARGE, "the delivery has %d rows, and %d are the most; deliver it as several reports",
			claim.GetDelivery().GetRows(), p.cfg.Rows)
	}
	r := &run{
		cfg: &p.cfg, deps: &p.deps, stats: &p.stats, tell: p.metrics, claim: claim, tenure: t, ws: ws,
		org: &org{cfg: &p.cfg, deps: &p.deps, stats: &p.stats, tenure: t, run: claim.GetRun()}, sums: map[keys.Hash]*sum{},
	}
	r.chunk.number = claim.GetNextChunk()
	if claim.GetResumed() {
		r.unsure = claim.GetNextRow() + int64(p.cfg.ChunkRows)
	}
	return r, nil
}

// guarded is f. A panic ends the run and not the process, which other workspaces' runs are in (promise 6); the next worker would
// only meet it again. Where it was is told, and not what it said: that may quote a row (promise 8).
func guarded(f func() error) error {
	err := stage.Guarded(f)
	if defect, ok := errors.AsType[*stage.PanicError](err); ok {
		return fail(streamv1.Reason_REASON_BAD_SCHEMA, "the program %s; report it", defect)
	}
	return err
}

// do reads the delivery twice: for the keys, and for everything.
func (r *run) do(ctx context.Context) error {
	r.hashes = keys.NewBuilder(r.claim.GetDelivery().GetRows())
	var content []byte
	err := r.read(ctx, deliveries.Visitor{
		Columns: func(columns []string) (err error) {
			r.plan, err = newPlan(r.claim, columns)
			return err
		},
		Row: func(number int64, row *streamv1.Row) error {
			if _, ok := r.plan.readable(row); !ok {
				return nil
			}
			_, key, blank := r.plan.key(row)
			if blank {
				return nil
			}
			content = r.plan.content(content[:0], row)
			return r.hashes.Add(number, key.Norm, content)
		},
	})
	if err != nil {
		return err
	}
	r.index = r.hashes.Build(r.plan.policy)
	if r.index.Groups() > r.cfg.AggregatedKeys {
		return fail(streamv1.Reason_REASON_KEY_DUPLICATE, "%d keys are in several rows each, and %d may become one row in a run; "+
			"deliver one row a key, or let the first or the last count", r.index.Groups(), r.cfg.AggregatedKeys)
	}
	r.matcher = newMatcher(r.plan)
	if len(r.plan.leftOut) > 0 {
		r.tenure.remark(ctx, fmt.Sprintf("columns that the delivery lacks are left out: %v", r.plan.leftOut))
	}
	return r.read(ctx, deliveries.Visitor{Row: func(number int64, row *streamv1.Row) error { return r.row(ctx, number, row) }})
}

// read reads the delivery; what cannot be read any more is a failure.
func (r *run) read(ctx context.Context, v deliveries.Visitor) error {
	err := deliveries.Read(ctx, r.deps.Rows, r.ws.Keys(), r.claim.GetDelivery(), v)
	if errors.Is(err, deliveries.ErrGone) || errors.Is(err, keys.ErrTooManyRows) {
		return fail(streamv1.Reason_REASON_BAD_SCHEMA, "%s", err.Error())
	}
	return err
}

// row takes one row into the current chunk and finishes the chunk when it is full.
func (r *run) row(ctx context.Context, number int64, row *streamv1.Row) error {
	it := r.judge(number, row)
	if number < r.claim.GetNextRow() {
		return nil // recorded by an earlier worker; it counted only for the sum of its key
	}
	if r.chunk.empty() {
		r.chunk.first, r.chunk.began = number, time.Now()
		if err := r.awaitWriter(ctx); err != nil {
			return err
		}
	}
	r.chunk.items = append(r.chunk.items, it)
	r.chunk.bytes += proto.Size(row)
	r.chunk.listing += it.listing()
	last := number == r.claim.GetDelivery().GetRows()
	if !last && len(r.chunk.items) < r.cfg.ChunkRows && r.chunk.bytes < r.cfg.ChunkBytes && r.chunk.listing < chunkListing {
		return nil
	}
	if err := r.finish(ctx, last); err != nil {
		return err
	}
	r.chunk = chunk{number: r.chunk.number + 1}
	return nil
}

// awaitWriter lets the writer catch up: what is handed on faster than it writes would stand in the way of what people wait for
// (promise 6).
func (r *run) awaitWriter(ctx context.Context) error {
	for {
		behind, err := r.deps.Behind(ctx, r.claim.GetRun().GetWorkspace(), r.claim.GetRun().GetConnection())
		if err == nil && behind <= r.cfg.Ahead {
			return nil
		}
		if !pause(ctx, r.cfg.Poll/4) {
			return context.Cause(ctx)
		}
		if r.tenure.stopped() {
			return errStopped
		}
	}
}
