package salesforce

import (
	"context"
	"errors"
	"net/url"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

const scope = "github.com/throughline-dev/throughline/libs/salesforce"

// telemetry makes spans and metrics of requests by hand: the usual HTTP instrumentation records the whole address, and
// a SOQL query in it quotes people's addresses (promise 8).
type telemetry struct {
	tracer   trace.Tracer
	duration metric.Float64Histogram
	common   []attribute.KeyValue
}

func newTelemetry(deps Deps) telemetry {
	if deps.Tracer == nil {
		deps.Tracer = noop.NewTracerProvider()
	}
	if deps.Meter == nil {
		deps.Meter = metricnoop.NewMeterProvider()
	}
	duration, err := deps.Meter.Meter(scope).Float64Histogram("http.client.request.duration",
		metric.WithUnit("s"), metric.WithDescription("Duration of requests to Salesforce."),
		metric.WithExplicitBucketBoundaries(.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60))
	if err != nil {
		duration, _ = metricnoop.NewMeterProvider().Meter(scope).Float64Histogram("none")
	}
	return telemetry{tracer: deps.Tracer.Tracer(scope), duration: duration, common: deps.Attributes}
}

// observe wraps one attempt in a span and measures it.
func (c *Client) observe(ctx context.Context, r *call, token Token, info *Call) (*answer, error) {
	attrs := make([]attribute.KeyValue, 0, len(c.watch.common)+8)
	attrs = append(attrs, c.watch.common...)
	attrs = append(attrs,
		attribute.String("http.request.method", r.method),
		attribute.String("url.template", r.template),
		attribute.String("salesforce.api", r.api))
	ctx, span := c.watch.tracer.Start(ctx, r.method+" "+r.template,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
	defer span.End()
	if span.IsRecording() {
		if u, err := url.Parse(token.InstanceURL); err == nil {
			span.SetAttributes(attribute.String("server.address", u.Hostname()))
		}
		span.SetAttributes(attribute.String("salesforce.object", r.object), attribute.Int("salesforce.records", r.records))
	}
	ans, err := c.send(ctx, r, token, info)
	if info.Status != 0 {
		attrs = append(attrs, attribute.Int("http.response.status_code", info.Status))
		span.SetAttributes(attribute.Int("http.response.status_code", info.Status))
	}
	if e := new(Error); errors.As(err, &e) {
		kind := e.Code
		if kind == "" {
			kind = strconv.Itoa(e.Status)
		}
		attrs = append(attrs, attribute.String("error.type", e.Class.String()))
		span.SetAttributes(attribute.String("error.type", kind))
		span.SetStatus(codes.Error, e.Class.String())
	}
	c.watch.duration.Record(ctx, info.Duration.Seconds(), metric.WithAttributes(attrs...))
	return ans, err
}
