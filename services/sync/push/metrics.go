package push

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"

	"github.com/throughline-dev/throughline/libs/telemetry"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// What became of the work on a run, as the metric tells it.
const (
	outcomeMatched     = "matched"
	outcomeFailed      = "failed"
	outcomeLost        = "lost"
	outcomeStopped     = "stopped"
	outcomeInterrupted = "interrupted"
)

// metrics are what a Pusher tells of itself. What becomes of a row that was handed on is the writer's to count.
type metrics struct {
	runs, takeovers, rows metric.Int64Counter
	panicked              atomic.Int64
}

func newMetrics(provider metric.MeterProvider, held func() int64) (*metrics, error) {
	if provider == nil {
		provider = metricnoop.NewMeterProvider()
	}
	const scope = "github.com/throughline-dev/throughline/services/sync/push"
	meter := provider.Meter(scope)
	m := &metrics{}
	var errs [5]error
	m.runs, errs[0] = meter.Int64Counter("throughline.sync.runs", metric.WithUnit("{run}"), metric.WithDescription(
		"Runs of report pushes that this process has done with, by outcome: matched, failed, stopped, lost to another worker, interrupted."))
	m.takeovers, errs[1] = meter.Int64Counter("throughline.sync.takeovers", metric.WithUnit("{run}"), metric.WithDescription(
		"Runs that were taken over in the middle from a worker that went silent."))
	m.rows, errs[2] = meter.Int64Counter("throughline.sync.rows", metric.WithUnit("{row}"), metric.WithDescription(
		"Rows of reports that were decided, by outcome: handed to the writer, unchanged, unmatched, ambiguous, blank_key, repeated_key, equal, failed."))
	_, errs[3] = meter.Int64ObservableUpDownCounter("throughline.sync.claims", metric.WithUnit("{run}"), metric.WithDescription(
		"Runs that this process has claimed and works on."), metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(held())
		return nil
	}))
	errs[4] = telemetry.ExportCounters(provider, scope, "{item}", telemetry.Counter{
		Name: "throughline.sync.runs.panicked", Value: &m.panicked, // there from the beginning: an alert looks at the first, too
		About: "Times that the work on runs of report pushes failed by a defect; other runs went on.",
	})
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("push: metrics: %w", err)
	}
	return m, nil
}

func byOutcome(outcome string) metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("outcome", outcome))
}

// ended counts the end of the work on a run; err is what ended it.
func (m *metrics) ended(ctx context.Context, err error) {
	outcome := outcomeInterrupted
	switch _, failed := errors.AsType[*failure](err); {
	case err == nil:
		outcome = outcomeMatched
	case failed:
		outcome = outcomeFailed
	case errors.Is(err, errLost):
		outcome = outcomeLost
	case errors.Is(err, errStopped):
		outcome = outcomeStopped
	}
	m.runs.Add(ctx, 1, byOutcome(outcome))
}

// decided counts the rows of a chunk that is recorded.
func (m *metrics) decided(ctx context.Context, c *configv1.ReportRunCounts) {
	for outcome, n := range map[string]int64{
		"handed": c.GetPending(), "unchanged": c.GetUnchanged(), "unmatched": c.GetUnmatched(), "ambiguous": c.GetAmbiguous(),
		"blank_key": c.GetBlankKeys(), "repeated_key": c.GetRepeatedKeys(), "equal": c.GetEqualRows(), "failed": c.GetFailed(),
	} {
		if n > 0 {
			m.rows.Add(ctx, n, byOutcome(outcome))
		}
	}
}
