package config_test

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/simulator"
)

// theSimulator is a real simulated Salesforce with two orgs: acme, and a sandbox that is another org.
type theSimulator struct {
	*simulator.Simulator
	server *httptest.Server
	// gone answers everything with 503; revoked counts revocations that went through.
	gone    atomic.Bool
	revoked atomic.Int32
	// refusal is the error, and its description, with which refreshes are refused; "" lets them through. refreshes counts them.
	refusal   atomic.Value
	refreshes atomic.Int32
}

// refuses has every refresh refused.
func (s *theSimulator) refuses(code, description string) {
	s.refusal.Store([2]string{code, description})
}

// refreshed looks at a request for a token and answers it if refreshes are refused.
func (s *theSimulator) refreshed(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasSuffix(r.URL.Path, "/token") {
		return false
	}
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if !strings.Contains(string(body), "grant_type=refresh_token") {
		return false
	}
	s.refreshes.Add(1)
	refusal, _ := s.refusal.Load().([2]string)
	if refusal[0] == "" {
		return false
	}
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": refusal[0], "error_description": refusal[1]})
	return true
}

func (s *theSimulator) away() { s.gone.Store(true) }

func (s *theSimulator) back() { s.gone.Store(false) }

const callbackURL = "https://pages.example/oauth/callback"

func apps() []simulator.App {
	return []simulator.App{
		{ClientID: "own-app", ClientSecret: "own-secret", RedirectURIs: []string{callbackURL}, PKCE: true, RotateRefreshTokens: true},
		{ClientID: "no-pkce", ClientSecret: "s", RedirectURIs: []string{callbackURL}, RefusePKCE: true},
		{ClientID: "no-refresh", ClientSecret: "s", RedirectURIs: []string{callbackURL}, Scopes: []string{"api", "id"}},
		{ClientID: "no-api", ClientSecret: "s", RedirectURIs: []string{callbackURL}, Scopes: []string{"refresh_token", "id"}},
		{ClientID: "only-full", ClientSecret: "s", RedirectURIs: []string{callbackURL}, Scopes: []string{"full", "refresh_token"}},
		{ClientID: "full", ClientSecret: "s", RedirectURIs: []string{callbackURL}, Scopes: []string{"full", "api", "refresh_token"}},
		{ClientID: "platform-app", ClientSecret: "platform-secret", RedirectURIs: []string{callbackURL}, PKCE: true, RotateRefreshTokens: true},
	}
}

func newSimulator(t *testing.T, b *testBundle, change ...func(*simulator.Scenario)) *theSimulator {
	t.Helper()
	user := simulator.User{Username: "hana@acme.example", Password: "pw", LastName: "Hana", Email: "hana@acme.example"}
	sc := &simulator.Scenario{Orgs: []simulator.Org{
		{Key: "acme", Name: "Acme K.K.", TimeZone: "Asia/Tokyo", Apps: apps(), Users: []simulator.User{user}},
		{Key: "uat", Name: "Acme UAT", Sandbox: true, Apps: apps(), Users: []simulator.User{user}},
	}}
	for _, f := range change {
		f(sc)
	}
	sim, err := simulator.New(simulator.DefaultConfig(), simulator.Deps{Clock: b.clock})
	require.NoError(t, err)
	require.NoError(t, sim.Seed(context.Background(), sc))
	s, handler := &theSimulator{Simulator: sim}, sim.Handler()
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.gone.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if s.refreshed(w, r) {
			return
		}
		handler.ServeHTTP(w, r)
		if strings.HasSuffix(r.URL.Path, "/revoke") {
			s.revoked.Add(1)
		}
	}))
	t.Cleanup(s.server.Close)
	return s
}

func (s *theSimulator) login(org string) string { return s.server.URL + "/orgs/" + org }

// endSessions ends the access tokens of an org, and with refresh its refresh tokens too; it returns how many there were.
func (s *theSimulator) endSessions(t *testing.T, org string, refresh bool) int {
	t.Helper()
	res, err := http.Post(s.server.URL+"/_sim/sessions?org="+org+"&refresh="+strconv.FormatBool(refresh), "", nil)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
	var ended struct{ Ended int }
	require.NoError(t, json.NewDecoder(res.Body).Decode(&ended))
	return ended.Ended
}

// refreshTokens ends everything that is alive in an org, and returns how many refresh tokens there were.
func (s *theSimulator) refreshTokens(t *testing.T, org string) int {
	t.Helper()
	s.endSessions(t, org, false)
	return s.endSessions(t, org, true)
}

// connectable is a service with pages, and a workspace.
func connectable(t *testing.T, change ...func(*testBundle)) *testBundle {
	t.Helper()
	b := prepare(t)
	b.cfg.Connect.Listen, b.cfg.Connect.PublicURL = "127.0.0.1:0", "https://pages.example"
	b.cfg.Connect.RequestsPerSecond = 1000 // in real time, which is short on a fast machine
	for _, f := range change {
		f(b)
	}
	b.start(t)
	_, err := b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{Id: "acme", Name: "acme"}})
	require.NoError(t, err)
	return b
}

func options(login string, change ...func(*configv1.ConnectOptions)) *configv1.ConnectOptions {
	o := &configv1.ConnectOptions{
		Workspace: "acme", Connection: "main", Name: "Acme", LoginUrl: login, ClientId: " own-app\n", ClientSecret: "own-secret",
	}
	for _, f := range change {
		f(o)
	}
	return o
}

func (b *testBundle) startConnect(t *testing.T, o *configv1.ConnectOptions) *configv1.StartConnectResponse {
	t.Helper()
	resp, err := b.connects(t, acmeToken).StartConnect(t.Context(), &configv1.StartConnectRequest{Options: o})
	require.NoError(t, err)
	return resp
}

func (b *testBundle) flow(t *testing.T, id string) *configv1.ConnectFlow {
	t.Helper()
	resp, err := b.connects(t, acmeViewer).GetConnectFlow(t.Context(), &configv1.GetConnectFlowRequest{Workspace: "acme", Flow: id})
	require.NoError(t, err)
	return resp.GetFlow()
}

// browser is a person's. Addresses under the public one reach the service's pages, as through a proxy.
type browser struct {
	t      *testing.T
	client *http.Client
	header http.Header
	// answer is what the person says at Salesforce.
	answer, user string
	// trips counts how often it was sent to Salesforce again.
	trips int
}

func (b *testBundle) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	proxy := roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == "pages.example" {
			r = r.Clone(r.Context())
			r.URL.Scheme, r.URL.Host = "http", b.svc.ConnectAddr()
		}
		return transport.RoundTrip(r)
	})
	return &browser{t: t, client: &http.Client{Jar: jar, Transport: proxy}, header: http.Header{}, answer: "allow", user: "hana@acme.example"}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// page is what a browser shows.
type shownPage struct {
	code   int
	header http.Header
	text   string
	at     *url.URL
}

func (w *browser) do(method, address string, form url.Values) shownPage {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, address, strings.NewReader(form.Encode()))
	require.NoError(w.t, err)
	for key, values := range w.header {
		req.Header[key] = values
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := w.client.Do(req)
	require.NoError(w.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	return shownPage{res.StatusCode, res.Header, html.UnescapeString(string(text)), res.Request.URL}
}

var onward = regexp.MustCompile(`http-equiv="refresh" content="0;url=([^"]+)"`)

// depart opens a link, presses the button and returns the address at Salesforce.
func (w *browser) depart(link string) string {
	w.t.Helper()
	invitation := w.do(http.MethodGet, link, nil)
	require.Equal(w.t, http.StatusOK, invitation.code, invitation.text)
	require.Contains(w.t, invitation.text, "acme")
	return w.press(link)
}

func (w *browser) press(link string) string {
	w.t.Helper()
	leaving := w.do(http.MethodPost, link, nil)
	require.Equal(w.t, http.StatusOK, leaving.code, leaving.text)
	match := onward.FindStringSubmatch(leaving.text)
	require.NotNil(w.t, match, leaving.text)
	return match[1]
}

// consent logs in at Salesforce and answers its question; the browser then is where Salesforce sent it.
func (w *browser) consent(address string) shownPage {
	w.t.Helper()
	page := w.do(http.MethodGet, address, nil)
	if page.at.Host == "pages.example" || page.code != http.StatusOK {
		return page // Salesforce has sent it back at once
	}
	require.Contains(w.t, page.text, "<form", "Salesforce's consent page")
	form := page.at.Query()
	form.Set("username", w.user)
	form.Set("password", "pw")
	form.Set("answer", w.answer)
	bare := *page.at
	bare.RawQuery = ""
	return w.do(http.MethodPost, bare.String(), form)
}

// connect makes the whole way from a link to the page that says what came of it, by way of Salesforce as often as it must.
func (w *browser) connect(link string) shownPage {
	w.t.Helper()
	page := w.consent(w.depart(link))
	for strings.Contains(page.text, "<select") {
		w.trips++
		page = w.consent(page.at.String())
	}
	return page
}
