// Package tally counts what the writer did, for metrics and for the progress that a person watches.
package tally

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// reasons is one more than the largest reason code in use, with room for new ones.
const reasons = 256

// Tally counts. Safe for concurrent use.
type Tally struct {
	written, created, parked, retried, calls, bulk, depth, held atomic.Int64
	skipped, failed                                             [reasons]atomic.Int64

	records, requests, jobs, rows metric.Int64Counter
}

// New returns a tally that also feeds the meter.
func New(meter metric.Meter) (*Tally, error) {
	t := new(Tally)
	var err error
	if t.records, err = meter.Int64Counter("throughline.writer.records",
		metric.WithDescription("Writes that ended, or were parked, by status and reason.")); err != nil {
		return nil, err
	}
	if t.requests, err = meter.Int64Counter("throughline.writer.requests",
		metric.WithDescription("Requests to Salesforce that carried writes, by API and result.")); err != nil {
		return nil, err
	}
	if t.jobs, err = meter.Int64Counter("throughline.writer.bulk.jobs",
		metric.WithDescription("Bulk jobs that ended, by the state they ended in.")); err != nil {
		return nil, err
	}
	if t.rows, err = meter.Int64Counter("throughline.writer.bulk.rows",
		metric.WithDescription("Rows of bulk jobs that ended, by the state the jobs ended in.")); err != nil {
		return nil, err
	}
	gauges := []struct {
		name, description string
		value             *atomic.Int64
	}{
		{"throughline.writer.lane.depth", "Writes waiting in lanes.", &t.depth},
		{"throughline.writer.parked.held", "Parked writes in memory.", &t.held},
	}
	for _, g := range gauges {
		if _, err := meter.Int64ObservableGauge(g.name, metric.WithDescription(g.description),
			metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
				o.Observe(g.value.Load())
				return nil
			})); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Discard returns a tally that feeds no meter.
func Discard() *Tally {
	t, err := New(noop.NewMeterProvider().Meter(""))
	if err != nil {
		panic(err) // a meter that does nothing cannot fail
	}
	return t
}

// Org names a connection in metrics.
type Org struct{ Workspace, Connection string }

func (o Org) attributes(more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributes(append(more,
		attribute.String("throughline.workspace", o.Workspace),
		attribute.String("throughline.connection", o.Connection))...)
}

// Ended counts one write's outcome.
func (t *Tally) Ended(ctx context.Context, org Org, o *streamv1.Outcome) {
	switch o.GetStatus() {
	case streamv1.Status_STATUS_WRITTEN:
		t.written.Add(1)
		if o.GetCreated() {
			t.created.Add(1)
		}
	case streamv1.Status_STATUS_SKIPPED:
		t.skipped[reason(o)].Add(1)
	case streamv1.Status_STATUS_FAILED:
		t.failed[reason(o)].Add(1)
	case streamv1.Status_STATUS_PARKED:
		t.parked.Add(1)
	case streamv1.Status_STATUS_RETRYING:
		t.retried.Add(1)
	default:
	}
	t.records.Add(ctx, 1, org.attributes(
		attribute.String("status", o.GetStatus().String()[len("STATUS_"):]),
		attribute.String("reason", o.GetReason().String()[len("REASON_"):])))
}

// Request counts one request.
func (t *Tally) Request(ctx context.Context, org Org, api, result string) {
	t.calls.Add(1)
	t.requests.Add(ctx, 1, org.attributes(
		attribute.String("salesforce.api", api), attribute.String("result", result)))
}

// Job counts one bulk job that ended.
func (t *Tally) Job(ctx context.Context, org Org, state string, rows int) {
	t.bulk.Add(1)
	ended := org.attributes(attribute.String("state", state))
	t.jobs.Add(ctx, 1, ended)
	t.rows.Add(ctx, int64(rows), ended)
}

// Depth changes the number of writes waiting in lanes.
func (t *Tally) Depth(change int) { t.depth.Add(int64(change)) }

// Held changes the number of parked writes in memory.
func (t *Tally) Held(change int) { t.held.Add(int64(change)) }

func reason(o *streamv1.Outcome) int { return int(o.GetReason()) % reasons }

// Counts is a snapshot.
type Counts struct {
	// Written counts confirmed writes, Created those that made a record.
	Written, Created int64
	// Skipped and Failed count by reason.
	Skipped, Failed map[streamv1.Reason]int64
	// Parked counts how often a write was parked, Retried how often one was to be sent again.
	Parked, Retried int64
	// Calls counts requests to Salesforce that carried writes or looked for them.
	Calls int64
	// Jobs counts bulk jobs that ended.
	Jobs int64
	// Depth is how many writes wait in lanes, Held how many parked ones are in memory.
	Depth, Held int64
}

// Counts returns a snapshot.
func (t *Tally) Counts() Counts {
	return Counts{
		Written: t.written.Load(), Created: t.created.Load(), Parked: t.parked.Load(), Retried: t.retried.Load(),
		Calls: t.calls.Load(), Jobs: t.bulk.Load(), Depth: t.depth.Load(), Held: t.held.Load(),
		Skipped: nonZero(&t.skipped), Failed: nonZero(&t.failed),
	}
}

func nonZero(counts *[reasons]atomic.Int64) map[streamv1.Reason]int64 {
	m := map[streamv1.Reason]int64{}
	for i := range counts {
		if n := counts[i].Load(); n != 0 {
			m[streamv1.Reason(i)] = n
		}
	}
	return m
}
