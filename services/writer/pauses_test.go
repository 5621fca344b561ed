package writer_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// logged keeps what was logged.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) lines(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), part)
}

// metricOf returns the values of a metric by their attributes, as "name=value,…" in the order of the names.
func metricOf(t *testing.T, reader sdkmetric.Reader, name string) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &all))
	points := map[string]float64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != name {
				continue
			}
			switch data := m.Data.(type) {
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					points[p.Attributes.Encoded(attribute.DefaultEncoder())] = float64(p.Value)
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					points[p.Attributes.Encoded(attribute.DefaultEncoder())] = p.Value
				}
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					points[p.Attributes.Encoded(attribute.DefaultEncoder())] = float64(p.Value)
				}
			default:
				t.Fatalf("metric %s is a %T", name, data)
			}
		}
	}
	return points
}

// count counts the newest outcomes that are a text.
func (b *testBundle) count(outcome string) (n int) {
	for _, o := range b.final() {
		if o == outcome {
			n++
		}
	}
	return n
}

func TestAnIntegrationThatTheOrgRefusesIsPausedAndComesBack(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-39")
	b := setup(t)
	b.clock = stagetest.NewClock(time.Now())
	b.cfg.Refusals.LeastWrites, b.cfg.Lanes.BatchRecords = 20, 10
	log, reader := new(logged), sdkmetric.NewManualReader()
	b.logger, b.meter = slog.New(slog.NewTextHandler(log, nil)), sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	var ruled atomic.Bool
	ruled.Store(true)
	var judged atomic.Int64
	b.orgs["main"].Refuse = func(record map[string]any) (string, string) {
		if strings.HasPrefix(fmt.Sprint(record["External_Id__c"]), "view") {
			judged.Add(1)
			if ruled.Load() {
				return "FIELD_CUSTOM_VALIDATION_EXCEPTION", "Choose a stage first"
			}
		}
		return "", ""
	}
	passing := func(what string, ok func() bool) { // lets time pass for lanes and parking, but none that a pause would notice
		b.eventually(func() bool { b.clock.Advance(10 * time.Millisecond); return ok() }, what)
	}
	s, stop := b.start()
	defer stop()
	send := func(integration string, n int) {
		for i := range n {
			w := b.write("main", fmt.Sprint(integration, i), 1)
			w.Integration, w.IntegrationVersion = integration, 3
			b.send(w)
		}
	}

	send("view", 500)
	send("call", 100)
	passing("the others are written", func() bool { return b.count("WRITTEN") == 100 })
	passing("the rest is parked", func() bool {
		return b.count("FAILED SF_VALIDATION")+b.count("PARKED SF_VALIDATION") == 500 && s.Stats().Held > 0
	})
	refused := b.count("FAILED SF_VALIDATION")
	require.LessOrEqual(t, refused, 60, "two requests that make it certain, and those that are under way then")
	require.EqualValues(t, refused, judged.Load(), "nothing more was asked")
	paused := "integration=view,object=Engagement__c,throughline.connection=main,throughline.workspace=acme"
	require.Equal(t, map[string]float64{paused: 1}, metricOf(t, reader, "throughline.writer.actions.paused"))
	require.Equal(t, map[string]float64{paused: 1}, metricOf(t, reader, "throughline.writer.action.pauses"))
	require.Equal(t, 1, log.lines("level=WARN"))

	// Whoever is concerned reads what the org said, and what is to be done.
	told := b.outcomeWith("PARKED SF_VALIDATION")
	require.Contains(t, told.GetDetail(), "integration view, version 3, is paused")
	require.Contains(t, told.GetDetail(), "correct the integration or the org's rule")
	require.Contains(t, b.outcomeWith("FAILED SF_VALIDATION").GetDetail(), "Choose a stage first")

	// After the pause some are tried, to no avail.
	b.clock.Advance(b.cfg.Refusals.Pause)
	passing("the trial fails", func() bool { return metricOf(t, reader, "throughline.writer.action.pauses")[paused] == 2 })
	passing("what was not tried is parked", func() bool {
		// All of it in parking: an answer that is under way would come after the pause, and be taken for the next trial's.
		parked := b.count("PARKED SF_VALIDATION")
		return b.count("FAILED SF_VALIDATION")+parked == 500 && s.Stats().Held == int64(parked)
	})
	require.LessOrEqual(t, judged.Load(), int64(refused+b.cfg.Refusals.TrialWrites))
	require.Equal(t, 1, log.lines("level=WARN"), "no storm")

	// The rule is gone: the next trial goes well, and everything follows.
	ruled.Store(false)
	b.clock.Advance(b.cfg.Refusals.Pause)
	passing("what was parked is written", func() bool { return b.count("WRITTEN")+b.count("FAILED SF_VALIDATION") == 600 })
	require.LessOrEqual(t, b.count("FAILED SF_VALIDATION"), refused+b.cfg.Refusals.TrialWrites)
	require.Equal(t, map[string]float64{"": 0}, metricOf(t, reader, "throughline.writer.actions.paused"))
	require.Empty(t, b.orgs["main"].Problems())
	passing("settled", func() bool {
		return b.broker.Committed("tl-writer-parked") == int64(len(b.broker.Records(topic.Parked))) &&
			b.broker.Committed("tl-writer") == int64(len(b.broker.Records(topic.Writes)))
	})
}

func TestANewVersionOfAPausedIntegrationIsWrittenAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock = stagetest.NewClock(time.Now())
	b.cfg.Refusals.LeastWrites, b.cfg.Lanes.BatchRecords = 20, 10
	var ruled atomic.Bool
	ruled.Store(true)
	b.orgs["main"].Refuse = func(map[string]any) (string, string) {
		if ruled.Load() {
			return "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "no access"
		}
		return "", ""
	}
	passing := func(what string, ok func() bool) {
		b.eventually(func() bool { b.clock.Advance(10 * time.Millisecond); return ok() }, what)
	}
	_, stop := b.start()
	defer stop()
	for i := range 200 {
		b.send(b.write("main", fmt.Sprint("view", i), 1))
	}
	passing("paused", func() bool { return b.count("FAILED SF_NO_PERMISSION")+b.count("PARKED SF_NO_PERMISSION") == 200 })
	failed := b.count("FAILED SF_NO_PERMISSION")
	ruled.Store(false)
	next := b.write("main", "next", 1)
	next.IntegrationVersion = 1
	b.send(next)
	passing("the new version's, and then the old one's", func() bool { return b.count("WRITTEN") == 201-failed })
}

// outcomeWith returns one of the outcomes that are a text.
func (b *testBundle) outcomeWith(text string) *streamv1.Outcome {
	b.t.Helper()
	for _, r := range b.broker.Records(topic.Outcomes) {
		o := new(streamv1.Outcome)
		require.NoError(b.t, proto.Unmarshal(r.Value, o))
		if o.GetStatus().String()[len("STATUS_"):]+" "+o.GetReason().String()[len("REASON_"):] == text {
			return o
		}
	}
	b.t.Fatalf("no outcome %s", text)
	return nil
}
