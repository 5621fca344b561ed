package delivery

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline-dev/throughline/services/writer/internal/queue"
)

// maxLinks bounds the links of one request's span.
const maxLinks = 128

// startSpan starts the span of a request: a request serves many writes, so it is linked to those that are sampled
// instead of being the child of one.
func (l *lane) startSpan(ctx context.Context, b *queue.Batch) (context.Context, trace.Span) {
	var links []trace.Link
	for _, it := range b.Items {
		if parent := it.Record.TraceParent(); parent != "" && len(links) < maxLinks {
			remote := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": parent})
			if sc := trace.SpanContextFromContext(remote); sc.IsSampled() {
				links = append(links, trace.Link{SpanContext: sc, Attributes: []attribute.KeyValue{
					attribute.String("throughline.write_key", it.Write.GetWriteKey()),
				}})
			}
		}
	}
	return l.h.deps.Tracer.Start(ctx, "write "+b.Group.Object, trace.WithNewRoot(), trace.WithLinks(links...),
		trace.WithAttributes(
			attribute.String("throughline.workspace", l.key.workspace),
			attribute.String("throughline.connection", l.key.connection),
			attribute.Int("salesforce.records", len(b.Items))))
}
