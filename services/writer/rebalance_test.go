package writer_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer"
)

// held is the first request of an org that makes records: it takes effect, and its answer waits.
type held struct {
	org     string
	once    sync.Once
	taken   chan struct{}
	release chan struct{}
}

// hold makes the next request that makes records of an org wait for its answer.
func (f *fleet) hold(org string) *held {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = &held{org: org, taken: make(chan struct{}), release: make(chan struct{})}
	return f.held
}

// holds returns what a request is to be held by, nil for most.
func (f *fleet) holds(org string, r *http.Request) (mine *held) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h := f.held; h != nil && h.org == org && r.Method == http.MethodPost {
		h.once.Do(func() { mine = h })
	}
	return mine
}

func (h *held) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := httptest.NewRecorder()
	next.ServeHTTP(answer, r)
	close(h.taken)
	<-h.release
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// metered makes a writer's metrics readable.
func metered(reader sdkmetric.Reader) func(*writer.Config, *writer.Deps) {
	return func(_ *writer.Config, deps *writer.Deps) {
		deps.Meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	}
}

// hasty does not wait for requests in flight when a partition goes.
func hasty(cfg *writer.Config, _ *writer.Deps) {
	cfg.DrainTimeout, cfg.Lanes.LookAfter = 100*time.Millisecond, 50*time.Millisecond
}

func TestAPartitionMovesWhileARequestOfItIsUnderWay(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-14")
	f := newFleet(t)
	h := f.hold("org0")
	release := sync.OnceFunc(func() { close(h.release) })
	t.Cleanup(release)
	before, after := sdkmetric.NewManualReader(), sdkmetric.NewManualReader()
	_, stopFirst := f.join(hasty, metered(before))
	f.load(1)
	<-h.taken // the org has made the record, and nobody is told
	require.GreaterOrEqual(t, metricOf(t, before, "throughline.writer.lag")["class=real_time"], 1.0)
	second, stopSecond := f.join(hasty, metered(after))
	f.loadUntil(func() bool { return second.Stats().Written > 0 }, "the work is shared")
	stopFirst() // and where org0 may still have been
	f.load(1)
	f.whole()
	release()
	f.eventually(func() bool { // offsets are committed in a moment
		lag := metricOf(t, after, "throughline.writer.lag")
		return lag["class=interactive"]+lag["class=real_time"]+lag["class=bulk"]+lag["class=unread"] == 0
	}, "nothing is left")
	stopSecond()
}

func TestTheLagIsToldByClass(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-14")
	f := newFleet(t)
	for org, class := range map[string]streamv1.Priority{
		"org0": streamv1.Priority_PRIORITY_INTERACTIVE, "org1": streamv1.Priority_PRIORITY_BULK,
	} {
		f.revision++
		w := f.task(org, "task")
		w.Priority = class
		require.NoError(t, f.kafka.Publish(t.Context(), f.message(w)))
	}
	h := f.hold("org0")
	release := sync.OnceFunc(func() { close(h.release) })
	t.Cleanup(release)
	reader := sdkmetric.NewManualReader()
	_, stop := f.join(metered(reader))
	defer stop()
	<-h.taken
	require.InDelta(t, 1, metricOf(t, reader, "throughline.writer.lag")["class=interactive"], 0)
	require.Greater(t, metricOf(t, reader, "throughline.writer.lag.age")["class=interactive"], 0.0)
	f.eventually(func() bool { return metricOf(t, reader, "throughline.writer.lag")["class=bulk"] == 0 }, "another org's is settled")
	require.InDelta(t, 1, metricOf(t, reader, "throughline.writer.lag")["class=interactive"], 0, "this one is not")
	release()
	f.eventually(func() bool { return metricOf(t, reader, "throughline.writer.lag")["class=interactive"] == 0 }, "settled")
	require.Zero(t, metricOf(t, reader, "throughline.writer.lag.age")["class=interactive"])
}
