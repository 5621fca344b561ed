package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"golang.org/x/time/rate"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/ingest/edge"
	"github.com/throughline-dev/throughline/services/ingest/event"
	"github.com/throughline-dev/throughline/services/ingest/intake"
)

// Stats counts decisions since the service was built. A batch that is handled again counts again.
type Stats struct {
	// In is the sum of the others.
	In, Accepted int64
	// Rejected and Skipped count by reason, e.g. "BAD_SCHEMA"; Warnings by repair, e.g. "page_clamped".
	Rejected, Skipped, Warnings map[string]int64
}

const (
	maxReason   = 128
	maxWarnings = 16
)

// tally counts decisions. Safe for concurrent use.
type tally struct {
	accepted atomic.Int64
	rejected [maxReason]atomic.Int64
	skipped  [maxReason]atomic.Int64
	warnings [maxWarnings]atomic.Int64

	logger *slog.Logger
	mu     sync.Mutex
	audits map[string]*rate.Sometimes
}

var _ edge.Observer = (*tally)(nil)

// auditEvery bounds the audit log: one line per source and interval, however many events claim another tenant.
const auditEvery = time.Minute

func newTally(logger *slog.Logger) *tally {
	return &tally{logger: logger, audits: map[string]*rate.Sometimes{}}
}

// Observe counts one decision.
func (t *tally) Observe(source string, d *intake.Decision) {
	reason := uint(d.Reason) % maxReason
	switch {
	case d.Accepted():
		t.accepted.Add(1)
	case d.Rejected():
		t.rejected[reason].Add(1)
	default:
		t.skipped[reason].Add(1)
	}
	for w := uint(d.Warnings); w != 0; w &= w - 1 {
		t.warnings[bits.TrailingZeros(w)].Add(1)
	}
	if d.Intruder {
		t.audit(source, d)
	}
}

// audit notes that a producer claimed a tenant that is not its own (XC-19). Which one it claimed is not said: it may be
// anything.
func (t *tally) audit(source string, d *intake.Decision) {
	key := source + "\x00" + d.Workspace
	t.mu.Lock()
	sometimes, ok := t.audits[key]
	if !ok {
		sometimes = &rate.Sometimes{Interval: auditEvery}
		t.audits[key] = sometimes
	}
	t.mu.Unlock()
	sometimes.Do(func() {
		t.logger.Warn("security audit: an event names another workspace than the one it came through; it was rejected",
			"source", source, "workspace", d.Workspace, "event_id", d.EventID, "trace_id", traceOf(d))
	})
}

// traceOf is the trace of a decision's first message, whose traceparent reads 00-<trace>-<span>-<flags>; "" for none.
func traceOf(d *intake.Decision) string {
	if len(d.Messages) == 0 {
		return ""
	}
	parts := strings.Split(d.Messages[0].TraceParent, "-")
	if len(parts) != 4 {
		return ""
	}
	return parts[1]
}

func (t *tally) stats() Stats {
	s := Stats{
		Accepted: t.accepted.Load(),
		Rejected: map[string]int64{}, Skipped: map[string]int64{}, Warnings: map[string]int64{},
	}
	s.In = s.Accepted
	for i := range maxReason {
		code := event.Code(streamv1.Reason(i))
		if n := t.rejected[i].Load(); n > 0 {
			s.Rejected[code] = n
			s.In += n
		}
		if n := t.skipped[i].Load(); n > 0 {
			s.Skipped[code] = n
			s.In += n
		}
	}
	for i := range maxWarnings {
		if n := t.warnings[i].Load(); n > 0 {
			event.Warnings(1 << i).Each(func(name string) { s.Warnings[name] = n })
		}
	}
	return s
}

// register exposes the counts as metrics; counting itself stays two atomic additions per event.
func (t *tally) register(provider metric.MeterProvider) error {
	meter := provider.Meter("github.com/throughline-dev/throughline/services/ingest")
	events, err := meter.Int64ObservableCounter("throughline.ingest.events",
		metric.WithDescription("Events decided about, by outcome and reason."), metric.WithUnit("{event}"))
	if err != nil {
		return fmt.Errorf("metric throughline.ingest.events: %w", err)
	}
	repairs, err := meter.Int64ObservableCounter("throughline.ingest.repairs",
		metric.WithDescription("Repairs made to accepted events, by kind."), metric.WithUnit("{repair}"))
	if err != nil {
		return fmt.Errorf("metric throughline.ingest.repairs: %w", err)
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := t.stats()
		observe := func(outcome, reason string, n int64) {
			o.ObserveInt64(events, n, metric.WithAttributes(
				attribute.String("throughline.outcome", outcome), attribute.String("throughline.reason", reason)))
		}
		observe("accepted", "", s.Accepted)
		for reason, n := range s.Rejected {
			observe("rejected", reason, n)
		}
		for reason, n := range s.Skipped {
			observe("skipped", reason, n)
		}
		for kind, n := range s.Warnings {
			o.ObserveInt64(repairs, n, metric.WithAttributes(attribute.String("throughline.repair", kind)))
		}
		return nil
	}, events, repairs)
	if err != nil {
		return fmt.Errorf("metrics of ingest: %w", err)
	}
	return nil
}
