package stage

import (
	"context"
	"errors"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline-dev/throughline/libs/stage/internal/fault"
)

const scope = "github.com/throughline-dev/throughline/libs/stage"

// Attribute keys of OpenTelemetry's messaging conventions (v1.43; status "development").
const (
	attrSystem      = attribute.Key("messaging.system")
	attrOperation   = attribute.Key("messaging.operation.name")
	attrOpType      = attribute.Key("messaging.operation.type")
	attrDestination = attribute.Key("messaging.destination.name")
	attrPartition   = attribute.Key("messaging.destination.partition.id")
	attrOffset      = attribute.Key("messaging.kafka.offset")
	attrMessageID   = attribute.Key("messaging.message.id")
	attrGroup       = attribute.Key("messaging.consumer.group.name")
	attrBatchCount  = attribute.Key("messaging.batch.message_count")
	attrErrorType   = attribute.Key("error.type")
	attrStage       = attribute.Key("throughline.stage")
	attrReason      = attribute.Key("throughline.reason")
)

// telemetry holds a stage's instruments with their attributes made once: making them per batch would cost more than
// recording.
type telemetry struct {
	tracer  trace.Tracer
	stage   string
	topic   string
	group   string
	meter   metric.Meter
	process metric.Float64Histogram
	ok      metric.MeasurementOption
	failed  metric.MeasurementOption
	dead    metric.Int64Counter
}

func newTelemetry(s *Stage) (*telemetry, error) {
	m := s.deps.Meter.Meter(scope)
	process, err1 := m.Float64Histogram("messaging.process.duration", metric.WithUnit("s"),
		metric.WithDescription("Time from the start of a batch until its outputs and state are acknowledged."),
		metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10))
	dead, err2 := m.Int64Counter("throughline.stage.dead_letters", metric.WithUnit("{message}"),
		metric.WithDescription("Records given up, by reason."))
	t := &telemetry{
		tracer: s.deps.Tracer.Tracer(scope), stage: s.cfg.Name, topic: s.cfg.Topic, group: s.cfg.GroupID(),
		meter: m, process: process, dead: dead,
	}
	attrs := []attribute.KeyValue{
		attrSystem.String("kafka"), attrOperation.String("process"),
		attrDestination.String(t.topic), attrGroup.String(t.group),
	}
	t.ok = metric.WithAttributeSet(attribute.NewSet(attrs...))
	t.failed = metric.WithAttributeSet(attribute.NewSet(append(attrs, attrErrorType.String("failed"))...))
	return t, errors.Join(err1, err2)
}

// observe registers the gauges while a stage runs.
func (t *telemetry) observe(s *Stage) (unregister func(), err error) {
	lag, err1 := t.meter.Int64ObservableGauge("throughline.stage.lag", metric.WithUnit("{message}"),
		metric.WithDescription("Offsets not committed yet, per assigned partition."))
	stuck, err2 := t.meter.Int64ObservableGauge("throughline.stage.paused", metric.WithUnit("{partition}"),
		metric.WithDescription("Assigned partitions whose retry budget is used up."))
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	stage := attrStage.String(t.stage)
	reg, err := t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		var n int64
		for _, p := range s.Stats().Partitions {
			o.ObserveInt64(lag, p.Lag, metric.WithAttributes(stage, attrDestination.String(t.topic),
				attrPartition.String(strconv.Itoa(p.ID))))
			if p.Paused {
				n++
			}
		}
		o.ObserveInt64(stuck, n, metric.WithAttributes(stage))
		return nil
	}, lag, stuck)
	if err != nil {
		return nil, err
	}
	return func() { _ = reg.Unregister() }, nil
}

func (t *telemetry) startCommit(ctx context.Context) (context.Context, trace.Span) {
	return t.tracer.Start(ctx, "commit "+t.topic, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attrSystem.String("kafka"), attrOperation.String("commit"), attrOpType.String("settle"),
		attrDestination.String(t.topic), attrGroup.String(t.group)))
}

func (t *telemetry) endCommit(span trace.Span, err error) { endSpan(span, err) }

// committed passes the last fault point.
func (t *telemetry) committed(p *part) { _ = p.hook(fault.Committed, p.id) }

func endSpan(span trace.Span, err error) {
	if err != nil && span.IsRecording() {
		kind := errorKind(err)
		span.SetStatus(codes.Error, kind)
		span.SetAttributes(attrErrorType.String(kind))
	}
	span.End()
}

// errorKind names an error with few distinct values and nothing from a record.
func errorKind(err error) string {
	if reason, ok := PermanentReason(err); ok {
		return reason
	}
	switch {
	case errors.Is(err, ErrFenced):
		return "fenced"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "cancelled"
	default:
		return "failed"
	}
}

func (p *part) countDead(ctx context.Context, dead []DeadLetter) {
	p.dead.Add(int64(len(dead)))
	for _, d := range dead {
		p.stage.tel.dead.Add(ctx, 1, metric.WithAttributes(
			attrStage.String(p.cfg.Name), attrReason.String(d.Reason)))
	}
}

func (t *telemetry) processed(ctx context.Context, since time.Time, err error) {
	if err != nil {
		t.process.Record(ctx, time.Since(since).Seconds(), t.failed)
		return
	}
	t.process.Record(ctx, time.Since(since).Seconds(), t.ok)
}
