package push

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/metric"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/sync/deliveries"
)

// Settings gives the newest settings; nil while there are none yet.
type Settings interface{ View() *settings.View }

// Publisher writes to Kafka and returns once every in-sync replica has all of it. kafka.Client is one.
type Publisher interface {
	Publish(ctx context.Context, messages ...stage.Message) error
}

// Behind tells how many writes of the connection's partition the writer has not settled.
type Behind func(ctx context.Context, workspace, connection string) (int64, error)

// Deps is what code passes in. All of it is required, but for Meter.
type Deps struct {
	Runs      Runs
	Settings  Settings
	Orgs      Orgs
	Rows      deliveries.Fetcher
	Publisher Publisher
	Behind    Behind
	Logger    *slog.Logger
	// Meter defaults to one that does nothing.
	Meter metric.MeterProvider
}

// Pusher carries out runs.
type Pusher struct {
	cfg   Config
	deps  Deps
	name  string
	stats counters
	// held is how many runs are claimed now.
	held    atomic.Int64
	metrics *metrics
}

type counters struct{ runs, chunks, rows, writes, queries atomic.Int64 }

// Stats is what a Pusher did since it was made.
type Stats struct {
	// Runs begun or taken over; Chunks recorded, with Rows; Writes handed to the writer.
	Runs, Chunks, Rows, Writes int64
	// Queries that matched rows.
	Queries int64
}

// Stats returns a snapshot. Safe for concurrent use.
func (p *Pusher) Stats() Stats {
	return Stats{
		Runs: p.stats.runs.Load(), Chunks: p.stats.chunks.Load(), Rows: p.stats.rows.Load(), Writes: p.stats.writes.Load(),
		Queries: p.stats.queries.Load(),
	}
}

// New returns a pusher that has claimed nothing; cfg must be valid. It fails where a metric cannot be made.
func New(cfg Config, deps Deps) (*Pusher, error) {
	p := &Pusher{cfg: cfg, deps: deps, name: uuid.NewString()}
	var err error
	p.metrics, err = newMetrics(deps.Meter, p.held.Load)
	return p, err
}

// Run carries out runs until ctx ends. A run that is under way then goes to another worker when its claim runs out.
func (p *Pusher) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for i := range p.cfg.Workers {
		workers.Go(func() { p.work(ctx, fmt.Sprintf("%s/%d", p.name, i)) })
	}
	workers.Wait()
	return nil
}

// work is one worker. A panic in it is the trouble of the run in hand, whose claim runs out; it goes on with others (promise 6).
func (p *Pusher) work(ctx context.Context, worker string) {
	failing := false
	for ctx.Err() == nil {
		logger := p.deps.Logger
		defect := stage.Guarded(func() error {
			claim, err := p.claim(ctx, worker)
			if err != nil && !failing && ctx.Err() == nil {
				logger.WarnContext(ctx, "config cannot be asked for runs of reports; trying again", "error", err)
			}
			failing = err != nil
			if claim.GetRun() == nil || p.deps.Settings.View() == nil {
				pause(ctx, p.cfg.Poll)
				return nil
			}
			logger = logger.With("workspace", claim.GetRun().GetWorkspace(), "push", claim.GetRun().GetPush(), "run", claim.GetRun().GetId())
			p.carryOut(ctx, worker, claim, logger)
			return nil
		})
		if defect != nil {
			p.panicked(ctx, logger, defect)
			pause(ctx, p.cfg.Poll)
		}
	}
}

// panicked tells of a defect that ended some work.
func (p *Pusher) panicked(ctx context.Context, logger *slog.Logger, defect error) {
	p.metrics.panicked.Add(1)
	logger.ErrorContext(ctx, "the work on runs of reports failed by a defect of this program; a run in hand goes to another worker", "error", defect)
}

func (p *Pusher) claim(ctx context.Context, worker string) (*configv1.ClaimReportRunResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.CallTimeout)
	defer cancel()
	return p.deps.Runs.ClaimReportRun(ctx, &configv1.ClaimReportRunRequest{Worker: worker})
}

// carryOut brings a run as far as it gets.
func (p *Pusher) carryOut(parent context.Context, worker string, claim *configv1.ClaimReportRunResponse, logger *slog.Logger) {
	p.stats.runs.Add(1)
	p.held.Add(1)
	defer p.held.Add(-1)
	if claim.GetResumed() {
		p.metrics.takeovers.Add(parent, 1)
	}
	ctx, give := context.WithCancelCause(parent)
	defer give(nil)
	t := &tenure{
		cfg: &p.cfg, runs: p.deps.Runs, run: claim.GetRun(), worker: worker, logger: logger, give: give, until: claim.GetClaimedUntil().AsTime(),
	}
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		if defect := stage.Guarded(func() error { t.keep(ctx); return nil }); defect != nil {
			p.panicked(ctx, logger, defect)
			give(errUnkept)
		}
	}()
	began := time.Now()
	err := guarded(func() error {
		r, err := p.newRun(claim, t)
		if err != nil {
			return err
		}
		return r.do(ctx)
	})
	p.metrics.ended(parent, err)
	if f, ok := errors.AsType[*failure](err); ok {
		err = t.tell(ctx, &configv1.RecordReportRunRequest{Reason: f.reason, Detail: f.detail})
		logger.WarnContext(ctx, "a run of a report cannot be carried out", "reason", f.reason.String(), "detail", f.detail)
	} else if err == nil {
		logger.InfoContext(ctx, "all rows of a report are matched", "rows", claim.GetDelivery().GetRows(), "took", time.Since(began).String())
	}
	if err != nil && parent.Err() == nil {
		logger.WarnContext(ctx, "the work on a run has ended before its last row", "error", err)
	}
	give(nil)
	<-kept
	// A broken Kafka or the like would otherwise be met again at once, by the same worker with the same run.
	if err != nil && !errors.Is(err, errStopped) {
		pause(parent, p.cfg.Poll)
	}
}
