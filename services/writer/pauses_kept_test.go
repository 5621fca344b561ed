package writer_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	"github.com/throughline-dev/throughline/services/simulator"
	"github.com/throughline-dev/throughline/services/writer"
)

func TestAPausedIntegrationStaysPausedAcrossARestart(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-39")
	b := setup(t)
	b.clock = stagetest.NewClock(time.Now())
	b.cfg.Refusals.LeastWrites, b.cfg.Lanes.BatchRecords = 20, 10
	var judged atomic.Int64
	var ruled atomic.Bool
	ruled.Store(true)
	b.orgs["main"].Refuse = func(record map[string]any) (string, string) {
		if strings.HasPrefix(fmt.Sprint(record["External_Id__c"]), "view") && ruled.Load() {
			judged.Add(1)
			return "FIELD_CUSTOM_VALIDATION_EXCEPTION", "Choose a stage first"
		}
		return "", ""
	}
	passing := func(what string, ok func() bool) {
		b.eventually(func() bool { b.clock.Advance(10 * time.Millisecond); return ok() }, what)
	}
	send := func(integration string, from, to int) {
		for i := from; i < to; i++ {
			w := b.write("main", fmt.Sprint(integration, i), 1)
			w.Integration, w.IntegrationVersion = integration, 3
			b.send(w)
		}
	}
	_, stop := b.start()
	send("view", 0, 100)
	passing("it is paused", func() bool { return b.count("FAILED SF_VALIDATION")+b.count("PARKED SF_VALIDATION") == 100 })
	refused := judged.Load()
	require.Positive(t, b.count("PARKED SF_VALIDATION"))
	stop()

	reader := sdkmetric.NewManualReader()
	b.meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	_, stop = b.start()
	defer stop()
	send("view", 100, 150)
	send("call", 0, 20)
	passing("others are written, and it is parked as before", func() bool {
		return b.count("WRITTEN") == 20 && b.count("FAILED SF_VALIDATION")+b.count("PARKED SF_VALIDATION") == 150
	})
	require.Equal(t, refused, judged.Load(), "the org is not asked for anything of it")
	paused := "integration=view,object=Engagement__c,throughline.connection=main,throughline.workspace=acme"
	require.Equal(t, map[string]float64{paused: 1}, metricOf(t, reader, "throughline.writer.actions.paused"), "whoever watches still sees it")

	ruled.Store(false)
	b.clock.Advance(b.cfg.Refusals.Pause)
	passing("it comes back as if there had been no restart", func() bool {
		return b.count("WRITTEN")+b.count("FAILED SF_VALIDATION") == 170
	})
	require.Equal(t, map[string]float64{"": 0}, metricOf(t, reader, "throughline.writer.actions.paused"))
	require.Empty(t, b.orgs["main"].Problems())
}

func TestAPausedIntegrationStaysPausedWhenItsPartitionMoves(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-39")
	f := newFleet(t)
	require.NoError(t, f.sim.SetValidationRules("org1", simulator.ValidationRule{Object: "Task", When: "Subject = 'Call'", Message: "No."}))
	soon := func(cfg *writer.Config, _ *writer.Deps) { cfg.Refusals.LeastWrites = 10 }
	calls := func(from, to int) {
		for i := from; i < to; i++ {
			f.revision++
			w := f.task("org1", fmt.Sprint("task", i))
			w.Integration, w.IntegrationVersion = "calls", 1
			require.NoError(t, f.kafka.Publish(t.Context(), f.message(w)))
		}
	}
	paused := func(reader sdkmetric.Reader) bool {
		return metricOf(t, reader, "throughline.writer.actions.paused")["integration=calls,object=Task,throughline.connection=org1,"+
			"throughline.workspace=acme"] == 1
	}
	before, after := sdkmetric.NewManualReader(), sdkmetric.NewManualReader()
	first, stopFirst := f.join(soon, metered(before))
	calls(0, 60)
	f.eventually(func() bool {
		s := first.Stats()
		return paused(before) && s.Held > 0 && len(s.Failed) > 0
	}, "paused, and the rest is parked")

	second, stopSecond := f.join(soon, metered(after))
	defer stopSecond()
	stopFirst()
	f.eventually(func() bool { return paused(after) }, "the pause came with the partition")
	calls(60, 90)
	f.eventually(func() bool { return second.Stats().Lag == 0 && second.Stats().ParkedNow >= 30 }, "taken in and parked")
	require.Empty(t, second.Stats().Failed, "nothing of it was tried")
	require.Zero(t, metricOf(t, before, "throughline.writer.actions.paused")["integration=calls,object=Task,throughline.connection=org1,"+
		"throughline.workspace=acme"], "and only the owner tells of it")
}
