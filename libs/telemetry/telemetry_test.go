package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

func TestConfigNamesTheWrongKey(t *testing.T) {
	t.Parallel()
	require.NoError(t, DefaultConfig().Validate())
	cfg := DefaultConfig()
	cfg.SampleRatio = 1.5
	cfg.Log.Format = "xml"
	err := cfg.Validate()
	require.ErrorContains(t, err, "telemetry.sample_ratio")
	require.ErrorContains(t, err, "telemetry.log.format")
}

func TestLogLinesCarryTheTrace(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-27")
	var out bytes.Buffer
	log := slog.New(newHandler(&out, FormatJSON)).With("service", "x")
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	log.InfoContext(trace.ContextWithSpanContext(t.Context(), span), "hello")
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	require.Equal(t, span.TraceID().String(), line["trace_id"])
	require.Equal(t, span.SpanID().String(), line["span_id"])
	require.Equal(t, "x", line["service"])
}

func TestTelemetry(t *testing.T) {
	t.Parallel()
	tel, err := New(t.Context(), DefaultConfig(), "test", "v0")
	require.NoError(t, err)

	counter, err := tel.Meter.Meter("m").Int64Counter("things.done")
	require.NoError(t, err)
	counter.Add(t.Context(), 3)
	rec := httptest.NewRecorder()
	tel.MetricsHandler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	require.Contains(t, rec.Body.String(), "things_done_total")

	require.NoError(t, tel.Close(context.Background()))
	require.NoError(t, tel.Close(context.Background()), "closing twice is safe")
}

func TestReportsGoWhereTheCallerWants(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	spans := tracetest.NewInMemoryExporter()
	cfg := DefaultConfig()
	cfg.SampleRatio = 1
	tel, err := New(t.Context(), cfg, "test", "v0", WithLogWriter(&log), WithSpanExporter(spans))
	require.NoError(t, err)
	tel.Logger.Info("hello")
	_, span := tel.Tracer.Tracer("t").Start(t.Context(), "work")
	span.End()
	require.Contains(t, log.String(), "hello")
	require.Len(t, spans.GetSpans(), 1)
	require.NoError(t, tel.Close(context.Background()))
}

func TestASampledParentStaysSampled(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.SampleRatio = 0
	tel, err := New(t.Context(), cfg, "test", "v0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tel.Close(context.Background())) })

	parent := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, Remote: true,
	})
	_, span := tel.Tracer.Tracer("t").Start(trace.ContextWithSpanContext(t.Context(), parent), "child")
	require.True(t, span.SpanContext().IsSampled())
	_, span = tel.Tracer.Tracer("t").Start(t.Context(), "root")
	require.False(t, span.SpanContext().IsSampled())
}
