package identity_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/identity"
	"github.com/throughline-dev/throughline/services/internal/leaktest"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	ownerID = "005000000000101AAA"
	goneID  = "005000000000102AAA"
)

// bundle is the service between a broker in memory and a simulated org.
type bundle struct {
	*testing.T
	broker    *stagetest.Broker
	sim       *simulator.Simulator
	client    *salesforce.Client
	workspace *settings.Workspace
	deps      identity.Deps
	cfg       identity.Config
}

func setup(t *testing.T, change ...func(*simulator.Org)) *bundle {
	t.Helper()
	b := &bundle{T: t, broker: stagetest.NewBroker(), cfg: identity.DefaultConfig()}
	for _, name := range []string{topic.Engagements, topic.Unresolved, topic.Resolved, topic.Outcomes, topic.Changes, topic.DeadLetters} {
		b.broker.Create(name, 1)
	}
	b.cfg.Retry.RetryMin, b.cfg.Retry.RetryPoll = 10*time.Millisecond, 5*time.Millisecond
	b.cfg.Directory.RestMin = 10 * time.Millisecond
	b.cfg.Directory.Timeout, b.cfg.Directory.Patience = time.Minute, time.Minute // no org here is slow, but the machine may be
	b.connect(change)
	source := settingstest.New(t).Workspace("acme").Connection("prod").
		Integration(&configv1.Integration{Id: "task", Enabled: true}).Source()
	b.workspace, _ = source.View().Workspace("acme")
	b.deps = identity.Deps{Broker: b.broker, Settings: source, Orgs: b}
	return b
}

// Client makes the bundle the service's Orgs.
func (b *bundle) Client(workspace, connection string) (*salesforce.Client, error) {
	if workspace != "acme" || connection != "prod" {
		return nil, fmt.Errorf("no connection %s in workspace %s", connection, workspace)
	}
	return b.client, nil
}

// connect starts an org and a client that is signed in.
func (b *bundle) connect(change []func(*simulator.Org)) {
	b.Helper()
	org := simulator.Org{
		Key:  "acme",
		Apps: []simulator.App{{ClientID: "app", ClientSecret: "secret", RunAs: "api@acme.example"}},
		Users: []simulator.User{
			{Username: "api@acme.example"},
			{ID: ownerID, Username: "owner@acme.example", Email: "Owner@acme.example", Language: "ja"},
			{ID: goneID, Username: "gone@acme.example", Email: "gone@acme.example", Inactive: true},
		},
	}
	for _, f := range change {
		f(&org)
	}
	cfg := simulator.DefaultConfig()
	sim, err := simulator.New(cfg, simulator.Deps{})
	require.NoError(b, err)
	require.NoError(b, sim.Seed(b.Context(), &simulator.Scenario{Orgs: []simulator.Org{org}}))
	server := httptest.NewServer(sim.Handler())
	b.Cleanup(func() {
		server.Close()
		require.NoError(b, sim.Close())
	})
	b.sim = sim
	answer, err := http.PostForm(server.URL+"/orgs/acme/services/oauth2/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {"secret"},
	})
	require.NoError(b, err)
	defer answer.Body.Close()
	var token struct {
		AccessToken string `json:"access_token"`
		InstanceURL string `json:"instance_url"`
	}
	require.NoError(b, json.NewDecoder(answer.Body).Decode(&token))
	require.NotEmpty(b, token.AccessToken)
	b.client = salesforce.NewClient(salesforce.DefaultConfig(), salesforce.StaticToken{
		AccessToken: secret.New(token.AccessToken), InstanceURL: token.InstanceURL,
	}, salesforce.Deps{})
	b.Cleanup(func() {
		b.client.CloseIdle()
		http.DefaultClient.CloseIdleConnections()
	})
}

func people(object string, rows ...map[string]any) func(*simulator.Org) {
	return func(o *simulator.Org) { o.Records = append(o.Records, simulator.Rows{Object: object, Rows: rows}) }
}

func (b *bundle) seal(address string) []byte {
	b.Helper()
	plain, err := proto.Marshal(&streamv1.PersonalData{Email: address})
	require.NoError(b, err)
	sealed, err := b.workspace.Keys().Seal(plain)
	require.NoError(b, err)
	return sealed
}

// produce appends the engagement of a viewer with a content of an owner.
func (b *bundle) produce(viewer, owner string, change ...func(*streamv1.Engagement)) {
	b.Helper()
	keys := b.workspace.Keys()
	e := &streamv1.Engagement{
		EngagementId: "engagement of " + keys.PersonKey(viewer), Workspace: "acme", Revision: 1,
		Subject: &streamv1.Subject{PersonKey: keys.PersonKey(viewer), Sealed: b.seal(viewer)},
		Content: &streamv1.Content{ContentId: "c", OwnerKey: keys.PersonKey(owner), OwnerSealed: b.seal(owner)},
		Visit:   &streamv1.Visit{VisitId: "visit", State: streamv1.VisitState_VISIT_STATE_CLOSED, LastActivityAt: timestamppb.New(noon)},
	}
	for _, f := range change {
		f(e)
	}
	value, err := proto.Marshal(e)
	require.NoError(b, err)
	b.broker.Append(topic.Engagements, 0, stage.Record{Time: time.Now(), Key: topic.PersonKey("acme", e.GetSubject().GetPersonKey()), Value: value})
}

// run runs the service until the test ends.
func (b *bundle) run() *identity.Service {
	b.Helper()
	s, err := identity.New(b.cfg, b.deps)
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		require.NoError(b, <-done)
	})
	return s
}

func (b *bundle) resolved(n int) []*streamv1.Resolution {
	b.Helper()
	require.Eventually(b, func() bool { return len(b.broker.Records(topic.Resolved)) >= n }, time.Minute, 5*time.Millisecond)
	var out []*streamv1.Resolution
	for _, rec := range b.broker.Records(topic.Resolved) {
		r := new(streamv1.Resolved)
		require.NoError(b, proto.Unmarshal(rec.Value, r))
		out = append(out, r.GetResolution())
	}
	require.Len(b, out, n)
	return out
}

func TestService(t *testing.T) {
	t.Parallel()

	t.Run("FindsLeadContactAndOwnerInTheOrg", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-27")
		t.Attr("requirement", "IMM-31")
		t.Attr("requirement", "IMM-32")
		b := setup(t,
			people("Lead", map[string]any{"LastName": "Sato", "Company": "C", "Email": "MIA@Example.com", "OwnerId": ownerID}),
			people("Contact", map[string]any{"LastName": "Sato", "Email": "mia@example.com", "OwnerId": goneID}),
		)
		s := b.run()
		b.produce("mia@example.com", "owner@acme.example")
		got := b.resolved(1)[0]
		require.Equal(t, "Lead", got.GetPerson().GetObject())
		require.Equal(t, ownerID, got.GetPerson().GetOwnerId())
		require.True(t, got.GetPerson().GetOwnerActive())
		require.Equal(t, "ja", got.GetPerson().GetOwnerLanguage())
		require.Equal(t, "Contact", got.GetContact().GetObject())
		require.False(t, got.GetContact().GetOwnerActive())
		require.Equal(t, ownerID, got.GetContentOwner().GetRecordId())
		require.NoError(t, s.Ready())
	})

	t.Run("AsksRarelyForMany", func(t *testing.T) {
		t.Parallel()
		var rows []map[string]any
		for i := range 200 {
			rows = append(rows, map[string]any{"LastName": "L", "Company": "C", "Email": fmt.Sprintf("lead%d@example.com", i), "OwnerId": ownerID})
		}
		b := setup(t, people("Lead", rows...))
		for range 5 {
			for i := range 200 {
				b.produce(fmt.Sprintf("lead%d@example.com", i), "owner@acme.example")
			}
		}
		s := b.run()
		for _, r := range b.resolved(1000) {
			require.NotNil(t, r.GetLead())
		}
		require.LessOrEqual(t, s.Stats().QueriesPerThousand, 5.0, "Leads, Contacts, owners; once for the first batch")
	})

	t.Run("AnEngagementComesBackWhenTheOrgDoes", func(t *testing.T) {
		t.Parallel()
		b := setup(t, people("Lead", map[string]any{"LastName": "Sato", "Company": "C", "Email": "mia@example.com"}))
		token := b.client
		b.client = salesforce.NewClient(salesforce.DefaultConfig(), salesforce.StaticToken{InstanceURL: "http://127.0.0.1:1"}, salesforce.Deps{})
		s, err := identity.New(b.cfg, b.deps)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		b.produce("mia@example.com", "owner@acme.example")
		require.Eventually(t, func() bool { return s.Stats().Unresolved > 0 }, time.Minute, time.Millisecond)
		cancel()
		require.NoError(t, <-done)
		b.client.CloseIdle()

		b.client = token
		b.run()
		require.NotNil(t, b.resolved(1)[0].GetLead())
	})

	t.Run("SaysThatAnAddressFieldCannotBeSearched", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "LOOM-33")
		t.Attr("requirement", "ZOOM-4")
		b := setup(t, func(o *simulator.Org) { o.Encrypted = map[string]string{"Lead.Email": "probabilistic"} })
		b.cfg.Retry.MaxAge = time.Millisecond
		b.run()
		b.produce("mia@example.com", "owner@acme.example")
		require.Eventually(t, func() bool { return len(b.broker.Records(topic.Unresolved)) > 0 }, time.Minute, 5*time.Millisecond, "it is parked first")
		require.Empty(t, b.broker.Records(topic.Resolved), "nobody says that there is no match")
		require.Eventually(t, func() bool { return len(b.broker.Records(topic.DeadLetters)) == 1 }, time.Minute, 5*time.Millisecond)
		o := new(streamv1.Outcome)
		require.NoError(t, proto.Unmarshal(b.broker.Records(topic.Outcomes)[0].Value, o))
		require.Equal(t, streamv1.Status_STATUS_FAILED, o.GetStatus())
		require.Equal(t, streamv1.Reason_REASON_FIELD_ENCRYPTED_PROBABILISTIC, o.GetReason())
		require.NotContains(t, o.GetDetail(), "mia")
	})

	t.Run("FindsTheStoredAndTheLowerCaseForm", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "ZOOM-4")
		b := setup(t, func(o *simulator.Org) {
			o.Encrypted = map[string]string{"Lead.Email": "deterministic", "Contact.Email": "deterministic"}
		},
			people("Lead", map[string]any{"LastName": "Sato", "Company": "C", "Email": "Mia@Example.com"}),
			people("Contact", map[string]any{"LastName": "Sato", "Email": "mia@example.com"}),
		)
		b.run()
		b.produce("mia@example.com", "owner@acme.example", func(e *streamv1.Engagement) {
			plain, err := proto.Marshal(&streamv1.PersonalData{Email: "mia@example.com", EmailAsSent: "Mia@Example.com"})
			require.NoError(t, err)
			e.Subject.Sealed, err = b.workspace.Keys().Seal(plain)
			require.NoError(t, err)
		})
		got := b.resolved(1)[0]
		require.NotNil(t, got.GetLead(), "as it was sent, and as the org holds it")
		require.NotNil(t, got.GetContact(), "in lower case")
	})

	t.Run("Stress", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for range 50 {
			s, err := identity.New(b.cfg, b.deps)
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx) }()
			cancel()
			require.NoError(t, <-done)
		}
	})
}

func TestConfigNamesTheKey(t *testing.T) {
	t.Parallel()
	require.NoError(t, identity.DefaultConfig().Validate())
	for key, change := range map[string]func(*identity.Config){
		"engagements":             func(c *identity.Config) { c.Engagements.BatchRecords = 0 },
		"unresolved":              func(c *identity.Config) { c.Unresolved.MaxUnsettled = 0 },
		"directory: timeout":      func(c *identity.Config) { c.Directory.Timeout = 0 },
		"directory: addresses":    func(c *identity.Config) { c.Directory.Addresses = 201 },
		"directory: positive_age": func(c *identity.Config) { c.Directory.PositiveAge = time.Hour },
		"directory: negative_age": func(c *identity.Config) { c.Directory.NegativeAge = time.Hour },
		"directory: cache":        func(c *identity.Config) { c.Directory.CacheEntries = 0 },
		"retry: retry_min":        func(c *identity.Config) { c.Retry.RetryMin = 0 },
		"retry: max_age":          func(c *identity.Config) { c.Retry.MaxAge = 0 },
	} {
		cfg := identity.DefaultConfig()
		change(&cfg)
		_, err := identity.New(cfg, identity.Deps{})
		require.ErrorContains(t, err, key)
	}
}
