package visits_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/leaktest"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/visits"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

type serviceBundle struct {
	*testing.T
	broker *stagetest.Broker
	deps   visits.Deps
}

func setup(t *testing.T) *serviceBundle {
	t.Helper()
	b := &serviceBundle{T: t, broker: stagetest.NewBroker()}
	for _, name := range []string{
		topic.Activities, topic.VisitState, topic.Visits, topic.TotalsState, topic.Engagements, topic.Outcomes, topic.DeadLetters,
	} {
		b.broker.Create(name, 1)
	}
	atOnce := func(w *configv1.Workspace) { w.Visits = &configv1.VisitSettings{Settle: durationpb.New(0)} }
	b.deps = visits.Deps{Broker: b.broker, Settings: settingstest.New(t).Workspace("acme", atOnce).Source()}
	return b
}

// start runs the service until the returned function is called, which waits for its end.
func (b *serviceBundle) start() (*visits.Service, func()) {
	b.Helper()
	s, err := visits.New(visits.DefaultConfig(), b.deps)
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return s, func() {
		cancel()
		require.NoError(b, <-done)
	}
}

// produce appends activities all at once: of one batch only the last revision of a visit is told.
func (b *serviceBundle) produce(events ...event) {
	b.Helper()
	var all []stage.Record
	for _, e := range events {
		value, err := proto.Marshal(e.activity())
		require.NoError(b, err)
		all = append(all, stage.Record{Time: time.Now(), Key: topic.SessionKey("acme", e.session), Value: value})
	}
	b.broker.Append(topic.Activities, 0, all...)
}

// engagements waits until n engagement revisions were sent and returns the last.
func (b *serviceBundle) engagements(n int) *streamv1.Engagement {
	b.Helper()
	require.Eventually(b, func() bool { return len(b.broker.Records(topic.Engagements)) >= n }, time.Minute, 5*time.Millisecond)
	all := b.broker.Records(topic.Engagements)
	require.Len(b, all, n)
	e := new(streamv1.Engagement)
	require.NoError(b, proto.Unmarshal(all[n-1].Value, e))
	return e
}

func visitOf(session string) []event {
	asked := streamv1.Evidence_EVIDENCE_ASKED
	return []event{
		{id: session + "-1", session: session, content: "c", at: 0, kind: "start", person: "mia", evidence: asked},
		{id: session + "-2", session: session, content: "c", at: 10, kind: "progress", from: 0, to: 10, person: "mia", evidence: asked},
		{id: session + "-3", session: session, content: "c", at: 12, kind: "end", person: "mia", evidence: asked},
	}
}

func TestService(t *testing.T) {
	t.Parallel()

	t.Run("ActivitiesBecomeEngagementsAcrossRestarts", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "LOOM-32")
		b := setup(t)
		_, stop := b.start()
		b.produce(visitOf("s1")[:2]...)
		require.InDelta(t, 10, b.engagements(1).GetWatchedSeconds(), 1e-9)
		stop()

		b.produce(visitOf("s1")[2:]...)
		s, stop := b.start()
		defer stop()
		got := b.engagements(2)
		require.Equal(t, streamv1.VisitState_VISIT_STATE_CLOSED, got.GetVisit().GetState())
		require.EqualValues(t, 1, got.GetVisits())
		require.NoError(t, s.Ready())

		b.produce(visitOf("s1")...) // delivered again: no effect
		b.produce(visitOf("s2")...)
		require.EqualValues(t, 2, b.engagements(3).GetVisits())
		require.EqualValues(t, 3, s.Stats().Repeated)
	})

	t.Run("WaitsForSettings", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.deps.Settings = settings.Static(nil)
		b.produce(visitOf("s1")...)
		s, stop := b.start()
		defer stop()
		require.ErrorContains(t, s.Ready(), "settings")
		require.Empty(t, b.broker.Records(topic.DeadLetters))
	})

	t.Run("AnUnknownWorkspaceKeepsTheDefaultRules", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.deps.Settings = settingstest.New(t).Workspace("another").Source()
		b.produce(visitOf("s1")...)
		_, stop := b.start()
		defer stop()
		require.Equal(t, streamv1.VisitState_VISIT_STATE_OPEN, b.engagements(1).GetVisit().GetState(), "the default settles for 2 min")
	})

	t.Run("Stress", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for i := range 50 {
			b.produce(visitOf(fmt.Sprint("s", i))...)
			_, stop := b.start()
			stop()
		}
		_, stop := b.start()
		defer stop()
		require.Eventually(t, func() bool {
			all := b.broker.Records(topic.Engagements)
			if len(all) == 0 {
				return false
			}
			e := new(streamv1.Engagement)
			return proto.Unmarshal(all[len(all)-1].Value, e) == nil && e.GetVisits() == 50
		}, time.Minute, 5*time.Millisecond)
	})
}

func TestConfigNamesTheKey(t *testing.T) {
	t.Parallel()
	require.NoError(t, visits.DefaultConfig().Validate())
	for key, change := range map[string]func(*visits.Config){
		"activities":     func(c *visits.Config) { c.Activities.BatchRecords = 0 },
		"totals.visits":  func(c *visits.Config) { c.Totals.Visits = 0 },
		"totals.ranges":  func(c *visits.Config) { c.Totals.Ranges = 0 },
		"remember":       func(c *visits.Config) { c.Collect.Remember = 0 },
		"tick_visits":    func(c *visits.Config) { c.Collect.TickVisits = 0 },
		"behind":         func(c *visits.Config) { c.Collect.Behind = 0 },
		"limits.clicks":  func(c *visits.Config) { c.Collect.Limits.Clicks = 0 },
		"limits.ranges":  func(c *visits.Config) { c.Collect.Limits.Ranges = 0 },
		"limits.pages":   func(c *visits.Config) { c.Collect.Limits.Pages = 0 },
		"limits.event_i": func(c *visits.Config) { c.Collect.Limits.EventIDs = 0 },
	} {
		cfg := visits.DefaultConfig()
		change(&cfg)
		_, err := visits.New(cfg, visits.Deps{})
		require.ErrorContains(t, err, key)
	}
	_, err := visits.New(visits.DefaultConfig(), visits.Deps{})
	require.ErrorContains(t, err, "settings")
}
