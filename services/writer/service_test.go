package writer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/writer"
	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
)

// testBundle is a whole writer on a broker in memory, with two orgs.
type testBundle struct {
	t      *testing.T
	broker *stagetest.Broker
	orgs   map[string]*orgtest.Org
	client orgs
	lookup writer.Orgs // what the writer gets, nil for client
	views  views
	build  *settingstest.Builder
	cfg    writer.Config
	clock  *stagetest.ManualClock
	logger *slog.Logger
	meter  metric.MeterProvider
}

type orgs map[string]*salesforce.Client

func (o orgs) Client(_, connection string) (*salesforce.Client, error) {
	if c := o[connection]; c != nil {
		return c, nil
	}
	return nil, errors.New("no such connection")
}

// views is settings that change.
type views struct{ *atomic.Pointer[settings.View] }

func (v views) View() *settings.View { return v.Load() }

func setup(t *testing.T) *testBundle {
	t.Helper()
	b := &testBundle{
		t: t, broker: stagetest.NewBroker(), orgs: map[string]*orgtest.Org{}, client: orgs{},
		views: views{new(atomic.Pointer[settings.View])},
	}
	for _, name := range []string{topic.Writes, topic.Parked, topic.Ledger, topic.Outcomes, topic.Changes, topic.DeadLetters} {
		b.broker.Create(name, 1)
	}
	b.build = settingstest.New(t).Workspace("acme").Connection("main").Connection("other")
	b.views.Store(b.build.View())
	for _, name := range []string{"main", "other"} {
		b.orgs[name] = orgtest.New(t)
		b.client[name] = salesforce.NewClient(unhurried(), salesforce.StaticToken{
			AccessToken: secret.New("token"), InstanceURL: b.orgs[name].URL(),
		}, salesforce.Deps{})
	}
	b.cfg = writer.DefaultConfig()
	b.cfg.Lanes.Linger, b.cfg.Lanes.RetryMin = 5*time.Millisecond, time.Millisecond
	b.cfg.Parking.Recheck, b.cfg.Parking.DelayMin = 10*time.Millisecond, time.Millisecond
	b.cfg.Gate.RetryMin, b.cfg.Gate.QuotaRetry = 20*time.Millisecond, 20*time.Millisecond
	return b
}

// start runs a writer until the returned function is called.
func (b *testBundle) start() (*writer.Service, func()) {
	b.t.Helper()
	deps := writer.Deps{
		Broker: b.broker, Settings: b.views, Orgs: b.client, DeadLetter: deadletter.Encode(b.build.Installation()),
		Logger: b.logger, Meter: b.meter,
	}
	if b.lookup != nil {
		deps.Orgs = b.lookup
	}
	if b.clock != nil {
		deps.Clock = b.clock
	}
	s, err := writer.New(b.cfg, deps)
	require.NoError(b.t, err)
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return s, func() {
		cancel()
		require.NoError(b.t, <-done)
	}
}

func (b *testBundle) write(connection, key string, revision int64) *streamv1.Write {
	b.t.Helper()
	plain, err := proto.Marshal(&streamv1.FieldValues{Fields: []*streamv1.FieldValue{
		{Field: "Rev__c", Value: &streamv1.FieldValue_Number{Number: float64(revision)}},
	}})
	require.NoError(b.t, err)
	ws, _ := b.views.View().Workspace("acme")
	sealed, err := ws.Keys().Seal(plain)
	require.NoError(b.t, err)
	return &streamv1.Write{
		WriteKey: key, Workspace: "acme", Connection: connection, Revision: revision, Object: "Engagement__c",
		Operation: streamv1.Operation_OPERATION_UPSERT, ExternalIdField: "External_Id__c", ExternalId: key,
		SealedFields: sealed, ContentHash: ws.Keys().Hash(plain), VisitId: "visit", OccurredAt: timestamppb.Now(),
	}
}

func (b *testBundle) send(writes ...*streamv1.Write) {
	b.t.Helper()
	for _, w := range writes {
		value, err := proto.Marshal(w)
		require.NoError(b.t, err)
		b.broker.Append(topic.Writes, 0, stage.Record{
			Key: topic.ConnectionKey(w.GetWorkspace(), w.GetConnection()), Value: value,
		})
	}
}

// final returns the newest outcome per write and revision.
func (b *testBundle) final() map[string]string {
	b.t.Helper()
	m := map[string]string{}
	for _, r := range b.broker.Records(topic.Outcomes) {
		o := new(streamv1.Outcome)
		require.NoError(b.t, proto.Unmarshal(r.Value, o))
		text := o.GetStatus().String()[len("STATUS_"):]
		if o.GetReason() != 0 {
			text += " " + o.GetReason().String()[len("REASON_"):]
		}
		m[fmt.Sprintf("%s/%d", o.GetWriteKey(), o.GetRevision())] = text
	}
	return m
}

// patience is how long a test waits for what takes a moment on a machine that is not busy.
const patience = 5 * time.Minute

func (b *testBundle) eventually(cond func() bool, what string) {
	b.t.Helper()
	require.Eventually(b.t, cond, patience, 5*time.Millisecond, what)
}

// together lets a request go once it has so many writes, however long that takes: no time passes by itself.
func (b *testBundle) together(writes int) {
	b.clock = stagetest.NewClock(time.Now())
	lanes := &b.cfg.Lanes
	lanes.BatchRecords, lanes.MinBatchRecords, lanes.Linger = writes, writes, lanes.MaxLinger
}

func TestService(t *testing.T) {
	t.Parallel()

	t.Run("ParkedWritesComeBackWhenTheOrgIsUsableAgain", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-13")
		b := setup(t)
		var down atomic.Bool
		down.Store(true)
		b.orgs["main"].Fault = func(orgtest.Request) *orgtest.Fault {
			if down.Load() {
				return &orgtest.Fault{Status: 401, Body: `[{"errorCode":"INVALID_SESSION_ID","message":"Session expired or invalid"}]`}
			}
			return nil
		}
		b.orgs["main"].SetLimitsStatus(401)
		s, stop := b.start()
		defer stop()
		for i := range 300 {
			b.send(b.write("main", fmt.Sprint("a", i), 1), b.write("other", fmt.Sprint("b", i), 1))
		}
		b.eventually(func() bool { return len(b.orgs["other"].Records("Engagement__c")) == 300 }, "the other org gets its writes")
		b.eventually(func() bool { return s.Stats().Held == 300 }, "the dead org's are parked")
		require.False(t, s.Stats().OldestParked.IsZero())
		b.send(b.write("main", "a7", 2)) // a newer revision of a parked write
		down.Store(false)
		b.orgs["main"].SetLimitsStatus(0)
		b.eventually(func() bool {
			return len(b.orgs["main"].Records("Engagement__c")) == 300 && b.final()["a7/2"] == "WRITTEN" && s.Stats().Held == 0
		}, "parked writes are written")
		b.eventually(func() bool { // what was parked is in the writes again, and a newer revision may have overtaken it there
			return b.broker.Committed("tl-writer-parked") == int64(len(b.broker.Records(topic.Parked))) &&
				b.broker.Committed("tl-writer") == int64(len(b.broker.Records(topic.Writes)))
		}, "settled")
		final := b.final()
		for i := range 300 {
			require.Contains(t, []string{"WRITTEN", "SKIPPED SUPERSEDED"}, final[fmt.Sprintf("a%d/1", i)])
		}
		for _, r := range b.orgs["main"].Records("Engagement__c") {
			require.IsIncreasing(t, append([]float64{0}, r.History...))
		}
		require.NoError(t, s.Ready())
	})

	t.Run("APausedConnectionWaitsForItsAdministrator", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.views.Store(pausedView(b))
		s, stop := b.start()
		defer stop()
		b.send(b.write("main", "a", 1))
		b.eventually(func() bool { return s.Stats().Held == 1 }, "parked")
		b.views.Store(b.build.View())
		b.eventually(func() bool { return b.final()["a/1"] == "WRITTEN" }, "written after the pause")
	})

	t.Run("NothingIsJudgedBeforeTheFirstSettings", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		w := b.write("main", "a", 1)
		b.views.Store(nil)
		s, stop := b.start()
		defer stop()
		b.send(w)
		require.Error(t, s.Ready())
		b.views.Store(b.build.View())
		b.eventually(func() bool { return b.final()["a/1"] == "WRITTEN" }, "written")
		require.Zero(t, s.Stats().Parked)
	})

	t.Run("WhatIsParkedTooLongFailsWithADeadLetter", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-13")
		b := setup(t)
		b.clock = stagetest.NewClock(time.Now())
		b.views.Store(pausedView(b))
		s, stop := b.start()
		defer stop()
		b.send(b.write("main", "a", 1))
		b.eventually(func() bool { return s.Stats().Held == 1 }, "parked")
		b.clock.Advance(15 * 24 * time.Hour)
		b.eventually(func() bool { return b.final()["a/1"] == "FAILED SF_UNAVAILABLE" }, "failed")
		require.Len(t, b.broker.Records(topic.DeadLetters), 1)
		b.eventually(func() bool { return b.broker.Committed("tl-writer-parked") == 1 }, "settled")
	})

	t.Run("ParkedWritesOfADeadOrgDoNotHideThoseOfAHealthyOne", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.cfg.Parking.HeldPerOrg, b.cfg.Parking.Postpone = 10, 50*time.Millisecond
		b.views.Store(pausedView(b))
		s, stop := b.start()
		defer stop()
		for i := range 200 {
			b.send(b.write("main", fmt.Sprint("a", i), 1))
		}
		b.eventually(func() bool { return len(b.broker.Records(topic.Parked)) >= 200 }, "parked")
		// A write of the other org behind all of them on the parked topic.
		value, err := proto.Marshal(b.write("other", "b", 1))
		require.NoError(t, err)
		b.broker.Append(topic.Parked, 0, stage.Record{Key: topic.ConnectionKey("acme", "other"), Value: value})
		b.eventually(func() bool { return b.final()["b/1"] == "WRITTEN" }, "the healthy org's write comes back")
		require.LessOrEqual(t, s.Stats().Held, int64(20))
		b.views.Store(b.build.View())
		b.eventually(func() bool { return len(b.orgs["main"].Records("Engagement__c")) == 200 }, "the others too")
	})

	t.Run("StopsAndStartsLoseAndDoubleNothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for i := range 3000 {
			b.send(b.write("main", fmt.Sprint("k", i%500), int64(i+1)))
		}
		for range 5 {
			s, stop := b.start()
			b.eventually(func() bool { return s.Stats().Written > 20 || b.broker.Committed("tl-writer") == 3000 }, "progress")
			stop()
		}
		_, stop := b.start()
		b.eventually(func() bool { return b.broker.Committed("tl-writer") == 3000 }, "all settled")
		stop()
		require.Len(t, b.final(), 3000)
		for _, r := range b.orgs["main"].Records("Engagement__c") {
			require.IsIncreasing(t, append([]float64{0}, r.History...))
			require.Greater(t, r.History[len(r.History)-1], 2500.0)
		}
		require.Empty(t, b.orgs["main"].Problems())
	})
}

func pausedView(b *testBundle) *settings.View {
	b.t.Helper()
	snapshot := b.build.Snapshot()
	for _, c := range snapshot.GetWorkspaces()[0].GetConnections() {
		c.Paused = c.GetId() == "main"
	}
	view, err := settings.NewView(snapshot, b.build.Installation())
	require.NoError(b.t, err)
	return view
}

func TestConfig(t *testing.T) {
	t.Parallel()
	require.NoError(t, writer.DefaultConfig().Validate())
	for key, change := range map[string]func(*writer.Config){
		"lanes.batch_records":    func(c *writer.Config) { c.Lanes.BatchRecords = 201 },
		"refusals.share_percent": func(c *writer.Config) { c.Refusals.SharePercent = 0 },
		"refusals.pause":         func(c *writer.Config) { c.Refusals.Pause = 0 },
		"lanes.linger":           func(c *writer.Config) { c.Lanes.MaxLinger = 3 * time.Second },
		"lanes.attempts":         func(c *writer.Config) { c.Lanes.Attempts = 0 },
		"parking.keep_for":       func(c *writer.Config) { c.Parking.KeepFor = 0 },
		"gate.quota_percent":     func(c *writer.Config) { c.Gate.QuotaPercent = 0 },
		"ledger_keep":            func(c *writer.Config) { c.LedgerKeep = time.Hour },
		"ledger_keep: want":      func(c *writer.Config) { c.LedgerKeep = 397 * 24 * time.Hour },
		"drain_timeout":          func(c *writer.Config) { c.DrainTimeout = 0 },
		"lanes.held_records":     func(c *writer.Config) { c.Lanes.HeldRecords = 1 },
		"gate.retry_min":         func(c *writer.Config) { c.Gate.RetryMin = 0 },
		"parking.delay_min":      func(c *writer.Config) { c.Parking.DelayMin = time.Hour },
		"lanes.partition_lag":    func(c *writer.Config) { c.Lanes.LoneLag = 0 },
		"lanes.min_batch_record": func(c *writer.Config) { c.Lanes.MinBatchRecords = 0 },
	} {
		cfg := writer.DefaultConfig()
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), key)
	}
	_, err := writer.New(writer.DefaultConfig(), writer.Deps{})
	require.ErrorContains(t, err, "required")
}
