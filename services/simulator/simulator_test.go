package simulator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator"
)

const scenarioText = `
orgs:
  - key: acme
    name: Acme K.K.
    timezone: Asia/Tokyo
    language: ja
    package: true
    apps:
      - {client_id: app, client_secret: secret, run_as: integration@acme.example}
    users:
      - {username: integration@acme.example, first_name: Inte, last_name: Gration}
      - {username: hanako@acme.example, first_name: 花子, last_name: 佐藤}
      - {username: gone@acme.example, last_name: Gone, inactive: true}
    queues:
      - {name: Inbound}
    records:
      Account:
        - {ref: toyo, Name: 東洋商事}
      Lead:
        - {ref: taro, LastName: 山田, FirstName: 太郎, Company: 東洋, Email: taro@toyo.example, OwnerId: "@hanako@acme.example", LastModifiedDate: 2026-01-01T00:00:00Z}
        - {ref: done, LastName: Done, Company: X, Email: done@toyo.example, IsConverted: true}
      Contact:
        - {ref: jiro, LastName: 鈴木, FirstName: 次郎, AccountId: "@toyo", Email: Jiro@Toyo.example}
      Campaign:
        - {ref: spring, Name: Spring}
  - key: other
    apps:
      - {client_id: other-app, client_secret: secret, run_as: admin@other.example}
    users:
      - {username: admin@other.example, last_name: Admin}
`

type bundle struct {
	t      *testing.T
	sim    *simulator.Simulator
	server *httptest.Server
	clock  *testClock
	token  string
	base   string
}

// testClock stands still until it is moved.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func setup(t *testing.T) *bundle {
	t.Helper()
	sc, err := simulator.ParseScenario([]byte(scenarioText))
	require.NoError(t, err)
	return setupWith(t, sc)
}

func setupWith(t *testing.T, sc *simulator.Scenario) *bundle {
	t.Helper()
	b := &bundle{t: t, clock: &testClock{now: time.Date(2026, 8, 10, 9, 0, 0, 0, time.UTC)}}
	var err error
	b.sim, err = simulator.New(simulator.DefaultConfig(), simulator.Deps{Clock: b.clock})
	require.NoError(t, err)
	require.NoError(t, b.sim.Seed(context.Background(), sc))
	b.server = httptest.NewServer(b.sim.Handler())
	t.Cleanup(b.server.Close)
	b.base = b.server.URL + "/orgs/acme"
	b.token = b.signIn("acme", "app", "secret")
	return b
}

func (b *bundle) signIn(org, id, secret string) string {
	b.t.Helper()
	status, body := b.form("/orgs/"+org+"/services/oauth2/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret},
	})
	require.Equal(b.t, http.StatusOK, status, body)
	var answer struct {
		AccessToken string `json:"access_token"`
		InstanceURL string `json:"instance_url"`
	}
	require.NoError(b.t, json.Unmarshal([]byte(body), &answer))
	require.Equal(b.t, b.server.URL+"/orgs/"+org, answer.InstanceURL)
	return answer.AccessToken
}

func (b *bundle) form(path string, values url.Values) (int, string) {
	b.t.Helper()
	res, err := http.PostForm(b.server.URL+path, values)
	require.NoError(b.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	return res.StatusCode, strings.TrimSpace(string(body))
}

// call sends a request below the data resource of the org and returns status and body.
func (b *bundle) call(method, path, body string) (int, string) {
	b.t.Helper()
	res, text := b.do(method, b.base+"/services/data/v67.0"+path, body)
	return res.StatusCode, text
}

// head is an answer without its body.
type head struct {
	StatusCode int
	Header     http.Header
}

func (b *bundle) do(method, address, body string) (head, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, address, strings.NewReader(body))
	require.NoError(b.t, err)
	req.Header.Set("Authorization", "Bearer "+b.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(b.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	return head{res.StatusCode, res.Header}, string(text)
}

// query runs SOQL and returns the records.
func (b *bundle) query(soql string) []map[string]any {
	b.t.Helper()
	status, body := b.call(http.MethodGet, "/query?q="+url.QueryEscape(soql), "")
	require.Equal(b.t, http.StatusOK, status, body)
	var answer struct{ Records []map[string]any }
	require.NoError(b.t, json.Unmarshal([]byte(body), &answer))
	return answer.Records
}

// id returns the id of the only record that the condition finds.
func (b *bundle) id(object, where string) string {
	b.t.Helper()
	rows := b.query("SELECT Id FROM " + object + " WHERE " + where)
	require.Len(b.t, rows, 1)
	return rows[0]["Id"].(string)
}

func TestFirstContact(t *testing.T) {
	t.Parallel()
	b := setup(t)

	rows := b.query("SELECT Id, Name, Email, Owner.IsActive, Owner.Name, LastModifiedDate, IsConverted FROM Lead WHERE Email IN ('TARO@toyo.example', 'x@y.z') ORDER BY LastModifiedDate DESC")
	require.Len(t, rows, 1)
	require.Equal(t, "山田 太郎", rows[0]["Name"])
	require.Equal(t, "2026-01-01T00:00:00.000+0000", rows[0]["LastModifiedDate"])
	require.Equal(t, true, rows[0]["Owner"].(map[string]any)["IsActive"])

	status, body := b.call(http.MethodPatch, "/composite/sobjects/Engagement__c/External_Id__c", fmt.Sprintf(
		`{"allOrNone":false,"records":[{"attributes":{"type":"Engagement__c"},"External_Id__c":"e1","Title__c":"Intro","View_Count__c":3,"Lead__c":%q},
		{"attributes":{"type":"Engagement__c"},"External_Id__c":"e2","Last_Viewed_At__c":"2026-08-10T09:00:00.123Z"}]}`, rows[0]["Id"]))
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, body, `"success":true,"errors":[],"created":true`)

	var out bytes.Buffer
	require.NoError(t, b.sim.Export(context.Background(), &out, simulator.Selection{Org: "acme", Object: "Engagement__c"}))
	require.Equal(t, 2, strings.Count(out.String(), "\n"))
	require.Contains(t, out.String(), `"View_Count__c":3.0`)
	require.Equal(t, 2, b.sim.Stats()["acme"].Objects["Engagement__c"].Created)

	org := b.query("SELECT Id, Name, TimeZoneSidKey, OrganizationType, IsSandbox FROM Organization")
	require.Equal(t, "Asia/Tokyo", org[0]["TimeZoneSidKey"])

	status, body = b.call(http.MethodGet, "/sobjects/Engagement__c/describe", "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `"name":"External_Id__c"`)
}

// TestDocumentedScenarioIsAccepted makes the orgs of the example in docs/simulator.md.
func TestDocumentedScenarioIsAccepted(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/simulator.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(doc), "```yaml\n")
	require.True(t, found)
	example, _, found := strings.Cut(rest, "```")
	require.True(t, found)
	sc, err := simulator.ParseScenario([]byte(example))
	require.NoError(t, err)
	require.Equal(t, 150*time.Millisecond, sc.Orgs[0].Latency.Median)
	sim, err := simulator.New(simulator.DefaultConfig(), simulator.Deps{})
	require.NoError(t, err)
	require.NoError(t, sim.Seed(t.Context(), sc))
	var out strings.Builder
	require.NoError(t, sim.Export(t.Context(), &out, simulator.Selection{Org: "acme", Object: "Lead"}))
	require.Contains(t, out.String(), `"ConvertedContactId":"0035TA000000001`)
}
