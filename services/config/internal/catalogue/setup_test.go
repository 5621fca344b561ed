package catalogue_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/configtest"
	"github.com/throughline-dev/throughline/services/config/internal/catalogue"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

var errAway = errors.New("the org is away")

// fakeOrgs answers for every connection, and notes what it is asked.
type fakeOrgs struct {
	mu    sync.Mutex
	asked []string // "workspace/connection object since"
	away  map[string]bool
	// fields are those of every object, by "workspace/connection".
	fields map[string][]string
	// held, if set, keeps the questions of one connection until it is closed.
	held    map[string]chan struct{}
	waiting chan struct{}
	size    int
}

func (o *fakeOrgs) ask(ctx context.Context, c *configv1.Connection, object string, since time.Time) ([]string, bool, error) {
	key := c.GetWorkspace() + "/" + c.GetId()
	o.mu.Lock()
	stamp := "in full"
	if !since.IsZero() {
		stamp = "since " + since.Format(time.TimeOnly)
	}
	o.asked = append(o.asked, key+" "+object+" "+stamp)
	away, fields, held := o.away[key], o.fields[key], o.held[key]
	o.mu.Unlock()
	if held != nil {
		o.waiting <- struct{}{}
		select {
		case <-held:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
	if away {
		return nil, false, errAway
	}
	return fields, !since.IsZero(), nil
}

func (o *fakeOrgs) Object(ctx context.Context, c *configv1.Connection, object string, since time.Time) (catalogue.Answer[configv1.DescribedObject], error) {
	fields, unchanged, err := o.ask(ctx, c, object, since)
	out := catalogue.Answer[configv1.DescribedObject]{Unchanged: unchanged, ModifiedAt: epoch}
	if err != nil || unchanged {
		return out, err
	}
	if object == "Gone__c" {
		return catalogue.Answer[configv1.DescribedObject]{}, nil
	}
	out.Said = &configv1.DescribedObject{Name: object, Label: strings.Repeat("x", o.size), Createable: true, Updateable: true}
	for _, name := range append(fields, "Text__c") {
		out.Said.Fields = append(out.Said.Fields, &configv1.DescribedField{
			Name: name, Type: "string", Length: 80, Createable: true, Updateable: true, Nillable: true, ExternalId: name == "Key__c", Unique: true,
		})
	}
	return out, nil
}

func (o *fakeOrgs) Objects(ctx context.Context, c *configv1.Connection, since time.Time) (catalogue.Answer[configv1.ObjectSummaries], error) {
	_, unchanged, err := o.ask(ctx, c, "", since)
	out := catalogue.Answer[configv1.ObjectSummaries]{Unchanged: unchanged, ModifiedAt: epoch}
	if err == nil && !unchanged {
		out.Said = &configv1.ObjectSummaries{Objects: []*configv1.ObjectSummary{{Name: "Row__c"}}}
	}
	return out, err
}

// questions returns what was asked since the last call.
func (o *fakeOrgs) questions() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	asked := o.asked
	o.asked = nil
	return asked
}

func (o *fakeOrgs) set(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
}

type testBundle struct {
	*catalogue.Catalogue
	cfg   catalogue.Config
	store *store.Store
	orgs  *fakeOrgs
	clock *stagetest.ManualClock
	// reader collects metrics.
	reader *metric.ManualReader
}

func setup(t *testing.T, change ...func(*catalogue.Config)) *testBundle {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), configtest.Database(t, filepath.Join(t.TempDir(), "config.db")))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	b := &testBundle{
		cfg: catalogue.DefaultConfig(), store: s, clock: stagetest.NewClock(epoch),
		orgs: &fakeOrgs{away: map[string]bool{}, fields: map[string][]string{}, held: map[string]chan struct{}{}, waiting: make(chan struct{}, 100)},
	}
	for _, c := range change {
		c(&b.cfg)
	}
	b.reopen(t)
	return b
}

// reopen makes a catalogue that remembers only what is in the store.
func (b *testBundle) reopen(t *testing.T) {
	t.Helper()
	var err error
	b.reader = metric.NewManualReader()
	b.Catalogue, err = catalogue.New(b.cfg, catalogue.Deps{
		Describes: b.store, Times: b.store, Broken: b.store, Counts: b.store, Settings: b.store, Orgs: b.orgs,
		Compile: integration.Compile, Clock: b.clock, Logger: slog.New(slog.DiscardHandler), Meter: metric.NewMeterProvider(metric.WithReader(b.reader)),
	})
	require.NoError(t, err)
}

func (b *testBundle) save(t *testing.T, key store.Key, m proto.Message, expected int64) {
	t.Helper()
	body, err := proto.Marshal(m)
	require.NoError(t, err)
	require.NoError(t, b.store.Put(t.Context(), store.Save{Key: key, Expected: expected, Body: body, At: epoch}))
}

// connect saves a workspace with a connection to an org of its own.
func (b *testBundle) connect(t *testing.T, workspace string, fields ...string) *configv1.Connection {
	t.Helper()
	b.save(t, store.Key{Workspace: workspace, Kind: store.KindWorkspace, ID: workspace}, &configv1.Workspace{Id: workspace}, 0)
	c := &configv1.Connection{Workspace: workspace, Id: "main", Version: 1}
	b.save(t, store.Key{Workspace: workspace, Kind: store.KindConnection, ID: "main"}, c, 0)
	b.orgs.set(func() { b.orgs.fields[workspace+"/main"] = append([]string{"Key__c"}, fields...) })
	return c
}

// rule saves an integration that writes a text field of the objects.
func (b *testBundle) rule(t *testing.T, c *configv1.Connection, objects ...string) *configv1.Integration {
	t.Helper()
	i := &configv1.Integration{
		Workspace: c.GetWorkspace(), Id: strings.ToLower(objects[0][:3]), Connection: c.GetId(), Enabled: true, Version: 1,
		Trigger: configv1.Trigger_TRIGGER_ENGAGEMENT_CHANGED,
	}
	for _, object := range objects {
		i.Actions = append(i.Actions, &configv1.Action{
			Name: object, Object: object, Operation: configv1.ActionOperation_ACTION_OPERATION_UPSERT, ExternalIdField: "Key__c",
			Scope: configv1.Scope_SCOPE_ENGAGEMENT, Fields: []*configv1.FieldMapping{
				{Field: "Text__c", Source: &configv1.FieldMapping_Path{Path: "content.title"}},
			},
		})
	}
	b.save(t, store.Key{Workspace: i.GetWorkspace(), Kind: store.KindIntegration, ID: i.GetId()}, i, 0)
	return i
}

// brokenMetric collects the gauge of broken integrations, by "workspace/connection".
func (b *testBundle) brokenMetric(t *testing.T) map[string]int64 {
	t.Helper()
	var got metricdata.ResourceMetrics
	require.NoError(t, b.reader.Collect(t.Context(), &got))
	out := map[string]int64{}
	for _, scope := range got.ScopeMetrics {
		for _, m := range scope.Metrics {
			gauge, ok := m.Data.(metricdata.Gauge[int64])
			if !ok || m.Name != "throughline.catalogue.broken" {
				continue
			}
			for _, p := range gauge.DataPoints {
				workspace, _ := p.Attributes.Value("throughline.workspace")
				connection, _ := p.Attributes.Value("throughline.connection")
				out[workspace.AsString()+"/"+connection.AsString()] = p.Value
			}
		}
	}
	return out
}
