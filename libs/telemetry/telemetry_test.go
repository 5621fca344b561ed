package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
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

func TestCountersAreExportedAsTheyStand(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	var seen, gone atomic.Int64
	require.NoError(t, ExportCounters(provider, "scope", "{item}",
		Counter{Name: "items.seen", About: "Seen.", Value: &seen}, Counter{Name: "items.gone", About: "Gone.", Value: &gone}))
	require.NoError(t, ExportCounters(nil, "scope", "{item}", Counter{Name: "items.seen", Value: &seen}))
	require.ErrorContains(t, ExportCounters(provider, "other", "{item}", Counter{Name: "no such name!", Value: &seen}), "no such name!")
	seen.Store(7)
	var data metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &data))
	got := map[string]int64{}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			if scope.Scope.Name == "scope" { // the library also exports what it found fault with
				got[m.Name] = m.Data.(metricdata.Sum[int64]).DataPoints[0].Value
			}
		}
	}
	require.Equal(t, map[string]int64{"items.seen": 7, "items.gone": 0}, got)
}
