package reports_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/ingest/rows"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
	"github.com/throughline-dev/throughline/services/sync/reports"
	"github.com/throughline-dev/throughline/services/writer"
)

const within = 3 * time.Minute

const scenario = `
orgs:
  - key: main
    api: {daily_limit: 1000000}
    apps: [{client_id: app, client_secret: secret, run_as: integration@acme.example}]
    users: [{username: integration@acme.example, last_name: Integration}]
    objects:
      - name: Contact
        fields:
          - {name: Guid__c, type: string, length: 64, external_id: true}
          - {name: Score__c, type: double, precision: 10, scale: 2}
          - {name: Active__c, type: boolean}
          - {name: Seen__c, type: date}
          - {name: Plan__c, type: picklist, values: [Free, Gold], restricted: true}
          - {name: Note__c, type: string, length: 20}
`

// testBundle is the component between a Kafka in memory, a simulated org and a config service that hands out one run at a time. The
// writer, when it is started, is the real one.
type testBundle struct {
	t      *testing.T
	broker *stagetest.Broker
	sim    *simulator.Simulator
	org    *salesforce.Client
	view   *settings.View
	inst   *settingstest.Builder
	runs   *runs
	base   string
	cfg    reports.Config
	deps   reports.Deps
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	b := &testBundle{t: t, broker: stagetest.NewBroker(), cfg: reports.DefaultConfig()}
	for _, name := range []string{
		topic.Rows, topic.RowsState, topic.Writes, topic.Parked, topic.Outcomes, topic.DeadLetters, topic.Ledger,
	} {
		b.broker.Create(name, 1)
	}
	sc, err := simulator.ParseScenario([]byte(scenario))
	require.NoError(t, err)
	b.sim, err = simulator.New(simulator.DefaultConfig(), simulator.Deps{})
	require.NoError(t, err)
	require.NoError(t, b.sim.Seed(t.Context(), sc))
	server := httptest.NewServer(b.sim.Handler())
	t.Cleanup(server.Close)
	b.base = server.URL
	token, err := oauth.ClientCredentials(t.Context(), oauth.Request{
		LoginURL: server.URL + "/orgs/main", ClientID: "app", ClientSecret: secret.New("secret"),
	})
	require.NoError(t, err)
	b.org = salesforce.NewClient(salesforce.DefaultConfig(),
		salesforce.StaticToken{AccessToken: token.AccessToken, InstanceURL: token.InstanceURL}, salesforce.Deps{})
	b.inst = settingstest.New(t).Workspace("acme").Connection("main").APIKey("source", "s3cr3t")
	b.view = b.inst.View()
	b.runs = newRuns(b)
	b.cfg.Runs.Poll, b.cfg.Runs.WaitMin, b.cfg.Runs.WaitMax = 5*time.Millisecond, 10*time.Millisecond, 20*time.Millisecond
	b.cfg.Deliveries.BatchWait, b.cfg.Deliveries.RetryMin, b.cfg.Deliveries.RetryMax = time.Millisecond, time.Millisecond, 20*time.Millisecond
	b.deps = reports.Deps{
		Broker: b.broker, Publisher: publisher{b.broker}, Settings: settings.Static(b.view), Orgs: b, Runs: b.runs,
		Behind: func(context.Context, string, string) (int64, error) { return 0, nil },
	}
	return b
}

// Client implements push.Orgs and writer.Orgs.
func (b *testBundle) Client(_, _ string) (*salesforce.Client, error) { return b.org, nil }

// publisher publishes to the broker in memory.
type publisher struct{ broker *stagetest.Broker }

func (p publisher) Publish(ctx context.Context, messages ...stage.Message) error {
	return p.broker.Produce(ctx, stage.ProduceBatch{Source: "test", Messages: messages})
}

func (b *testBundle) eventually(ok func() bool, what string) {
	b.t.Helper()
	require.Eventually(b.t, ok, within, 2*time.Millisecond, "it did not happen that %s", what)
}

// waitFor closes the channel that it returns once it is so.
func waitFor(ok func() bool) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for !ok() {
			<-tick.C
		}
	}()
	return done
}

// start starts the component; stop cuts it off.
func (b *testBundle) start() (stop func()) {
	b.t.Helper()
	c, err := reports.New(b.cfg, b.deps)
	require.NoError(b.t, err)
	return b.background(c.Run)
}

func (b *testBundle) startWriter() (stop func()) {
	b.t.Helper()
	cfg := writer.DefaultConfig()
	cfg.Lanes.Linger, cfg.Lanes.BulkLinger, cfg.Lanes.RetryMin, cfg.Lanes.RetryMax =
		5*time.Millisecond, 5*time.Millisecond, 5*time.Millisecond, 20*time.Millisecond
	cfg.Lanes.BulkPollMin, cfg.Lanes.BulkPollMax = 5*time.Millisecond, 20*time.Millisecond
	cfg.DrainTimeout = time.Minute
	w, err := writer.New(cfg, writer.Deps{
		Broker: b.broker, Settings: settings.Static(b.view), Orgs: b, DeadLetter: deadletter.Encode(b.inst.Installation()),
	})
	require.NoError(b.t, err)
	return b.background(w.Run)
}

func (b *testBundle) background(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(b.t, <-done)
	})
	b.t.Cleanup(stop)
	return stop
}

// control asks the simulator for something that Salesforce has no API for.
func (b *testBundle) control(what string, body ...string) {
	b.t.Helper()
	resp, err := http.Post(b.base+"/_sim/"+what, "", strings.NewReader(strings.Join(body, "")))
	require.NoError(b.t, err)
	require.NoError(b.t, resp.Body.Close())
	require.Less(b.t, resp.StatusCode, http.StatusMultipleChoices)
}

// contacts puts contacts into the org and returns their ids.
func (b *testBundle) contacts(records ...salesforce.Fields) []string {
	b.t.Helper()
	var all []salesforce.CollectionRecord
	for _, f := range records {
		all = append(all, salesforce.CollectionRecord{Fields: append(salesforce.Fields{{Name: "LastName", Value: "Yamada"}}, f...)})
	}
	var ids []string
	for some := range slices.Chunk(all, salesforce.MaxCollection) {
		answer, err := b.org.Collections(b.t.Context(), salesforce.CollectionRequest{Object: "Contact", Operation: salesforce.Insert, Records: some})
		require.NoError(b.t, err)
		for _, r := range answer.Records {
			require.Nil(b.t, r.Err)
			ids = append(ids, r.ID)
		}
	}
	return ids
}

func contact(guid string, more ...any) salesforce.Fields {
	f := salesforce.Fields{{Name: "Guid__c", Value: guid}}
	for i := 0; i < len(more); i += 2 {
		f = append(f, salesforce.Field{Name: more[i].(string), Value: more[i+1]})
	}
	return f
}

// held reads a field of all contacts, by guid, past everything.
func (b *testBundle) held(field string) map[string]any {
	b.t.Helper()
	var text bytes.Buffer
	require.NoError(b.t, b.sim.Export(context.Background(), &text, simulator.Selection{Org: "main", Object: "Contact"}))
	out := map[string]any{}
	for dec := json.NewDecoder(&text); dec.More(); {
		var fields map[string]any
		require.NoError(b.t, dec.Decode(&fields))
		guid, _ := fields["Guid__c"].(string)
		out[guid] = fields[field]
	}
	return out
}

// deliver brings rows in over HTTP, as a source does.
func (b *testBundle) deliver(columns []string, table ...[]any) {
	b.t.Helper()
	var body strings.Builder
	line := func(v any) {
		text, err := json.Marshal(v)
		require.NoError(b.t, err)
		body.Write(append(text, '\n'))
	}
	line(map[string]any{"begin": map[string]any{"columns": columns}})
	for _, row := range table {
		line(row)
	}
	line(map[string]any{"end": map[string]any{"rows": len(table)}})
	require.Equal(b.t, http.StatusAccepted, b.post(body.String()))
}

func (b *testBundle) post(body string) int {
	r := httptest.NewRequest(http.MethodPost, "/v1/reports/usage/deliveries/today", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-ndjson")
	r.Header.Set("Authorization", "Bearer tl_acme_source_s3cr3t")
	w := httptest.NewRecorder()
	rows.NewHandler(rows.DefaultConfig(), rows.Deps{
		Logger: discard, Clock: stage.SystemClock{}, Publisher: publisher{b.broker}, Settings: settings.Static(b.view),
	}).ServeHTTP(w, r)
	return w.Code
}

// writes are what was handed to the writer, by row, opened.
func (b *testBundle) writes() map[int64][]*streamv1.Write {
	out := map[int64][]*streamv1.Write{}
	for _, rec := range b.broker.Records(topic.Writes) {
		w := new(streamv1.Write)
		require.NoError(b.t, proto.Unmarshal(rec.Value, w))
		out[w.GetRunRow().GetNumber()] = append(out[w.GetRunRow().GetNumber()], w)
	}
	return out
}

// fields of a write, as text.
func (b *testBundle) fields(w *streamv1.Write) string {
	ws, _ := b.view.Workspace("acme")
	plain, err := ws.Keys().Open(w.GetSealedFields())
	require.NoError(b.t, err)
	values := new(streamv1.FieldValues)
	require.NoError(b.t, proto.Unmarshal(plain, values))
	var out []string
	for _, f := range values.GetFields() {
		v := "null"
		switch value := f.GetValue().(type) {
		case *streamv1.FieldValue_Text:
			v = value.Text
		case *streamv1.FieldValue_Number:
			v = fmt.Sprint(value.Number)
		case *streamv1.FieldValue_Flag:
			v = strconv.FormatBool(value.Flag)
		}
		out = append(out, f.GetField()+"="+v)
	}
	return strings.Join(out, " ")
}

// outcomes are the last outcome of every write of the run, by row.
func (b *testBundle) outcomes() map[int64]*streamv1.Outcome {
	out := map[int64]*streamv1.Outcome{}
	for _, rec := range b.broker.Records(topic.Outcomes) {
		o := new(streamv1.Outcome)
		require.NoError(b.t, proto.Unmarshal(rec.Value, o))
		if o.GetStatus() != streamv1.Status_STATUS_RETRYING && o.GetStatus() != streamv1.Status_STATUS_PARKED {
			out[o.GetRunRow().GetNumber()] = o
		}
	}
	return out
}
