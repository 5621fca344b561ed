package reports_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// counted reads the metrics of runs, by name and outcome.
func counted(t *testing.T, reader *metric.ManualReader) map[string]int64 {
	t.Helper()
	var got metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &got))
	out := map[string]int64{}
	for _, scope := range got.ScopeMetrics {
		if scope.Scope.Name != "github.com/throughline-dev/throughline/services/sync/push" {
			continue
		}
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			require.True(t, ok, m.Name)
			for _, point := range sum.DataPoints {
				outcome, _ := point.Attributes.Value("outcome")
				out[m.Name+" "+outcome.AsString()] += point.Value
			}
		}
	}
	return out
}

func TestRunsAndRowsAreCountedByWhatBecameOfThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	reader := metric.NewManualReader()
	b.deps.Meter = metric.NewMeterProvider(metric.WithReader(reader))
	b.contacts(contact("one"), contact("same", "Score__c", 1.0, "Active__c", true), contact("twin"), contact("twin"))
	atLast, goOn := make(chan struct{}), make(chan struct{})
	b.runs.hook = func(req *configv1.RecordReportRunRequest) error {
		if req.GetChunk() != nil {
			close(atLast)
			<-goOn
		}
		return nil
	}
	b.deliver([]string{"key", "score", "active"},
		[]any{"one", 2, true}, []any{"same", 1, true}, []any{"twin", 1, true}, []any{"nobody", 1, true}, []any{"", 1, true},
		[]any{"again", 1, true}, []any{"again", 2, true}, []any{"one", 2, true}, []any{"bad", "x", true})
	stop := b.start()
	<-atLast
	during := counted(t, reader)
	require.Equal(t, int64(1), during["throughline.sync.claims "])
	require.Zero(t, during["throughline.sync.rows handed"], "not before they are recorded")
	close(goOn)
	b.eventually(b.runs.done, "the run is through")
	stop()
	require.Equal(t, map[string]int64{
		"throughline.sync.runs matched": 1, "throughline.sync.claims ": 0, "throughline.sync.runs.panicked ": 0,
		"throughline.sync.rows handed": 1, "throughline.sync.rows unchanged": 1, "throughline.sync.rows ambiguous": 1,
		"throughline.sync.rows unmatched": 1, "throughline.sync.rows blank_key": 1, "throughline.sync.rows repeated_key": 2,
		"throughline.sync.rows equal": 1, "throughline.sync.rows failed": 1,
	}, counted(t, reader))
}

func TestARunThatIsTakenOverCountsAsResumed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	reader := metric.NewManualReader()
	b.deps.Meter = metric.NewMeterProvider(metric.WithReader(reader))
	b.contacts(contact("one"))
	reached := make(chan struct{}, 1)
	b.runs.hook = func(*configv1.RecordReportRunRequest) error {
		select {
		case reached <- struct{}{}:
		default:
		}
		return errors.New("config is away")
	}
	b.deliver([]string{"key", "score", "active"}, []any{"one", 2, true})
	stop := b.start()
	<-reached
	stop()
	require.Equal(t, int64(1), counted(t, reader)["throughline.sync.runs interrupted"])
	b.runs.mu.Lock()
	b.runs.hook = nil
	b.runs.mu.Unlock()
	b.runs.release()
	stop = b.start()
	b.eventually(b.runs.done, "the run is through")
	stop()
	got := counted(t, reader)
	require.Equal(t, int64(1), got["throughline.sync.takeovers "])
	require.Equal(t, int64(1), got["throughline.sync.runs matched"])
	require.Zero(t, got["throughline.sync.claims "])
}
