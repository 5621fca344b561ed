package stage_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
)

const (
	sampledParent   = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	unsampledParent = "00-5bf92f3577b34da6a3ce929d0e0e4736-10f067aa0ba902b7-00"
)

func traced(id, parent string) stage.Record {
	r := record(id)
	r.Headers = append(r.Headers, stage.Header{Key: stage.HeaderTraceParent, Value: []byte(parent)})
	return r
}

// handle runs records of one batch through a copying stage and returns its spans. root decides on spans without a parent.
func handle(t *testing.T, b *testBundle, root sdktrace.Sampler, records ...stage.Record) tracetest.SpanStubs {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans), sdktrace.WithSampler(sdktrace.ParentBased(root)))
	b.deps.Tracer = provider
	b.Append("in", 0, records...)
	_, stop := b.run(stagetest.Copy("out"))
	pass(time.Second)
	stop()
	return spans.GetSpans()
}

func TestTracing(t *testing.T) {
	t.Parallel()
	test := func(name string, f func(*testing.T, *testBundle)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { f(t, setup(t)) })
		})
	}

	test("ContinuesTheTraceOfASampledRecord", func(t *testing.T, b *testBundle) {
		spans := handle(t, b, sdktrace.NeverSample(),
			traced("1", unsampledParent), traced("2", sampledParent), traced("3", unsampledParent))
		require.Len(t, spans, 1, "only the sampled record has a span")
		child := spans[0]
		require.Equal(t, "process in", child.Name)
		require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", child.SpanContext.TraceID().String())
		require.Equal(t, "00f067aa0ba902b7", child.Parent.SpanID().String())
		require.Equal(t, trace.SpanKindConsumer, child.SpanKind)

		out := b.Records("out")
		var parents []string
		for _, r := range out {
			parents = append(parents, r.TraceParent())
		}
		require.Contains(t, parents, "00-4bf92f3577b34da6a3ce929d0e0e4736-"+child.SpanContext.SpanID().String()+"-01")
		require.Contains(t, parents, unsampledParent)
	})

	test("LinksTheBatchToItsSampledRecords", func(t *testing.T, b *testBundle) {
		spans := handle(t, b, sdktrace.AlwaysSample(), traced("1", sampledParent), traced("2", unsampledParent))
		i := slices.IndexFunc(spans, func(s tracetest.SpanStub) bool { return s.Name == "process in" && !s.Parent.IsValid() })
		require.GreaterOrEqual(t, i, 0)
		require.Len(t, spans[i].Links, 1)
		require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", spans[i].Links[0].SpanContext.TraceID().String())
		require.Contains(t, spans[i].Attributes, attribute.Int("messaging.batch.message_count", 2))
		require.True(t, slices.ContainsFunc(spans, func(s tracetest.SpanStub) bool { return s.Name == "commit in" }))
	})

	test("BeginsATraceForARecordThatHasNone", func(t *testing.T, b *testBundle) {
		handle(t, b, sdktrace.NeverSample(), record("1"))
		parent := b.Records("out")[0].TraceParent()
		require.Len(t, parent, 55)
		require.True(t, strings.HasSuffix(parent, "-00"), "the sampler said no")
	})

	test("CostsNothingWithoutATracer", func(t *testing.T, b *testBundle) {
		b.Append("in", 0, record("1"), traced("2", sampledParent))
		_, stop := b.run(stagetest.Copy("out"))
		pass(time.Second)
		stop()
		var parents []string
		for _, r := range b.Records("out") {
			parents = append(parents, r.TraceParent())
		}
		require.ElementsMatch(t, []string{"", sampledParent}, parents)
	})

	test("IgnoresMalformedContexts", func(t *testing.T, b *testBundle) {
		bad := "00-zzf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		require.Empty(t, handle(t, b, sdktrace.NeverSample(), traced("1", bad), traced("2", "nonsense")))
		require.Len(t, b.Records("out"), 2)
	})
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		reader := sdkmetric.NewManualReader()
		b.deps.Meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		b.cfg.RetryBudget = time.Second
		faulty := &stagetest.Faulty{Poison: func(r stage.Record) error {
			if r.Partition == 1 {
				return stagetest.ErrTransient
			}
			if string(r.Value) == "0" {
				return stage.Permanent("BAD_SCHEMA", stagetest.ErrTransient)
			}
			return nil
		}}
		b.fill(20)
		_, stop := b.run(faulty.Wrap(stagetest.Copy("out")))
		pass(time.Minute)

		var rm metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(t.Context(), &rm))
		got := map[string]metricdata.Aggregation{}
		for _, scope := range rm.ScopeMetrics {
			for _, m := range scope.Metrics {
				got[m.Name] = m.Data
			}
		}
		require.Contains(t, got, "messaging.process.duration")
		dead := got["throughline.stage.dead_letters"].(metricdata.Sum[int64]).DataPoints
		require.Len(t, dead, 1)
		require.EqualValues(t, 1, dead[0].Value)
		require.EqualValues(t, 1, got["throughline.stage.paused"].(metricdata.Gauge[int64]).DataPoints[0].Value)
		lags := map[string]int64{}
		for _, p := range got["throughline.stage.lag"].(metricdata.Gauge[int64]).DataPoints {
			id, _ := p.Attributes.Value("messaging.destination.partition.id")
			lags[id.AsString()] = p.Value
		}
		require.Equal(t, map[string]int64{"0": 0, "1": 10}, lags)
		stop()
	})
}
