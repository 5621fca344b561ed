package privacy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/trace"
)

// Eraser deletes from the run log.
type Eraser interface {
	ErasuresToDo(ctx context.Context, limit int) ([]store.Erasure, error)
	ScanOutcomes(ctx context.Context, workspace string, after store.OutcomePosition, limit int) ([]store.OutcomeRow, error)
	EraseOutcomes(ctx context.Context, e store.Erasure, rows []store.OutcomeRow, change func(body []byte, deleted int64) ([]byte, bool, error)) error
}

// Answers keeps the answers to access requests.
type Answers interface {
	ExportsToDo(ctx context.Context, limit int) ([]store.Export, error)
	FinishExport(ctx context.Context, e store.Export) error
	PurgeExports(ctx context.Context, now time.Time) error
}

// Suppressions tells who was erased, and of whom an org says that they should be.
type Suppressions interface {
	Suppressions(ctx context.Context, workspace string, personKeys []string) ([]store.Suppression, error)
	ProposalsAbout(ctx context.Context, workspace string, personKeys []string) ([]store.Proposal, error)
}

// Log reads the pipeline's topics.
type Log = trace.Log

// Producer sends messages; see stage.Broker.
type Producer interface {
	Produce(ctx context.Context, batch stage.ProduceBatch) error
}

// WorkerDeps is what a Worker works with.
type WorkerDeps struct {
	Documents    Documents
	Eraser       Eraser
	Answers      Answers
	Suppressions Suppressions
	// Log reads the pipeline's topics for exports; without it they hold what the config service has, and say so.
	Log Log
	// Writes sends writes to the pipeline; without it no rows are blanked.
	Writes       Producer
	Installation *seal.Installation
	Clock        interface{ Now() time.Time }
	Logger       *slog.Logger
}

// Worker does what was asked for. Several may be at work on one store, and a Work that was cut short is done again: what it
// does, it does once.
type Worker struct {
	cfg  Config
	deps WorkerDeps
	// swept are the erasures whose run log was gone through once since this process started; those not to do any more are
	// forgotten.
	swept map[string]bool
}

// NewWorker returns a worker.
func NewWorker(cfg Config, deps WorkerDeps) *Worker {
	return &Worker{cfg: cfg, deps: deps, swept: map[string]bool{}}
}

// Run works until ctx ends. What failed is logged and tried again the next time.
func (w *Worker) Run(ctx context.Context) {
	ticker := time.NewTicker(w.cfg.Every)
	defer ticker.Stop()
	for {
		if err := w.Work(ctx); err != nil && ctx.Err() == nil {
			w.deps.Logger.ErrorContext(ctx, "requests about personal data could not be worked on; it will be tried again", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// atOnce is how many requests are worked on in one round, one after the other.
const atOnce = 100

// Work does what is to be done now, once. One request that fails does not keep the others waiting.
func (w *Worker) Work(ctx context.Context) error {
	errs := []error{w.deps.Answers.PurgeExports(ctx, w.deps.Clock.Now())}
	erasures, err := w.deps.Eraser.ErasuresToDo(ctx, atOnce)
	errs = append(errs, err)
	before := w.swept
	w.swept = make(map[string]bool, len(erasures))
	for _, e := range erasures {
		id, due := e.Workspace+"/"+e.ID, !w.deps.Clock.Now().Before(e.RequestedAt.Add(w.cfg.Settle))
		if !before[id] || due {
			if err := w.erase(ctx, e, due); err != nil {
				w.remind(ctx, e)
				errs = append(errs, fmt.Errorf("erasure %s of workspace %s: %w", e.ID, e.Workspace, err))
				continue
			}
		}
		w.swept[id] = true
	}
	exports, err := w.deps.Answers.ExportsToDo(ctx, atOnce)
	errs = append(errs, err)
	for _, e := range exports {
		if err := w.export(ctx, e); err != nil {
			errs = append(errs, fmt.Errorf("export %s of workspace %s: %w", e.ID, e.Workspace, err))
		}
	}
	return errors.Join(errs...)
}

// remind names an erasure that is late while it fails, for whoever has to answer for it.
func (w *Worker) remind(ctx context.Context, e store.Erasure) {
	if took := w.deps.Clock.Now().Sub(e.RequestedAt); took > target {
		w.deps.Logger.ErrorContext(ctx, "an erasure is late: see what keeps it from being completed", "workspace", e.Workspace, "erasure", e.ID,
			"requested_at", e.RequestedAt, "due_at", e.RequestedAt.Add(deadline), "overdue", took > deadline)
	}
}

// erase goes through the run log once, and completes the erasure when it is due.
func (w *Worker) erase(ctx context.Context, e store.Erasure, due bool) error {
	err := w.eachRow(ctx, rowsOf{workspace: e.Workspace, personKeys: e.PersonKeys}, func(rows []store.OutcomeRow, outcomes []*streamv1.Outcome) error {
		rows, outcomes, err := w.notSpared(ctx, e, rows, outcomes)
		if err != nil || len(rows) == 0 {
			return err
		}
		return w.deps.Eraser.EraseOutcomes(ctx, e, rows, func(body []byte, deleted int64) ([]byte, bool, error) {
			out, err := w.note(body, deleted, outcomes, false)
			return out, false, err
		})
	})
	if err != nil || !due {
		return err
	}
	if err := w.blank(ctx, e); err != nil {
		return err
	}
	return w.deps.Eraser.EraseOutcomes(ctx, e, nil, func(body []byte, _ int64) ([]byte, bool, error) {
		out, err := w.note(body, 0, nil, true)
		return out, true, err
	})
}

// notSpared leaves out what happened since people were let in again. It is asked after the rows were read: who is let in meanwhile was
// let in before any row of theirs that is to stay.
func (w *Worker) notSpared(ctx context.Context, e store.Erasure, rows []store.OutcomeRow, outcomes []*streamv1.Outcome) ([]store.OutcomeRow, []*streamv1.Outcome, error) {
	lifted, err := w.liftedAt(ctx, e)
	if err != nil {
		return nil, nil, err
	}
	var gone []store.OutcomeRow
	var about []*streamv1.Outcome
	for n, o := range outcomes {
		if at, ok := lifted[o.GetPersonKey()]; !ok || o.GetOccurredAt().AsTime().Before(at) {
			gone, about = append(gone, rows[n]), append(about, o)
		}
	}
	return gone, about, nil
}

// liftedAt tells since when people of an erasure were let in again, of those who were: what happened since is not erased.
func (w *Worker) liftedAt(ctx context.Context, e store.Erasure) (map[string]time.Time, error) {
	all, err := w.deps.Suppressions.Suppressions(ctx, e.Workspace, e.PersonKeys)
	if err != nil {
		return nil, err
	}
	lifted := map[string]time.Time{}
	for _, one := range all {
		if !one.LiftedAt.IsZero() {
			lifted[one.PersonKey] = one.LiftedAt
		}
	}
	return lifted, nil
}

// note brings a stored erasure up to date.
func (w *Worker) note(body []byte, deleted int64, outcomes []*streamv1.Outcome, done bool) ([]byte, error) {
	e := &configv1.Erasure{}
	if err := proto.Unmarshal(body, e); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	if e.GetStatus() == configv1.ErasureStatus_ERASURE_STATUS_COMPLETED {
		return body, nil // another replica was first
	}
	if e.Certificate == nil {
		e.Certificate = &configv1.ErasureCertificate{}
	}
	var records []*configv1.ErasureRecord
	for _, o := range outcomes {
		if r := recordOf(o); r != nil {
			records = append(records, r)
		}
	}
	noteRows(e.Certificate, deleted, records, w.cfg.MaxRecords)
	if done {
		if e.GetBlankRows() {
			noteBlanked(e)
		}
		complete(e.Certificate, w.cfg, e.GetRequestedAt().AsTime())
		e.Status, e.CompletedAt = configv1.ErasureStatus_ERASURE_STATUS_COMPLETED, timestamppb.New(w.deps.Clock.Now())
	}
	return proto.Marshal(e)
}

// rowsOf selects rows of the run log.
type rowsOf struct {
	workspace  string
	personKeys []string
}

// eachRow calls f with the rows of the run log that are selected, a batch at a time. There is no index by person:
// people ask seldom, and every outcome would pay for it.
func (w *Worker) eachRow(ctx context.Context, of rowsOf, f func(rows []store.OutcomeRow, outcomes []*streamv1.Outcome) error) error {
	for after := (store.OutcomePosition{}); ; {
		rows, err := w.deps.Eraser.ScanOutcomes(ctx, of.workspace, after, w.cfg.Batch)
		if err != nil || len(rows) == 0 {
			return err
		}
		last := rows[len(rows)-1]
		after = store.OutcomePosition{DecidedAt: last.DecidedAt, ID: last.ID}
		var about []store.OutcomeRow
		var outcomes []*streamv1.Outcome
		for _, row := range rows {
			if o := aboutThem(row.Body, of.personKeys); o != nil {
				about, outcomes = append(about, row), append(outcomes, o)
			}
		}
		if len(about) == 0 {
			continue
		}
		if err := f(about, outcomes); err != nil {
			return err
		}
	}
}

// aboutThem decodes an outcome if it is about one of the people, nil otherwise.
func aboutThem(body []byte, personKeys []string) *streamv1.Outcome {
	if !slices.ContainsFunc(personKeys, func(key string) bool { return bytes.Contains(body, []byte(key)) }) {
		return nil
	}
	o := &streamv1.Outcome{}
	if proto.Unmarshal(body, o) != nil || !slices.Contains(personKeys, o.GetPersonKey()) {
		return nil
	}
	return o
}
