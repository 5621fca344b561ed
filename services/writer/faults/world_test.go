package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
	"github.com/throughline-dev/throughline/services/writer"
)

const workspace = "acme"

// world is what outlives the writers: a broker, the orgs, the settings.
type world struct {
	t      *testing.T
	plan   *plan
	kafka  *kafka.Client
	sim    *simulator.Simulator
	url    string
	build  *settingstest.Builder
	view   *settings.View
	ids    map[string]string // of seeded records: connection/name
	chance *brokerChance
	// wrap, if set, spoils the writer's way to the world, to see that the judge notices.
	wrap func(*life)
	hits map[string]int // what befell the writer, by fault or moment
	// history is what the orgs' records were set to, one change after the other.
	history history
}

func newWorld(t *testing.T, p *plan) *world {
	t.Helper()
	w := &world{t: t, plan: p, ids: map[string]string{}, hits: map[string]int{}}
	w.chance = &brokerChance{rand: rand.New(rand.NewPCG(p.broker.seed, 1)), faults: p.broker}
	embedded, err := broker.Start(broker.Config{})
	require.NoError(t, err)
	t.Cleanup(embedded.Close)
	w.kafka, err = kafka.New(kafka.DefaultConfig(embedded.Addr()...), kafka.Deps{})
	require.NoError(t, err)
	t.Cleanup(w.kafka.Close)
	specs := []kafka.TopicSpec{{Name: topic.Ledger, Partitions: 1, Compacted: true}}
	for _, name := range []string{topic.Writes, topic.Parked, topic.Outcomes, topic.DeadLetters} {
		specs = append(specs, kafka.TopicSpec{Name: name, Partitions: 1})
	}
	require.NoError(t, w.kafka.EnsureTopics(t.Context(), specs...))
	w.build = settingstest.New(t).Workspace(workspace)
	for _, c := range connections {
		w.build.Connection(c)
	}
	w.view = w.build.View()
	w.startOrgs()
	return w
}

// startOrgs makes the orgs and learns the ids of their records.
func (w *world) startOrgs() {
	w.t.Helper()
	var yaml strings.Builder
	yaml.WriteString("orgs:\n")
	for _, c := range connections {
		fmt.Fprintf(&yaml, `
  - key: %s
    package: true
    api: {daily_limit: 1000000}
    apps: [{client_id: app, client_secret: secret, run_as: integration@acme.example}]
    users: [{username: integration@acme.example, last_name: Integration}]
    objects: [{name: CampaignMember, fields: [{name: Key__c, type: string, length: 255}]}]
    records:
      Campaign: [{Name: campaign, IsActive: true}]
      Lead:
`, c)
		names := []string{"gone0", "gone1", "gone2", "winner"}
		for i := range leadsPerOrg {
			names = append(names, fmt.Sprint("lead", i))
		}
		for _, name := range names {
			fmt.Fprintf(&yaml, "        - {LastName: %s, Company: 東洋, Email: %s@toyo.example}\n", name, name)
		}
	}
	sc, err := simulator.ParseScenario([]byte(yaml.String()))
	require.NoError(w.t, err)
	w.sim, err = simulator.New(simulator.DefaultConfig(), simulator.Deps{Observe: w.history.add})
	require.NoError(w.t, err)
	require.NoError(w.t, w.sim.Seed(w.t.Context(), sc))
	server := httptest.NewServer(w.sim.Handler())
	w.t.Cleanup(server.Close)
	w.url = server.URL
	for _, c := range connections {
		for _, lead := range w.export(c, "Lead") {
			w.ids[c+"/@"+lead.text("LastName")] = lead.text("Id")
		}
		w.ids[c+"/@campaign"] = w.export(c, "Campaign")[0].text("Id")
	}
}

func (w *world) id(connection, name string) string {
	if id, ok := w.ids[connection+"/"+name]; ok {
		return id
	}
	return name
}

// happen does in the org what somebody does there.
func (w *world) happen(e event) {
	w.t.Helper()
	path, method := "/_sim/convert?org="+e.org+"&lead="+w.id(e.org, "@"+e.lead), http.MethodPost
	switch e.path {
	case "merge":
		path = "/_sim/merge?org=" + e.org + "&winner=" + w.id(e.org, "@winner") + "&loser=" + w.id(e.org, "@"+e.lead)
	case "delete":
		w.remove(e)
		return
	}
	answer := httptest.NewRecorder()
	w.sim.Handler().ServeHTTP(answer, httptest.NewRequest(method, path, nil))
	require.Less(w.t, answer.Code, 300, answer.Body)
}

// remove deletes a lead through the front door, as a person would, again and again if faults are in the way.
func (w *world) remove(e event) {
	w.t.Helper()
	login := &grant{url: w.url + "/orgs/" + e.org}
	address := login.url + "/services/data/v66.0/sobjects/Lead/" + w.id(e.org, "@"+e.lead)
	require.Eventually(w.t, func() bool {
		token, err := login.Token(w.t.Context())
		if err != nil {
			return false
		}
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodDelete, address, nil)
		if err != nil {
			return false
		}
		req.Header.Set("Authorization", "Bearer "+token.AccessToken.Reveal())
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		login.Refused(w.t.Context(), token)
		return resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotFound
	}, time.Minute, time.Millisecond)
}

// publish sends writes as mapping does.
func (w *world) publish(writes []*write) {
	w.t.Helper()
	messages := make([]stage.Message, 0, len(writes))
	for _, one := range writes {
		value, err := proto.Marshal(w.message(one))
		require.NoError(w.t, err)
		messages = append(messages, stage.Message{
			Topic: topic.Writes, Key: topic.ConnectionKey(workspace, one.connection), Value: value,
			ID: one.id(), Type: topic.TypeWrite, Time: time.Now(),
		})
	}
	require.NoError(w.t, w.kafka.Publish(w.t.Context(), messages...))
}

func (w *world) message(one *write) *streamv1.Write {
	w.t.Helper()
	m := &streamv1.Write{
		Workspace: workspace, Connection: one.connection, WriteKey: one.key, Revision: one.revision, Object: one.object,
		Operation: one.operation, LockParent: w.id(one.connection, one.parent), VisitId: "visit", OccurredAt: timestamppb.Now(),
		RecordId: w.id(one.connection, one.target),
	}
	values := new(streamv1.FieldValues)
	text := func(name, value string) {
		values.Fields = append(values.Fields, &streamv1.FieldValue{Field: name, Value: &streamv1.FieldValue_Text{Text: value}})
	}
	for _, f := range one.fields {
		if f.text == "" {
			values.Fields = append(values.Fields, &streamv1.FieldValue{Field: f.name, Value: &streamv1.FieldValue_Number{Number: f.num}})
			continue
		}
		text(f.name, w.id(one.connection, f.text))
	}
	if one.externalField != "" {
		m.ExternalIdField, m.ExternalId = one.externalField, one.key
	}
	if one.marked {
		m.Marker, m.MarkerField, m.MarkerScopeField = "Throughline: "+one.key, "Description", "WhoId"
		if one.object == "CampaignMember" {
			m.MarkerField, m.MarkerScopeField = "Key__c", "LeadId"
		}
		m.MarkerScopeValue = w.id(one.connection, one.who)
		text(m.MarkerField, m.Marker)
	}
	if one.links {
		m.PersonLinks = []*streamv1.PersonLink{{Field: "WhoId", ContactField: "WhoId"}}
	}
	plain, err := proto.Marshal(values)
	require.NoError(w.t, err)
	ws, _ := w.view.Workspace(workspace)
	m.SealedFields, err = ws.Keys().Seal(plain)
	require.NoError(w.t, err)
	m.ContentHash = ws.Keys().Hash(plain)
	if one.broken {
		m.SealedFields = []byte("sealed for nobody")
	}
	return m
}

// running is one writer at work.
type running struct {
	life *life
	stop func()
}

// start runs a writer that dies as told.
func (w *world) start(k kill) *running {
	w.t.Helper()
	l := newLife(w.kafka, w.chance, k)
	if w.wrap != nil {
		w.wrap(l)
	}
	clients := orgs{}
	for _, c := range connections {
		clients[c] = salesforce.NewClient(salesforce.DefaultConfig(), &grant{url: w.url + "/orgs/" + c}, salesforce.Deps{Transport: l})
	}
	s, err := writer.New(w.plan.config(), writer.Deps{
		Broker: l, Settings: settings.Static(w.view), Orgs: clients, DeadLetter: deadletter.Encode(w.build.Installation()),
	})
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return &running{life: l, stop: func() {
		cancel()
		require.NoError(w.t, <-done)
		l.calls.Wait()
	}}
}

// quick is the default configuration with its waits shortened, so that hours of trouble pass in a second.
func quick() writer.Config {
	cfg := writer.DefaultConfig()
	cfg.Lanes.BatchRecords, cfg.Lanes.MinBatchRecords = 20, 2
	cfg.Lanes.Linger, cfg.Lanes.MaxLinger = time.Millisecond, 2*time.Millisecond
	cfg.Lanes.RetryMin, cfg.Lanes.RetryMax, cfg.Lanes.LookAfter = time.Millisecond, 10*time.Millisecond, 5*time.Millisecond
	cfg.Parking.Recheck, cfg.Parking.DelayMin, cfg.Parking.DelayMax = 5*time.Millisecond, time.Millisecond, 20*time.Millisecond
	cfg.Gate.RetryMin, cfg.Gate.RetryMax, cfg.Gate.QuotaRetry = 5*time.Millisecond, 20*time.Millisecond, 10*time.Millisecond
	cfg.DrainTimeout, cfg.SessionTimeout = 50*time.Millisecond, 5*time.Second
	return cfg
}

// settled reports whether everything that was published has been dealt with.
func (w *world) settled() bool {
	read := func(group, name string) (lag, end int64, ok bool) {
		lags, err := w.kafka.Lag(w.t.Context(), group, name)
		if err != nil {
			return 0, 0, false
		}
		for _, l := range lags {
			lag, end = lag+l.Records(), end+l.End
		}
		return lag, end, true
	}
	// A write goes from one topic to the other and back: only when nothing was added meanwhile do the readings agree.
	l1, e1, ok1 := read("tl-writer", topic.Writes)
	l2, e2, ok2 := read("tl-writer-parked", topic.Parked)
	l3, e3, ok3 := read("tl-writer", topic.Writes)
	l4, e4, ok4 := read("tl-writer-parked", topic.Parked)
	return ok1 && ok2 && ok3 && ok4 && l1+l2+l3+l4 == 0 && e1 == e3 && e2 == e4
}

type orgs map[string]*salesforce.Client

// Client implements writer.Orgs.
func (o orgs) Client(_, connection string) (*salesforce.Client, error) {
	if c := o[connection]; c != nil {
		return c, nil
	}
	return nil, errors.New("no such connection")
}

// grant gets a token by client credentials, and another one after every refusal.
type grant struct {
	url   string
	mu    sync.Mutex
	token salesforce.Token
}

// errNoToken is what the token service's clients see of an org that gives no token just now.
var errNoToken = errors.New("no token could be had")

// Token implements salesforce.TokenSource.
func (g *grant) Token(ctx context.Context) (salesforce.Token, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.token.AccessToken.IsEmpty() {
		return g.token, nil
	}
	t, err := oauth.ClientCredentials(ctx, oauth.Request{LoginURL: g.url, ClientID: "app", ClientSecret: secret.New("secret")})
	if err != nil {
		return salesforce.Token{}, errNoToken
	}
	g.token = salesforce.Token{AccessToken: t.AccessToken, InstanceURL: t.InstanceURL}
	return g.token, nil
}

// Refused implements salesforce.TokenSource.
func (g *grant) Refused(_ context.Context, token salesforce.Token) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.token.AccessToken.Equal(token.AccessToken) {
		g.token = salesforce.Token{}
	}
}
