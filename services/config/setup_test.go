package config_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/config/configtest"
	"github.com/throughline-dev/throughline/services/internal/leaktest"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// The tokens of the callers every test's service knows.
const (
	adminToken   = "admin-token-0123456789"
	acmeToken    = "acme-admin-token-0123456789"
	viewerToken  = "viewer-token-0123456789"
	acmeViewer   = "acme-viewer-token-0123456789"
	serviceToken = "service-token-0123456789"
)

type testBundle struct {
	cfg   config.Config
	deps  config.Deps
	clock *stagetest.ManualClock
	svc   *config.Service
	org   *fakeOrg
	stop  func()
	// conns are those to the service that runs, by token: whoever asks again and again needs no new one each time.
	dialling sync.Mutex
	conns    map[string]*grpc.ClientConn

	admin, service configv1.ConfigServiceClient
}

// prepare makes a configuration that nothing runs with yet.
func prepare(t *testing.T) *testBundle {
	t.Helper()
	inst, err := seal.NewInstallation()
	require.NoError(t, err)
	cfg := config.DefaultConfig()
	cfg.Listen, cfg.Embedded = "127.0.0.1:0", true
	cfg.Database.SQLitePath = configtest.Database(t, filepath.Join(t.TempDir(), "config.db"))
	cfg.Callers = []config.Caller{
		{Name: "root", Role: config.RoleAdmin, Token: secret.New(adminToken)},
		{Name: "aoi", Role: config.RoleAdmin, Workspace: "acme", Token: secret.New(acmeToken)},
		{Name: "auditor", Role: config.RoleViewer, Token: secret.New(viewerToken)},
		{Name: "ren", Role: config.RoleViewer, Workspace: "acme", Token: secret.New(acmeViewer)},
		{Name: "writer", Role: config.RoleService, Token: secret.New(serviceToken)},
	}
	cfg.Access.Calls.Burst, cfg.Access.Failures.Burst, cfg.Access.SignIns.Burst = 100_000, 100_000, 100_000 // every test's calls come from one address, and time stands still
	cfg.Connect.Diagnosis.Tick = time.Hour                                                                  // a look that no test has asked for changes states, whenever the machine gets round to it
	patient(&cfg)
	clock := stagetest.NewClock(epoch)
	return &testBundle{cfg: cfg, clock: clock, deps: config.Deps{Installation: inst, Clock: clock}, org: newFakeOrg(t)}
}

// patient lets questions that are bounded by real time take their time: a machine may stand still for a while, and what was given up
// would be tried again only when the clock of the test moves on.
func patient(cfg *config.Config) {
	const long = time.Minute
	cfg.Catalogue.Timeout, cfg.Notices.Timeout, cfg.Access.OIDC.Timeout = long, long, long
	cfg.Connect.Diagnosis.Questions.Timeout, cfg.Connect.Revoking.Timeout, cfg.Connect.Logins.ExchangeTimeout = long, long, long
}

// start runs the service until the test ends or stop is called.
func (b *testBundle) start(t *testing.T) {
	t.Helper()
	svc, err := config.New(b.cfg, b.deps)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- svc.Run(ctx) }()
	b.svc, b.conns = svc, map[string]*grpc.ClientConn{}
	b.stop = sync.OnceFunc(func() { cancel(); require.NoError(t, <-done) })
	t.Cleanup(b.stop)
	b.admin, b.service = b.client(t, adminToken), b.client(t, serviceToken)
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	b := prepare(t)
	b.start(t)
	return b
}

func (b *testBundle) dial(t *testing.T, token string) *grpc.ClientConn {
	t.Helper()
	b.dialling.Lock()
	defer b.dialling.Unlock()
	if b.conns[token] != nil {
		return b.conns[token]
	}
	conn, err := settings.Dial(settings.Config{Target: b.svc.Addr(), Token: secret.New(token)}, settings.Deps{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	b.conns[token] = conn
	return conn
}

func (b *testBundle) client(t *testing.T, token string) configv1.ConfigServiceClient {
	t.Helper()
	return configv1.NewConfigServiceClient(b.dial(t, token))
}

// workspace creates one with a connection to the fake org.
func (b *testBundle) workspace(t *testing.T, id string) *configv1.Connection {
	t.Helper()
	_, err := b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{Id: id, Name: id}})
	require.NoError(t, err)
	resp, err := b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: b.connection(id)})
	require.NoError(t, err)
	return resp.GetConnection()
}

func (b *testBundle) connection(workspace string) *configv1.Connection {
	return &configv1.Connection{
		Workspace: workspace, Id: "main", LoginUrl: b.org.server.URL,
		Grant: &configv1.Connection_ClientCredentials{ClientCredentials: &configv1.ClientCredentials{
			ClientId: "consumer", ClientSecret: "consumer-secret",
		}},
	}
}

func rule(workspace string) *configv1.Integration {
	return &configv1.Integration{
		Workspace: workspace, Id: "rule", Name: "Rule", Connection: "main", Enabled: true,
		Trigger: configv1.Trigger_TRIGGER_VISIT_CLOSED,
		Actions: []*configv1.Action{{
			Name: "task", Object: "Task", Operation: configv1.ActionOperation_ACTION_OPERATION_INSERT,
			Scope: configv1.Scope_SCOPE_VISIT, MarkerField: "Description",
			Fields: []*configv1.FieldMapping{{
				Field: "Subject", Source: &configv1.FieldMapping_Constant{
					Constant: &configv1.Constant{Value: &configv1.Constant_Text{Text: "Hello"}},
				},
			}},
		}},
	}
}

// fieldsOf returns the fields named by an INVALID_ARGUMENT error.
func fieldsOf(t *testing.T, err error) []string {
	t.Helper()
	var fields []string
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				fields = append(fields, v.GetField())
			}
		}
	}
	return fields
}

// fakeOrg is a token endpoint and the queries that checks make.
type fakeOrg struct {
	// users are active.
	users  []string
	server *httptest.Server
	mu     sync.Mutex
	issued int
	refuse string
	// noMembers: the user is no marketing user.
	noMembers bool
	// id is the org's, 00D000000000001EAA unless it was refreshed.
	id string
}

func newFakeOrg(t *testing.T) *fakeOrg {
	t.Helper()
	o := &fakeOrg{id: "00D000000000001EAA"}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /services/oauth2/token", o.token)
	mux.HandleFunc("GET /services/data/v66.0/query", func(w http.ResponseWriter, r *http.Request) {
		switch soql := r.FormValue("q"); {
		case strings.Contains(soql, "FROM User"):
			o.people(w, soql)
			return
		case strings.Contains(soql, "FROM Campaign"):
			o.campaigns(w, soql)
			return
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		fmt.Fprintf(w, `{"totalSize":1,"done":true,"records":[{"Id":%q,"Name":"Acme KK",
			"OrganizationType":"Enterprise Edition","IsSandbox":true,"TimeZoneSidKey":"Asia/Tokyo"}]}`, o.id)
	})
	mux.HandleFunc("GET /services/data/v66.0/sobjects/{object}/describe", o.describe)
	o.server = httptest.NewServer(mux)
	t.Cleanup(o.server.Close)
	return o
}

// describe knows the objects and fields that the rules of these tests write.
// unseen is an object of the fake org whose records the user may not query.
const unseen = "Unseen__c"

func (o *fakeOrg) describe(w http.ResponseWriter, r *http.Request) {
	if object := eventObject(r.PathValue("object")); object != nil {
		_ = json.NewEncoder(w).Encode(object)
		return
	}
	names := map[string][]string{
		"Task":           {"Subject", "Description", "ActivityDate", "OwnerId", "WhoId"},
		"CampaignMember": {"CampaignId", "LeadId", "ContactId", "Status"},
	}[r.PathValue("object")]
	fields := make([]map[string]any, len(names))
	for i, name := range names {
		fields[i] = map[string]any{"name": name, "type": "textarea", "length": 32000, "createable": true, "updateable": true, "nillable": true}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]any{
		"name": r.PathValue("object"), "createable": !o.noMembers || r.PathValue("object") != "CampaignMember", "updateable": true,
		"queryable": r.PathValue("object") != unseen, "fields": fields,
	})
}

// campaigns knows one campaign, inactive, with two member statuses.
func (o *fakeOrg) campaigns(w http.ResponseWriter, soql string) {
	var records []map[string]any
	switch {
	case !strings.Contains(soql, "'"+springCampaign+"'"):
	case strings.Contains(soql, "CampaignMemberStatus"):
		records = []map[string]any{
			{"CampaignId": springCampaign, "Label": "送付済み"}, {"CampaignId": springCampaign, "Label": "資料閲覧"},
		}
	default:
		records = []map[string]any{{"Id": springCampaign, "Name": "春の資料", "IsActive": false}}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"totalSize": len(records), "done": true, "records": records})
}

// people answers who of the users asked for is active.
func (o *fakeOrg) people(w http.ResponseWriter, soql string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	records := []map[string]string{}
	for _, id := range o.users {
		if strings.Contains(soql, "IsActive = true") && strings.Contains(soql, "'"+id+"'") {
			records = append(records, map[string]string{"Id": id})
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"totalSize": len(records), "done": true, "records": records})
}

func (o *fakeOrg) token(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.refuse != "" || r.FormValue("client_secret") != "consumer-secret" {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": cmp.Or(o.refuse, "invalid_client"), "error_description": "no"})
		return
	}
	o.issued++
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{
		"access_token": fmt.Sprintf("00Dtoken%d", o.issued), "instance_url": o.server.URL, "token_type": "Bearer",
		"issued_at": "1772355600000", "id": "https://test.salesforce.com/id/" + o.id + "/005000000000001AAA",
	})
}

// refresh makes the sandbox anew from production: another org, and its sessions are gone.
func (o *fakeOrg) refresh(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.id = id
}

func (o *fakeOrg) refuseWith(code string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refuse = code
}

func (o *fakeOrg) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.issued
}
