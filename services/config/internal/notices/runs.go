package notices

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Runs reads what runs of report pushes did.
type Runs interface {
	// DoubtfulRuns reads the last run of every switched-on push, where there may be something wrong with it.
	DoubtfulRuns(ctx context.Context) ([]store.ReportRun, error)
	Runs(ctx context.Context, q store.RunsQuery) ([]store.ReportRun, error)
}

const (
	// medianOf is how many completed runs the match rate is held against, and medianLeast how many there must be (WALK-40).
	medianOf, medianLeast = 7, 3
	// runsBack is how many runs before one are looked through for those.
	runsBack = 30
)

// brokenPushes are the pushes that are told of as broken, with the reason: their runs fail for that, which is told once.
type brokenPushes map[string]streamv1.Reason

func (b brokenPushes) add(n *configv1.Notice) {
	if n.GetReportPush() != "" {
		b[n.GetWorkspace()+"/"+n.GetReportPush()] = n.GetReason()
	}
}

func (b brokenPushes) explain(run store.ReportRun) bool {
	reason, broken := b[run.Workspace+"/"+run.Push]
	return broken && int32(reason) == run.Reason
}

// runs returns a notice for every push whose last run went wrong (WALK-40).
func (w *Worker) runs(ctx context.Context, told brokenPushes) ([]*configv1.Notice, error) {
	doubtful, err := w.deps.Runs.DoubtfulRuns(ctx)
	if err != nil {
		return nil, err
	}
	var out []*configv1.Notice
	for _, run := range doubtful {
		n, err := w.ofRun(ctx, run)
		if err != nil {
			return nil, err
		}
		if n == nil || told.explain(run) {
			continue
		}
		if n.Recipients, err = w.recipientsOf(ctx, run); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// ofRun says what is wrong with a run; nil when nothing is, or when somebody stopped it.
func (w *Worker) ofRun(ctx context.Context, run store.ReportRun) (*configv1.Notice, error) {
	n := &configv1.Notice{
		Workspace: run.Workspace, Kind: configv1.NoticeKind_NOTICE_KIND_REPORT_RUN, Connection: run.Connection, ReportPush: run.Push,
		Run: run.ID, Reason: streamv1.Reason(run.Reason),
	}
	switch {
	case run.Stop != "":
		return nil, nil
	case run.Status == store.RunFailed:
		n.Trouble = configv1.RunTrouble_RUN_TROUBLE_FAILED
		n.TextEn, n.TextJa = failedTexts(run)
	case run.Status == store.RunMissed:
		n.Trouble = configv1.RunTrouble_RUN_TROUBLE_MISSED
		n.TextEn, n.TextJa = missedTexts(run)
	case run.Counts.Rows == 0:
		n.Trouble = configv1.RunTrouble_RUN_TROUBLE_NO_ROWS
		n.TextEn, n.TextJa = noRowsTexts(run)
	default:
		rate, ok := matchRate(run.Counts)
		if !ok {
			return nil, nil
		}
		usual, err := w.usualRate(ctx, run)
		if err != nil || math.IsNaN(usual) || 2*rate >= usual {
			return nil, err
		}
		n.Trouble = configv1.RunTrouble_RUN_TROUBLE_MATCH_RATE
		n.TextEn, n.TextJa = matchRateTexts(run, rate, usual)
	}
	return n, nil
}

// matchRate is the share of a run's rows that found their record; of rows with one key, those that count. ok is false when it had none.
func matchRate(c store.RunCounts) (rate float64, ok bool) {
	of := c.Rows - c.EqualRows - c.RepeatedKeys
	if of <= 0 {
		return 0, false
	}
	return float64(c.Handed+c.Unchanged+c.Ambiguous) / float64(of), true
}

// usualRate is the median of the completed runs before one; not a number when there are too few.
func (w *Worker) usualRate(ctx context.Context, run store.ReportRun) (float64, error) {
	before, err := w.deps.Runs.Runs(ctx, store.RunsQuery{
		Workspace: run.Workspace, Push: run.Push, Before: run.StartedAt, BeforeID: run.ID, Limit: runsBack,
	})
	if err != nil {
		return 0, err
	}
	var rates []float64
	for _, r := range before {
		if rate, ok := matchRate(r.Counts); ok && r.Status == store.RunCompleted && len(rates) < medianOf {
			rates = append(rates, rate)
		}
	}
	if len(rates) < medianLeast {
		return math.NaN(), nil
	}
	slices.Sort(rates)
	middle := len(rates) / 2
	if len(rates)%2 == 0 {
		return (rates[middle-1] + rates[middle]) / 2, nil
	}
	return rates[middle], nil
}

// recipientsOf are those whom the push wants to be told; none: all.
func (w *Worker) recipientsOf(ctx context.Context, run store.ReportRun) ([]string, error) {
	doc, err := w.deps.Documents.Get(ctx, store.Key{Workspace: run.Workspace, Kind: store.KindReportPush, ID: run.Push})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil // it went meanwhile
	}
	if err != nil {
		return nil, err
	}
	push := &configv1.ReportPush{}
	if err := proto.Unmarshal(doc.Body, push); err != nil {
		return nil, fmt.Errorf("decode push %s of workspace %s: %w", run.Push, run.Workspace, err)
	}
	return push.GetNoticeRecipients(), nil
}
