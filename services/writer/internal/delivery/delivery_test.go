package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/writer/internal/delivery"
	"github.com/throughline-dev/throughline/services/writer/internal/gate"
	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
	"github.com/throughline-dev/throughline/services/writer/internal/parking"
	"github.com/throughline-dev/throughline/services/writer/internal/refusals"
	"github.com/throughline-dev/throughline/services/writer/internal/tally"
)

// testBundle is a handler between a port that records and an org.
type testBundle struct {
	t       testing.TB
	org     *orgtest.Org
	other   *orgtest.Org
	view    *settings.View
	table   *stage.Table
	port    *stagetest.Port
	tally   *tally.Tally
	gates   *gate.Registry
	cfg     delivery.Config
	pauses  refusals.Config
	handler *delivery.Handler
	orgs    orgs
	offset  int64
	changes []refusals.Change
	warned  warnings
	clock   clock
	wrap    func(stage.Port) stage.Port // what the handler gets for port, nil for port itself
}

// patience is how long a test waits for what takes a moment on a machine that is not busy.
const patience = 3 * time.Minute

// clock goes as the real one does, and a test can put it forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// jump lets time pass. A lane that sleeps does not notice before something wakes it.
func (c *clock) jump(d time.Duration) { c.ahead.Add(int64(d)) }

// warnings are the texts that were logged as warnings or errors.
type warnings struct {
	mu    sync.Mutex
	texts []string
}

func (w *warnings) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (w *warnings) WithAttrs([]slog.Attr) slog.Handler           { return w }
func (w *warnings) WithGroup(string) slog.Handler                { return w }

func (w *warnings) Handle(_ context.Context, r slog.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts = append(w.texts, r.Message)
	return nil
}

// await waits for a text.
func (w *warnings) await(t testing.TB, text string) {
	t.Helper()
	require.Eventually(t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.Contains(w.texts, text)
	}, patience, time.Millisecond, text)
}

// orgs hands out one client per connection: "main" goes to org, "other" to the other one.
type orgs map[string]*salesforce.Client

func (o orgs) Client(_, connection string) (*salesforce.Client, error) {
	if c := o[connection]; c != nil {
		return c, nil
	}
	return nil, errors.New("no such connection")
}

func setup(t testing.TB, change ...func(*delivery.Config)) *testBundle {
	t.Helper()
	b := &testBundle{t: t, org: orgtest.New(t), other: orgtest.New(t), table: stage.NewTable(), tally: tally.Discard()}
	b.view = settingstest.New(t).Workspace("acme").Connection("main").Connection("other").
		Connection("narrow", func(c *configv1.Connection) { c.Parallelism = 1 }).
		Connection("paused", func(c *configv1.Connection) { c.Paused = true }).View()
	cfg := salesforce.DefaultConfig()
	cfg.Timeout = 10 * time.Minute // whatever is held is held for as long as the test likes
	b.orgs = orgs{}
	for name, org := range map[string]*orgtest.Org{"main": b.org, "other": b.other, "narrow": b.org, "paused": b.org} {
		b.orgs[name] = salesforce.NewClient(cfg, salesforce.StaticToken{
			AccessToken: secret.New("token"), InstanceURL: org.URL(),
		}, salesforce.Deps{})
	}
	b.cfg, b.pauses = delivery.DefaultConfig(), refusals.DefaultConfig()
	b.cfg.HoldFor = 10 * time.Minute
	b.cfg.Linger, b.cfg.RetryMin, b.cfg.RetryMax, b.cfg.LookAfter = 5*time.Millisecond, time.Millisecond, 5*time.Millisecond, time.Millisecond
	for _, f := range change {
		f(&b.cfg)
	}
	b.restart()
	return b
}

// restart builds a new handler on the same ledger, as after a crash.
func (b *testBundle) restart() {
	b.t.Helper()
	valid := b.cfg
	valid.MaxLinger = min(valid.MaxLinger, delivery.DefaultConfig().MaxLinger) // see patient
	valid.Linger = min(valid.Linger, valid.MaxLinger)
	require.NoError(b.t, valid.Validate())
	b.port = stagetest.NewPort(b.table)
	gates := gate.DefaultConfig()
	gates.RetryMin = 20 * time.Millisecond
	ws, ok := b.view.Workspace("acme")
	require.True(b.t, ok)
	b.gates = gate.NewRegistry(func(work func(context.Context)) { go work(b.t.Context()) }, gates, func(_, connection string) gate.Connection {
		return func() (*configv1.Connection, gate.Client, error) {
			c, ok := ws.Connection(connection)
			client, err := b.orgs.Client("", connection)
			if !ok || err != nil {
				return nil, nil, errors.New("no such connection")
			}
			return c, client, nil
		}
	})
	var mu sync.Mutex
	paused := refusals.New(b.pauses, func(c refusals.Change) {
		mu.Lock()
		defer mu.Unlock()
		b.changes = append(b.changes, c)
	})
	var port stage.Port = b.port
	if b.wrap != nil {
		port = b.wrap(port)
	}
	b.handler = delivery.NewHandler(b.cfg, delivery.Deps{
		Settings: settings.Static(b.view), Orgs: b.orgs, Gates: b.gates, Refusals: paused, Clock: &b.clock,
		Logger: slog.New(&b.warned), Tracer: noop.NewTracerProvider().Tracer(""), Tally: b.tally,
		ParkDelay: parking.Delay{Min: time.Second, Max: time.Minute}, LedgerKeep: 24 * time.Hour, LedgerSweep: time.Hour,
		Accepted: func(int64, streamv1.Priority, time.Time) {},
	}, b.table, port)
	handler := b.handler
	b.t.Cleanup(func() {
		if handler != b.handler {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_ = b.handler.Drain(ctx)
	})
}

// patient waits until a request is full, longer than anybody may configure it, so that a slow machine does not change how many
// there are.
func patient(records int) func(*delivery.Config) {
	return func(c *delivery.Config) {
		c.BatchRecords, c.MinBatchRecords = records, min(records, c.MinBatchRecords)
		c.Linger, c.MaxLinger = time.Minute, time.Minute
	}
}

func (b *testBundle) drain() {
	b.t.Helper()
	require.NoError(b.t, b.handler.Drain(b.t.Context()))
	b.restart()
}

// write describes one write; the zero value is an upsert into the main org.
type write struct {
	key, connection, parent, who string
	revision                     int64
	fields                       map[string]any
	change                       func(*streamv1.Write)
}

func (b *testBundle) upsert(w write) *streamv1.Write {
	b.t.Helper()
	if w.connection == "" {
		w.connection = "main"
	}
	if w.revision == 0 {
		w.revision = 1
	}
	values := &streamv1.FieldValues{}
	set := func(name string, v any) {
		f := &streamv1.FieldValue{Field: name}
		switch v := v.(type) {
		case string:
			f.Value = &streamv1.FieldValue_Text{Text: v}
		case float64:
			f.Value = &streamv1.FieldValue_Number{Number: v}
		}
		values.Fields = append(values.Fields, f)
	}
	set("Rev__c", float64(w.revision))
	if w.parent != "" {
		set("Parent__c", w.parent)
	}
	for name, v := range w.fields {
		set(name, v)
	}
	plain, err := proto.Marshal(values)
	require.NoError(b.t, err)
	ws, _ := b.view.Workspace("acme")
	sealed, err := ws.Keys().Seal(plain)
	require.NoError(b.t, err)
	pb := &streamv1.Write{
		WriteKey: w.key, Workspace: "acme", Connection: w.connection, Integration: "views", IntegrationVersion: 1,
		Revision: w.revision, Object: "Engagement__c", Operation: streamv1.Operation_OPERATION_UPSERT,
		ExternalIdField: "External_Id__c", ExternalId: w.key, SealedFields: sealed, ContentHash: ws.Keys().Hash(plain),
		LockParent: w.parent, VisitId: "visit", EventId: "event", OccurredAt: timestamppb.Now(),
	}
	if w.change != nil {
		w.change(pb)
	}
	return pb
}

func (b *testBundle) insert(w write) *streamv1.Write {
	b.t.Helper()
	w.fields = map[string]any{"WhoId": "003" + w.who, "Description": "seen\nThroughline: " + w.key, "OwnerId": "005X"}
	pb := b.upsert(w)
	pb.Object, pb.Operation, pb.ExternalIdField, pb.ExternalId = "Task", streamv1.Operation_OPERATION_INSERT, "", ""
	pb.Marker, pb.MarkerField = "Throughline: "+w.key, "Description"
	pb.MarkerScopeField, pb.MarkerScopeValue = "WhoId", "003"+w.who
	return pb
}

// accept hands writes over as records with ascending offsets.
func (b *testBundle) accept(writes ...*streamv1.Write) {
	b.t.Helper()
	for _, w := range writes {
		b.acceptFrom(time.Now(), w)
	}
}

// acceptFrom is accept for a record that was written at an instant.
func (b *testBundle) acceptFrom(at time.Time, w *streamv1.Write) {
	b.t.Helper()
	value, err := proto.Marshal(w)
	require.NoError(b.t, err)
	require.NoError(b.t, b.handler.Accept(b.t.Context(), stage.Record{
		Topic: topic.Writes, Offset: b.offset, Time: at, Value: value,
		Key: topic.ConnectionKey(w.GetWorkspace(), w.GetConnection()),
	}))
	b.offset++
}

// settled waits until n offsets are settled.
func (b *testBundle) settled(n int) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	require.NoError(b.t, b.port.Await(ctx, func(p *stagetest.Port) bool { return len(p.Settled()) >= n }),
		"only %d of %d settled", len(b.port.Settled()), n)
}

// outcomes returns the newest outcome per write and revision, as "STATUS REASON".
func (b *testBundle) outcomes() map[string]string {
	b.t.Helper()
	m := map[string]string{}
	for _, o := range b.all() {
		text := o.GetStatus().String()[len("STATUS_"):]
		if o.GetReason() != 0 {
			text += " " + o.GetReason().String()[len("REASON_"):]
		}
		m[fmt.Sprintf("%s/%d", o.GetWriteKey(), o.GetRevision())] = text
	}
	return m
}

func (b *testBundle) all() []*streamv1.Outcome {
	b.t.Helper()
	var all []*streamv1.Outcome
	for _, m := range b.port.Published() {
		if m.Topic != topic.Outcomes {
			continue
		}
		o := new(streamv1.Outcome)
		require.NoError(b.t, proto.Unmarshal(m.Value, o))
		all = append(all, o)
	}
	return all
}

func (b *testBundle) parked() (writes []stage.Message) {
	for _, m := range b.port.Published() {
		if m.Topic == topic.Parked {
			writes = append(writes, m)
		}
	}
	return writes
}

func apiError(code, message string) string {
	return fmt.Sprintf(`[{"errorCode":%q,"message":%q}]`, code, message)
}

func (b *testBundle) refuses(w *streamv1.Write) {
	b.t.Helper()
	value, err := proto.Marshal(w)
	require.NoError(b.t, err)
	err = b.handler.Accept(b.t.Context(), stage.Record{Topic: topic.Writes, Value: value, Time: time.Now()})
	reason, ok := stage.PermanentReason(err)
	require.True(b.t, ok, "%v", err)
	require.Equal(b.t, "BAD_SCHEMA", reason)
}
