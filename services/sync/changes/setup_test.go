package changes_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/leaktest"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
	"github.com/throughline-dev/throughline/services/sync/changes"
)

func TestMain(m *testing.M) {
	leaktest.Main(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

const within = 2 * time.Minute

// ourClient is what our own requests call themselves.
const ourClient = "throughline"

// bundle is a cluster, a simulated Salesforce with orgs, and settings with a connection to each.
type bundle struct {
	*testing.T
	kafka  *kafka.Client
	sim    *simulator.Simulator
	clock  *clock
	source settings.Source
	cfg    changes.Config
}

// clock is the simulator's; it can be moved ahead.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// setup makes a workspace of every org's name, with one connection, "main".
func setup(t *testing.T, orgs ...simulator.Org) *bundle {
	t.Helper()
	b := &bundle{T: t, clock: &clock{}, cfg: changes.DefaultConfig()}
	embedded, err := broker.Start(broker.Config{})
	require.NoError(t, err)
	t.Cleanup(embedded.Close)
	b.kafka, err = kafka.New(kafka.DefaultConfig(embedded.Addr()...), kafka.Deps{})
	require.NoError(t, err)
	t.Cleanup(b.kafka.Close)
	require.NoError(t, b.kafka.EnsureTopics(t.Context(),
		kafka.TopicSpec{Name: topic.Changes, Partitions: 4}, kafka.TopicSpec{Name: topic.ChangesState, Partitions: 4, Compacted: true},
		kafka.TopicSpec{Name: topic.DeadLetters, Partitions: 1}))
	b.simulate(orgs)
	made := settingstest.New(t)
	for i := range orgs {
		made.Workspace(orgs[i].Key).Connection("main").Integration(&configv1.Integration{Id: "task", Enabled: true})
	}
	b.source = made.Source()
	b.cfg.Endpoint, b.cfg.Plaintext = b.sim.PubSubAddr(), true
	b.cfg.Refresh, b.cfg.FlushEvery = 20*time.Millisecond, 10*time.Millisecond
	b.cfg.RetryMin, b.cfg.RetryMax = 10*time.Millisecond, 50*time.Millisecond
	return b
}

func (b *bundle) simulate(orgs []simulator.Org) {
	b.Helper()
	cfg := simulator.DefaultConfig()
	cfg.Listen, cfg.PubSub, cfg.PubSubKeepalive = "127.0.0.1:0", "127.0.0.1:0", 100*time.Millisecond
	var err error
	b.sim, err = simulator.New(cfg, simulator.Deps{Clock: b.clock})
	require.NoError(b, err)
	require.NoError(b, b.sim.Seed(b.Context(), &simulator.Scenario{Orgs: orgs}))
	require.NoError(b, b.sim.Listen(b.Context()))
	b.background(b.sim.Run)
}

// background runs a part until the test ends, or until stop is called.
func (b *bundle) background(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(b, <-done)
	})
	b.Cleanup(stop)
	return stop
}

// org is an org with an app that the service and editors use.
func org(key string) simulator.Org {
	return simulator.Org{
		Key:   key,
		Apps:  []simulator.App{{ClientID: "app", ClientSecret: "secret", RunAs: "api@" + key + ".example"}},
		Users: []simulator.User{{Username: "api@" + key + ".example"}, {ID: seller, Username: "seller@" + key + ".example"}},
	}
}

const seller = "005000000000101AAA"

// Tokens makes the bundle the service's Orgs, as does Client.
func (b *bundle) Tokens(workspace, _ string) (salesforce.TokenSource, error) {
	return &tokens{b: b, org: workspace}, nil
}

func (b *bundle) Client(workspace, _ string) (*salesforce.Client, error) {
	return salesforce.NewClient(salesforce.DefaultConfig(), &tokens{b: b, org: workspace}, salesforce.Deps{}), nil
}

// tokens signs in for every question.
type tokens struct {
	b   *bundle
	org string
}

func (s *tokens) Token(ctx context.Context) (salesforce.Token, error) {
	base := s.b.sim.BaseURL(s.org)
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {"secret"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/services/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		return salesforce.Token{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return salesforce.Token{}, err
	}
	defer answer.Body.Close()
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&token); err != nil {
		return salesforce.Token{}, err
	}
	return salesforce.Token{AccessToken: secret.New(token.AccessToken), InstanceURL: base}, nil
}

func (s *tokens) Refused(context.Context, salesforce.Token) {}

// edit changes an org by the REST API, as the client named, and returns the id of a new record.
func (b *bundle) edit(org, client, method, path string, fields map[string]any) string {
	b.Helper()
	token, err := (&tokens{b: b, org: org}).Token(b.Context())
	require.NoError(b, err)
	body, err := json.Marshal(fields)
	require.NoError(b, err)
	req, err := http.NewRequestWithContext(b.Context(), method, token.InstanceURL+"/services/data/v66.0/"+path, bytes.NewReader(body))
	require.NoError(b, err)
	req.Header.Set("Authorization", "Bearer "+token.AccessToken.Reveal())
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Sforce-Call-Options", "client="+client)
	answer, err := http.DefaultClient.Do(req)
	require.NoError(b, err)
	defer answer.Body.Close()
	require.Less(b, answer.StatusCode, 300)
	var saved struct {
		ID string `json:"id"`
	}
	_ = json.NewDecoder(answer.Body).Decode(&saved) // an update answers nothing
	return saved.ID
}

// serve starts a replica and waits until it is ready.
func (b *bundle) serve(options ...func(*changes.Config)) (*changes.Service, func()) {
	b.Helper()
	cfg := b.cfg
	for _, option := range options {
		option(&cfg)
	}
	return b.serveAs(cfg, b)
}

// serveWith starts a replica with orgs of its own.
func (b *bundle) serveWith(orgs changes.Orgs) (*changes.Service, func()) {
	b.Helper()
	return b.serveAs(b.cfg, orgs)
}

func (b *bundle) serveAs(cfg changes.Config, orgs changes.Orgs) (*changes.Service, func()) {
	b.Helper()
	s, err := changes.New(cfg, changes.Deps{
		Broker: b.kafka, Partitioner: b.kafka, Settings: b.source, Orgs: orgs, UserAgent: ourClient,
	})
	require.NoError(b, err)
	stop := b.background(s.Run)
	b.await(func() bool { return s.Ready() == nil }, "the replica is ready")
	return s, stop
}

func (b *bundle) await(ok func() bool, what string) {
	b.Helper()
	require.Eventually(b, ok, within, 5*time.Millisecond, "it did not happen that %s", what)
}

// told returns what was told of a workspace, in order.
func (b *bundle) told(workspace string) (all []*streamv1.Change) {
	b.Helper()
	require.NoError(b, b.kafka.Scan(b.Context(), kafka.ScanRequest{Topic: topic.Changes, Visit: func(rec stage.Record) bool {
		c := &streamv1.Change{}
		require.NoError(b, proto.Unmarshal(rec.Value, c))
		if c.GetWorkspace() == workspace {
			require.Equal(b, string(topic.ConnectionKey(workspace, "main")), string(rec.Key))
			all = append(all, c)
		}
		return true
	}}))
	return all
}

// awaitTold waits for a change of a type that names the record, and returns it.
func (b *bundle) awaitTold(workspace string, kind streamv1.ChangeType, id string) (found *streamv1.Change) {
	b.Helper()
	b.await(func() bool {
		for _, c := range b.told(workspace) {
			if c.GetChangeType() == kind && (id == "" || contains(c.GetRecordIds(), id)) {
				found = c
				return true
			}
		}
		return false
	}, kind.String()+" is told")
	return found
}

func contains(ids []string, id string) bool {
	for _, have := range ids {
		if have == id {
			return true
		}
	}
	return false
}
