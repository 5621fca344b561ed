package stage

import (
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// batchTrace is the tracing of one batch: a span "process <topic>" for the batch, which links to the sampled records in
// it, and for each of those a span in its own trace, so that an event can be followed from end to end. Records whose
// trace is not sampled cost a look at one byte.
type batchTrace struct {
	tel   *telemetry
	start time.Time
	// span is nil if no record is sampled.
	span trace.Span
	// children holds the spans of the sampled records, by the traceparent they came with.
	children map[string]trace.Span
}

// maxLinks keeps a batch span below OpenTelemetry's limit of 128 links.
const maxLinks = 128

// startBatch begins the tracing of records. Records that carry no trace context begin a trace here: they get a header, so
// that the handler passes it on like any other.
func (t *telemetry) startBatch(ctx context.Context, p *part, records []Record) (context.Context, *batchTrace) {
	b := &batchTrace{tel: t, start: time.Now()}
	var links []trace.Link
	for i := range records {
		r := &records[i]
		tp := r.Header(HeaderTraceParent)
		if tp == nil {
			t.beginTrace(ctx, r)
			tp = r.Header(HeaderTraceParent)
		}
		if !sampled(tp) {
			continue
		}
		sc, ok := parseTraceParent(string(tp))
		if !ok {
			continue
		}
		b.child(ctx, r, sc)
		if len(links) < maxLinks {
			links = append(links, trace.Link{SpanContext: sc})
		}
	}
	if len(links) == 0 {
		return ctx, b
	}
	ctx, b.span = t.tracer.Start(ctx, "process "+t.topic,
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(links...), trace.WithTimestamp(b.start),
		trace.WithAttributes(attrSystem.String("kafka"), attrOperation.String("process"), attrOpType.String("process"),
			attrDestination.String(t.topic), attrGroup.String(t.group), attrStage.String(t.stage),
			attrPartition.String(strconv.Itoa(p.id)), attrBatchCount.Int(len(records))))
	return ctx, b
}

// beginTrace starts a trace for a record that has none. Without a tracer it does nothing.
func (t *telemetry) beginTrace(ctx context.Context, r *Record) {
	_, span := t.tracer.Start(ctx, "receive "+t.topic,
		trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindClient))
	if sc := span.SpanContext(); sc.IsValid() {
		r.Headers = append(r.Headers[:len(r.Headers):len(r.Headers)],
			Header{Key: HeaderTraceParent, Value: []byte(formatTraceParent(sc))})
	}
	span.End()
}

func (b *batchTrace) child(ctx context.Context, r *Record, sc trace.SpanContext) {
	_, span := b.tel.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, sc), "process "+b.tel.topic,
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(b.start),
		trace.WithAttributes(attrSystem.String("kafka"), attrOperation.String("process"), attrOpType.String("process"),
			attrDestination.String(b.tel.topic), attrGroup.String(b.tel.group), attrStage.String(b.tel.stage),
			attrPartition.String(strconv.Itoa(r.Partition)), attrOffset.Int64(r.Offset),
			attrMessageID.String(string(r.Header(HeaderID)))))
	if b.children == nil {
		b.children = map[string]trace.Span{}
	}
	b.children[r.TraceParent()] = span
}

// continueTraces makes outputs children of the span that handled their record.
func (b *batchTrace) continueTraces(messages []Message) {
	if len(b.children) == 0 {
		return
	}
	for i := range messages {
		if span, ok := b.children[messages[i].TraceParent]; ok {
			messages[i].TraceParent = formatTraceParent(span.SpanContext())
		}
	}
}

func (b *batchTrace) end(ctx context.Context, err error) {
	for _, span := range b.children {
		endSpan(span, err)
	}
	if b.span != nil {
		endSpan(b.span, err)
	}
	b.tel.processed(ctx, b.start, err)
}

// traceParentSize is the length of a W3C trace context: 00-<32 hex>-<16 hex>-<2 hex>.
const traceParentSize = 55

// sampled looks at the lowest bit of the flags only.
func sampled(tp []byte) bool {
	if len(tp) != traceParentSize {
		return false
	}
	switch tp[traceParentSize-1] {
	case '1', '3', '5', '7', '9', 'b', 'd', 'f':
		return true
	}
	return false
}

func parseTraceParent(tp string) (trace.SpanContext, bool) {
	if len(tp) != traceParentSize || tp[:3] != "00-" || tp[35] != '-' || tp[52] != '-' {
		return trace.SpanContext{}, false
	}
	tid, err1 := trace.TraceIDFromHex(tp[3:35])
	sid, err2 := trace.SpanIDFromHex(tp[36:52])
	flags, err3 := strconv.ParseUint(tp[53:], 16, 8)
	sc := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: tid, SpanID: sid, TraceFlags: trace.TraceFlags(flags) & trace.FlagsSampled, Remote: true,
	})
	return sc, err1 == nil && err2 == nil && err3 == nil && sc.IsValid()
}

func formatTraceParent(sc trace.SpanContext) string {
	return "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + sc.TraceFlags().String()
}
