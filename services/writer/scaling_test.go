package writer_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/flow"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
	"github.com/throughline-dev/throughline/services/writer"
)

const (
	fleetOrgs        = 8
	fleetParallelism = 2
)

// rows is how many rows an org has: the first has many times what the others have.
func rows(org int) int {
	if org == 0 {
		return 150
	}
	return 20
}

// fleet is a group of writers that share the work, over a broker that assigns it, and orgs that take 15 ms a call.
type fleet struct {
	t     *testing.T
	kafka *kafka.Client
	sim   *simulator.Simulator
	build *settingstest.Builder
	view  *settings.View
	url   string

	mu       sync.Mutex
	busy     map[string]int // requests that an org is working on
	peak     map[string]int
	held     *held
	revision int64
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, busy: map[string]int{}, peak: map[string]int{}}
	embedded, err := broker.Start(broker.Config{})
	require.NoError(t, err)
	t.Cleanup(embedded.Close)
	f.kafka, err = kafka.New(kafka.DefaultConfig(embedded.Addr()...), kafka.Deps{})
	require.NoError(t, err)
	t.Cleanup(f.kafka.Close)
	for _, name := range []string{topic.Writes, topic.Parked, topic.Outcomes, topic.Changes, topic.DeadLetters, topic.Ledger} {
		require.NoError(t, f.kafka.EnsureTopics(t.Context(), kafka.TopicSpec{Name: name, Partitions: 6, Compacted: name == topic.Ledger}))
	}
	f.build = settingstest.New(t).Workspace("acme")
	var yaml strings.Builder
	yaml.WriteString("orgs:\n")
	for i := range fleetOrgs {
		f.build.Connection(fmt.Sprint("org", i), func(c *configv1.Connection) { c.Parallelism = fleetParallelism })
		fmt.Fprintf(&yaml, `
  - key: org%d
    package: true
    api: {daily_limit: 1000000}
    latency: {median: 15ms, p99: 20ms}
    apps: [{client_id: app, client_secret: secret, run_as: integration@acme.example}]
    users: [{username: integration@acme.example, last_name: Integration}]
`, i)
	}
	f.view = f.build.View()
	sc, err := simulator.ParseScenario([]byte(yaml.String()))
	require.NoError(t, err)
	f.sim, err = simulator.New(simulator.DefaultConfig(), simulator.Deps{})
	require.NoError(t, err)
	require.NoError(t, f.sim.Seed(t.Context(), sc))
	server := httptest.NewServer(f.counting(f.sim.Handler()))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// counting counts the collections that each org works on at a time, also those whose sender is gone.
func (f *fleet) counting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/composite/") {
			next.ServeHTTP(w, r)
			return
		}
		org, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/orgs/"), "/")
		f.mu.Lock()
		f.busy[org]++
		f.peak[org] = max(f.peak[org], f.busy[org])
		f.mu.Unlock()
		defer func() {
			f.mu.Lock()
			f.busy[org]--
			f.mu.Unlock()
		}()
		if h := f.holds(org, r); h != nil {
			h.serve(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// join adds a writer to the group; the returned function takes it away again.
func (f *fleet) join(change ...func(*writer.Config, *writer.Deps)) (*writer.Service, func()) {
	f.t.Helper()
	clients := orgs{}
	for i := range fleetOrgs {
		name := fmt.Sprint("org", i)
		clients[name] = salesforce.NewClient(unhurried(), &grant{url: f.url + "/orgs/" + name}, salesforce.Deps{})
	}
	cfg := writer.DefaultConfig()
	cfg.Lanes.BatchRecords, cfg.Lanes.MinBatchRecords = 5, 5
	cfg.Lanes.Linger, cfg.Lanes.RetryMin = 5*time.Millisecond, time.Millisecond
	cfg.Parking.Recheck, cfg.Parking.DelayMin = 10*time.Millisecond, time.Millisecond
	deps := writer.Deps{
		Broker: f.kafka, Settings: settings.Static(f.view), Orgs: clients, DeadLetter: deadletter.Encode(f.build.Installation()),
	}
	for _, c := range change {
		c(&cfg, &deps)
	}
	s, err := writer.New(cfg, deps)
	require.NoError(f.t, err)
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return s, sync.OnceFunc(func() {
		cancel()
		require.NoError(f.t, <-done)
	})
}

// load sends a newer revision of every row of every org, and a Task for each, found again by its marker.
func (f *fleet) load(rounds int) {
	f.t.Helper()
	for range rounds {
		f.revision++
		var messages []stage.Message
		for org := range fleetOrgs {
			for row := range rows(org) {
				messages = append(messages, f.message(f.row(fmt.Sprint("org", org), fmt.Sprint("row", row))))
			}
			messages = append(messages, f.message(f.task(fmt.Sprint("org", org), fmt.Sprint("task", f.revision))))
		}
		require.NoError(f.t, f.kafka.Publish(f.t.Context(), messages...))
	}
}

// loadUntil sends round after round.
func (f *fleet) loadUntil(ok func() bool, what string) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		require.True(f.t, time.Now().Before(deadline), what)
		f.load(1)
		f.after(f.revision)
	}
}

func (f *fleet) message(w *streamv1.Write) stage.Message {
	f.t.Helper()
	value, err := proto.Marshal(w)
	require.NoError(f.t, err)
	return stage.Message{
		Topic: topic.Writes, Key: topic.ConnectionKey(w.GetWorkspace(), w.GetConnection()), Value: value,
		ID: fmt.Sprint(w.GetWriteKey(), "/", w.GetRevision()), Type: topic.TypeWrite, Time: time.Now(),
	}
}

func (f *fleet) write(connection, key string, fields ...*streamv1.FieldValue) *streamv1.Write {
	f.t.Helper()
	plain, err := proto.Marshal(&streamv1.FieldValues{Fields: fields})
	require.NoError(f.t, err)
	ws, _ := f.view.Workspace("acme")
	sealed, err := ws.Keys().Seal(plain)
	require.NoError(f.t, err)
	return &streamv1.Write{
		WriteKey: key, Workspace: "acme", Connection: connection, Revision: f.revision, SealedFields: sealed,
		ContentHash: ws.Keys().Hash(plain), VisitId: "visit", OccurredAt: timestamppb.Now(),
	}
}

func (f *fleet) row(connection, key string) *streamv1.Write {
	w := f.write(connection, key, &streamv1.FieldValue{Field: "View_Count__c", Value: &streamv1.FieldValue_Number{Number: float64(f.revision)}})
	w.Object, w.Operation = "Engagement__c", streamv1.Operation_OPERATION_UPSERT
	w.ExternalIdField, w.ExternalId = "External_Id__c", key
	return w
}

func (f *fleet) task(connection, key string) *streamv1.Write {
	w := f.write(connection, key,
		&streamv1.FieldValue{Field: "Description", Value: &streamv1.FieldValue_Text{Text: "Ref: " + key}},
		&streamv1.FieldValue{Field: "Subject", Value: &streamv1.FieldValue_Text{Text: "Call"}})
	w.Object, w.Operation = "Task", streamv1.Operation_OPERATION_INSERT
	w.Marker, w.MarkerField = "Ref: "+key, "Description"
	return w
}

// after waits until an org holds a Task of a round, so that the load is known to be under way, or over.
func (f *fleet) after(round int64) {
	f.t.Helper()
	f.eventually(func() bool {
		for org := range fleetOrgs {
			if len(f.query(fmt.Sprint("org", org), fmt.Sprintf("SELECT Id FROM Task WHERE Subject = 'Call' LIMIT %d", round))) < int(round) {
				return false
			}
		}
		return true
	}, fmt.Sprint("round ", round, " is written"))
}

func (f *fleet) query(org, soql string) []salesforce.Record {
	f.t.Helper()
	client := salesforce.NewClient(unhurried(), &grant{url: f.url + "/orgs/" + org}, salesforce.Deps{})
	defer client.CloseIdle()
	records, err := client.Query(f.t.Context(), soql)
	require.NoError(f.t, err)
	return records
}

func (f *fleet) eventually(ok func() bool, what string) {
	f.t.Helper()
	require.Eventually(f.t, ok, patience, 10*time.Millisecond, what)
}

// whole waits until everything is settled, and checks that nothing is lost or doubled and no older revision came last.
func (f *fleet) whole() {
	f.t.Helper()
	f.after(f.revision)
	require.NoError(f.t, flow.AwaitQuiet(f.t.Context(), f.kafka, []flow.Hop{flow.Parked, {Group: "tl-writer", Topic: topic.Writes}}))
	for org := range fleetOrgs {
		name := fmt.Sprint("org", org)
		found := f.query(name, "SELECT External_Id__c, View_Count__c FROM Engagement__c")
		require.Len(f.t, found, rows(org), name)
		for _, row := range found {
			require.InDelta(f.t, f.revision, row.Float("View_Count__c"), 0, "%s of %s: an older revision came last", row.String("External_Id__c"), name)
		}
		tasks := map[string]int{}
		for _, task := range f.query(name, "SELECT Description FROM Task") {
			tasks[task.String("Description")]++
		}
		require.Len(f.t, tasks, int(f.revision), "lost in %s", name)
		for marker, n := range tasks {
			require.Equal(f.t, 1, n, "%s doubled in %s", marker, name)
		}
	}
}

// TestWritersAreAddedAndRemovedInTheMiddleOfTheLoad proves that writers scale alone: what they write stays whole, in order and
// within each org's limit, whoever writes it.
func TestWritersAreAddedAndRemovedInTheMiddleOfTheLoad(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-14")
	f := newFleet(t)
	first, stopFirst := f.join()
	f.load(6)
	f.after(1) // in the middle of requests
	second, stopSecond := f.join()
	third, stopThird := f.join()
	f.loadUntil(func() bool { return second.Stats().Written > 0 && third.Stats().Written > 0 }, "the work is shared")
	f.load(6)
	stopFirst() // in the middle of requests
	f.load(4)
	stopSecond()
	stopThird() // to zero, with work left
	f.load(4)
	fourth, stopFourth := f.join()
	defer stopFourth()
	f.whole()
	for org := range fleetOrgs {
		name := fmt.Sprint("org", org)
		require.LessOrEqual(t, f.peak[name], fleetParallelism, "%s has a limit, however many writers there are", name)
	}
	for n, s := range []*writer.Service{first, second, third, fourth} {
		require.NotZero(t, s.Stats().Written, "writer %d", n+1)
		require.Empty(t, s.Stats().Failed)
	}
}
