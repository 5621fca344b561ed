package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/segmentio/kafka-go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline-dev/throughline/libs/stage"
)

const scope = "github.com/throughline-dev/throughline/libs/stage/kafka"

// Attribute keys of OpenTelemetry's messaging conventions (v1.43; status "development").
const (
	attrSystem      = attribute.Key("messaging.system")
	attrOperation   = attribute.Key("messaging.operation.name")
	attrOpType      = attribute.Key("messaging.operation.type")
	attrDestination = attribute.Key("messaging.destination.name")
	attrGroup       = attribute.Key("messaging.consumer.group.name")
	attrBatchCount  = attribute.Key("messaging.batch.message_count")
	attrErrorType   = attribute.Key("error.type")
)

type telemetry struct {
	tracer   trace.Tracer
	duration metric.Float64Histogram
	sent     metric.Int64Counter
	consumed metric.Int64Counter
}

func newTelemetry(deps Deps) (*telemetry, error) {
	m := deps.Meter.Meter(scope)
	duration, err1 := m.Float64Histogram("messaging.client.operation.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of send, poll and commit."),
		metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10))
	sent, err2 := m.Int64Counter("messaging.client.sent.messages", metric.WithUnit("{message}"),
		metric.WithDescription("Messages acknowledged by all in-sync replicas."))
	consumed, err3 := m.Int64Counter("messaging.client.consumed.messages", metric.WithUnit("{message}"),
		metric.WithDescription("Messages fetched."))
	return &telemetry{tracer: deps.Tracer.Tracer(scope), duration: duration, sent: sent, consumed: consumed},
		errors.Join(err1, err2, err3)
}

// startSend starts a "send" span when the caller is part of a sampled trace; a batch has no trace of its own.
func (t *telemetry) startSend(ctx context.Context, b *stage.ProduceBatch) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.SpanContext().IsSampled() {
		return ctx, parent
	}
	name := "send"
	if topic := singleTopic(b); topic != "" {
		name = "send " + topic
	}
	return t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attrSystem.String("kafka"), attrOperation.String("send"), attrOpType.String("send"),
		attrDestination.String(singleTopic(b)), attrBatchCount.Int(len(b.Messages)+len(b.Entries))))
}

func singleTopic(b *stage.ProduceBatch) string {
	if len(b.Messages) == 0 {
		return b.StateTopic
	}
	topic := b.Messages[0].Topic
	for i := range b.Messages {
		if b.Messages[i].Topic != topic {
			return ""
		}
	}
	return topic
}

// endSend ends the span that startSend started, if it started one.
func endSend(ctx context.Context, span trace.Span, err error) {
	if !span.SpanContext().IsSampled() || trace.SpanFromContext(ctx) != span {
		return
	}
	if err != nil {
		span.SetStatus(codes.Error, errorType(err))
		span.SetAttributes(attrErrorType.String(errorType(err)))
	}
	span.End()
}

func (t *telemetry) operation(ctx context.Context, op, topic string, start time.Time, err error) {
	attrs := []attribute.KeyValue{attrSystem.String("kafka"), attrOperation.String(op), attrDestination.String(topic)}
	if err != nil {
		attrs = append(attrs, attrErrorType.String(errorType(err)))
	}
	t.duration.Record(ctx, time.Since(start).Seconds(), metric.WithAttributeSet(attribute.NewSet(attrs...)))
}

func (t *telemetry) count(ctx context.Context, c metric.Int64Counter, op, topic string, n int) {
	if n > 0 {
		c.Add(ctx, int64(n), metric.WithAttributeSet(attribute.NewSet(
			attrSystem.String("kafka"), attrOperation.String(op), attrDestination.String(topic))))
	}
}

// errorType names an error with few distinct values.
func errorType(err error) string {
	var k kafka.Error
	var large *stage.TooLargeError
	switch {
	case errors.As(err, &k):
		return k.Title()
	case errors.As(err, &large):
		return "message too large"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	default:
		return "connection"
	}
}
