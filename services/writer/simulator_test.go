package writer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	"github.com/throughline-dev/throughline/libs/secret"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
)

const scenario = `
orgs:
  - key: main
    package: true
    api: {daily_limit: 100000}
    apps: [{client_id: app, client_secret: secret, run_as: integration@acme.example}]
    users: [{username: integration@acme.example, last_name: Integration}, {username: gone@acme.example, last_name: Gone, inactive: true}]
    records:
      Lead:
        - {ref: taro, LastName: 山田, Company: 東洋, Email: taro@toyo.example}
        - {ref: hanako, LastName: 佐藤, Company: 東洋, Email: hanako@toyo.example}
`

// simBundle is a whole writer against the simulated org.
type simBundle struct {
	*testBundle
	sim   *simulator.Simulator
	org   *salesforce.Client
	base  string
	leads []string
}

func setupSimulator(t *testing.T) *simBundle {
	t.Helper()
	b := &simBundle{testBundle: setup(t)}
	sc, err := simulator.ParseScenario([]byte(scenario))
	require.NoError(t, err)
	b.sim, err = simulator.New(simulator.DefaultConfig(), simulator.Deps{})
	require.NoError(t, err)
	require.NoError(t, b.sim.Seed(t.Context(), sc))
	server := httptest.NewServer(b.sim.Handler())
	t.Cleanup(server.Close)
	b.base = server.URL + "/orgs/main"
	b.org = salesforce.NewClient(unhurried(), &grant{url: b.base}, salesforce.Deps{})
	b.client["main"] = b.org
	b.cfg.Lanes.LookAfter = 10 * time.Millisecond
	leads, err := b.org.Query(t.Context(), "SELECT Id FROM Lead ORDER BY LastName")
	require.NoError(t, err)
	for _, l := range leads {
		b.leads = append(b.leads, l.String("Id"))
	}
	return b
}

// holdCollections lets no collection of the writer through until it asks what became of a bulk job: a backlog builds up,
// however slow the machine is.
func (b *simBundle) holdCollections() {
	b.t.Helper()
	asked := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(asked) })
	org := b.sim.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/successfulResults"):
			letGo()
		case r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/composite/sobjects"):
			<-asked
		}
		org.ServeHTTP(w, r)
	}))
	b.t.Cleanup(server.Close)
	b.t.Cleanup(letGo)
	b.client["main"] = salesforce.NewClient(unhurried(), &grant{url: server.URL + "/orgs/main"}, salesforce.Deps{})
}

// unhurried is for clients whose answers a test, or a busy machine, holds back: none is given up meanwhile.
func unhurried() salesforce.Config {
	cfg := salesforce.DefaultConfig()
	cfg.Timeout = 10 * time.Minute
	return cfg
}

func (b *simBundle) task(key, who string, change ...func(*streamv1.Write, *streamv1.FieldValues)) *streamv1.Write {
	b.t.Helper()
	text := func(name, v string) *streamv1.FieldValue {
		return &streamv1.FieldValue{Field: name, Value: &streamv1.FieldValue_Text{Text: v}}
	}
	fields := &streamv1.FieldValues{Fields: []*streamv1.FieldValue{
		text("Description", "資料を閲覧\nThroughline: "+key), text("Subject", "資料を閲覧"), text("WhoId", who),
	}}
	w := b.write("main", key, 1)
	w.Object, w.Operation, w.ExternalIdField, w.ExternalId = "Task", streamv1.Operation_OPERATION_INSERT, "", ""
	w.Marker, w.MarkerField, w.MarkerScopeField, w.MarkerScopeValue = "Throughline: "+key, "Description", "WhoId", who
	for _, f := range change {
		f(w, fields)
	}
	plain, err := proto.Marshal(fields)
	require.NoError(b.t, err)
	ws, _ := b.views.View().Workspace("acme")
	w.SealedFields, err = ws.Keys().Seal(plain)
	require.NoError(b.t, err)
	return w
}

// seal seals texts as the fields of a write.
func (b *simBundle) seal(texts map[string]string) []byte {
	b.t.Helper()
	fields := &streamv1.FieldValues{}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		fields.Fields = append(fields.Fields, &streamv1.FieldValue{Field: name, Value: &streamv1.FieldValue_Text{Text: texts[name]}})
	}
	plain, err := proto.Marshal(fields)
	require.NoError(b.t, err)
	ws, _ := b.views.View().Workspace("acme")
	sealed, err := ws.Keys().Seal(plain)
	require.NoError(b.t, err)
	return sealed
}

// row is an engagement as the package's object knows it.
func (b *simBundle) row(key string, revision int64) *streamv1.Write {
	b.t.Helper()
	w := b.write("main", key, revision)
	plain, err := proto.Marshal(&streamv1.FieldValues{Fields: []*streamv1.FieldValue{
		{Field: "Title__c", Value: &streamv1.FieldValue_Text{Text: "製品資料"}},
		{Field: "View_Count__c", Value: &streamv1.FieldValue_Number{Number: float64(revision)}},
	}})
	require.NoError(b.t, err)
	ws, _ := b.views.View().Workspace("acme")
	w.SealedFields, err = ws.Keys().Seal(plain)
	require.NoError(b.t, err)
	w.ContentHash = ws.Keys().Hash(plain)
	return w
}

// allHit checks that every fault in force has befallen something: one that nothing meets proves nothing.
func (b *simBundle) allHit() {
	b.t.Helper()
	answer := httptest.NewRecorder()
	b.sim.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/_sim/faults", nil))
	var rules []struct {
		simulator.Fault
		Hit int
	}
	require.NoError(b.t, json.Unmarshal(answer.Body.Bytes(), &rules))
	for _, r := range rules {
		require.Positive(b.t, r.Hit, "%s on %q", r.Action, r.Route)
	}
}

func (b *simBundle) ended(n int) {
	b.t.Helper()
	b.eventually(func() bool {
		if b.clock != nil {
			b.clock.Advance(time.Millisecond) // for what is tried again; together waits for much longer
		}
		ended := 0
		for _, outcome := range b.final() {
			if outcome != "RETRYING" && len(outcome) > 6 && outcome[:6] != "PARKED" && outcome[:6] != "RETRYI" {
				ended++
			}
		}
		return ended >= n
	}, "all writes end")
}

func TestAgainstTheSimulator(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]simulator.Fault{
		"NoFaults": nil,
		"ServerErrors": {
			{Route: "collections.*", Action: "status", Status: 500, Code: "UNKNOWN_EXCEPTION", Message: "An unexpected error", Nth: []int{1, 4}},
			{Route: "collections.*", Action: "maintenance", Nth: []int{2}},
		},
		"AnswersLostAfterCommit": {{Route: "collections.*", Action: "drop_after", Nth: []int{1, 3}}},
		"ConnectionsLostBefore":  {{Route: "collections.*", Action: "drop_before", Nth: []int{1, 3}}},
		"SessionsExpire":         {{Route: "collections.*", Action: "expire_session", Nth: []int{1, 2, 4}}},
		"RowsLocked":             {{Route: "collections.*", Action: "lock_row", Every: 3, Times: 150}},
		"QuotaForAMoment":        {{Action: "quota_exceeded", Times: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("requirement", "XC-4")
			b := setupSimulator(t)
			_, err := b.sim.AddFaults(faults...)
			require.NoError(t, err)
			s, stop := b.start()
			defer stop()
			for i := range 200 {
				b.send(b.task(fmt.Sprint("task", i), b.leads[i%len(b.leads)]), b.row(fmt.Sprint("row", i%50), int64(i+1)))
			}
			b.ended(400)
			b.allHit()
			b.sim.RemoveFaults("")

			tasks, err := b.org.Query(t.Context(), "SELECT Id, Description, Status FROM Task")
			require.NoError(t, err)
			markers := map[string]bool{}
			for _, task := range tasks {
				markers[task.String("Description")] = true
			}
			require.Len(t, tasks, 200, "lost or doubled")
			require.Len(t, markers, 200)
			require.NotEmpty(t, tasks[0].String("Status"), "the org's own default (IMM-26)")
			rows, err := b.org.Query(t.Context(), "SELECT External_Id__c, View_Count__c FROM Engagement__c")
			require.NoError(t, err)
			require.Len(t, rows, 50)
			for _, row := range rows {
				require.Greater(t, row.Float("View_Count__c"), 150.0, "an older revision came last")
			}
			require.Empty(t, s.Stats().Failed)
			b.eventually(func() bool { return b.broker.Committed("tl-writer") == int64(len(b.broker.Records(topic.Writes))) }, "settled")
		})
	}

	t.Run("ALeadConvertedAfterTheDecisionGivesWayToItsContact", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-35")
		b := setupSimulator(t)
		answer := httptest.NewRecorder()
		b.sim.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/_sim/convert?org=main&lead="+b.leads[0], nil))
		require.Equal(t, http.StatusOK, answer.Code, answer.Body)
		people, err := b.org.Query(t.Context(), "SELECT ConvertedContactId FROM Lead WHERE Id = "+salesforce.Quote(b.leads[0]))
		require.NoError(t, err)
		_, stop := b.start()
		defer stop()
		b.send(b.task("late", b.leads[0], func(w *streamv1.Write, _ *streamv1.FieldValues) {
			w.PersonLinks = []*streamv1.PersonLink{{Field: "WhoId", ContactField: "WhoId"}}
		}), b.task("other", b.leads[1]))
		b.ended(2)
		require.Equal(t, map[string]string{"late/1": "WRITTEN", "other/1": "WRITTEN"}, b.final())
		tasks, err := b.org.Query(t.Context(), "SELECT WhoId FROM Task WHERE WhoId = "+salesforce.Quote(people[0].String("ConvertedContactId")))
		require.NoError(t, err)
		require.Len(t, tasks, 1)
	})

	t.Run("RefusalsAreToldInSalesforcesWords", func(t *testing.T) {
		t.Parallel()
		b := setupSimulator(t)
		_, stop := b.start()
		defer stop()
		gone, err := b.org.Query(t.Context(), "SELECT Id FROM User WHERE IsActive = FALSE")
		require.NoError(t, err)
		b.send(
			b.task("owner", b.leads[0], func(_ *streamv1.Write, f *streamv1.FieldValues) {
				f.Fields = append(f.Fields, &streamv1.FieldValue{Field: "OwnerId", Value: &streamv1.FieldValue_Text{Text: gone[0].String("Id")}})
			}),
			b.task("field", b.leads[0], func(_ *streamv1.Write, f *streamv1.FieldValues) {
				f.Fields = append(f.Fields, &streamv1.FieldValue{Field: "Nope__c", Value: &streamv1.FieldValue_Text{Text: "x"}})
			}),
			b.task("person", "00QS00zzzzzzzzz"),
			b.task("good", b.leads[1]),
		)
		b.ended(4)
		require.Equal(t, map[string]string{
			"owner/1": "WRITTEN", "field/1": "FAILED SF_FIELD_GONE", "person/1": "FAILED SF_RECORD_GONE", "good/1": "WRITTEN",
		}, b.final())
		require.Len(t, b.broker.Records(topic.DeadLetters), 2)
	})
}

// grant gets a token from the simulator by client credentials, and another one after every refusal.
type grant struct {
	url   string
	mu    sync.Mutex
	token salesforce.Token
}

func (g *grant) Token(ctx context.Context) (salesforce.Token, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.token.AccessToken.IsEmpty() {
		return g.token, nil
	}
	t, err := oauth.ClientCredentials(ctx, oauth.Request{LoginURL: g.url, ClientID: "app", ClientSecret: secret.New("secret")})
	if err != nil {
		return salesforce.Token{}, err
	}
	g.token = salesforce.Token{AccessToken: t.AccessToken, InstanceURL: t.InstanceURL}
	return g.token, nil
}

func (g *grant) Refused(_ context.Context, token salesforce.Token) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.token.AccessToken.Equal(token.AccessToken) {
		g.token = salesforce.Token{}
	}
}
