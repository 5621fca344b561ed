package main

import (
	"bufio"
	"bytes"
	"context"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/config/configtest"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/simulator"
)

const cliToken = "cli-token-0123456789"

// installation is a config service with pages for browsers, and a simulated org to connect.
type installation struct {
	login string
	args  []string
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	key, err := seal.NewInstallation()
	require.NoError(t, err)
	cfg := config.DefaultConfig()
	cfg.Listen, cfg.Embedded, cfg.Database.SQLitePath = "127.0.0.1:0", true, configtest.Database(t, filepath.Join(t.TempDir(), "config.db"))
	cfg.Connect.Listen = "127.0.0.1:0"
	cfg.Callers = []config.Caller{{Name: "aoi", Role: config.RoleAdmin, Token: secret.New(cliToken)}}
	svc, err := config.New(cfg, config.Deps{Installation: key})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- svc.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })

	sim, err := simulator.New(simulator.DefaultConfig(), simulator.Deps{})
	require.NoError(t, err)
	require.NoError(t, sim.Seed(t.Context(), &simulator.Scenario{Orgs: []simulator.Org{{
		Key: "acme", Name: "Acme K.K.", Users: []simulator.User{{Username: "hana@acme.example", LastName: "Hana"}},
		Apps: []simulator.App{{
			ClientID: "own", ClientSecret: "hush", PKCE: true, RotateRefreshTokens: true,
			RedirectURIs: []string{"http://" + svc.ConnectAddr() + "/oauth/callback"},
		}},
	}}}))
	server := httptest.NewServer(sim.Handler())
	t.Cleanup(server.Close)

	token := filepath.Join(t.TempDir(), "admin.token")
	require.NoError(t, os.WriteFile(token, []byte(cliToken), 0o600))
	conn, err := settings.Dial(settings.Config{Target: svc.Addr(), Token: secret.New(cliToken)}, settings.Deps{})
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = configv1.NewConfigServiceClient(conn).PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{Id: "acme", Name: "Acme"}})
	require.NoError(t, err)
	return &installation{login: server.URL + "/orgs/acme", args: []string{"--set", "settings.target=" + svc.Addr(), "--set", "admin_token_file=" + token}}
}

// run runs the program and writes what it prints.
func (i *installation) run(ctx context.Context, in io.Reader, out io.Writer, args ...string) error {
	root := newRoot()
	root.SetArgs(append(args, i.args...))
	root.SetIn(in)
	root.SetOut(out)
	return root.ExecuteContext(ctx)
}

func (i *installation) output(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, i.run(t.Context(), strings.NewReader(""), &out, args...))
	return out.String()
}

var (
	printedLink = regexp.MustCompile(`http://\S+/connect/\S+`)
	toleave     = regexp.MustCompile(`content="0;url=([^"]+)"`)
)

// consents opens a link in a browser, logs in at Salesforce and allows the app.
func consents(t *testing.T, link string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar, Timeout: time.Minute}
	post := func(address string, form url.Values) string {
		res, err := browser.PostForm(address, form)
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, res.StatusCode, string(body))
		return html.UnescapeString(string(body))
	}
	match := toleave.FindStringSubmatch(post(link, nil))
	require.NotNil(t, match)
	u, err := url.Parse(match[1])
	require.NoError(t, err)
	form := u.Query()
	form.Set("username", "hana@acme.example")
	form.Set("answer", "allow")
	u.RawQuery = ""
	require.Contains(t, post(u.String(), form), "Acme K.K.")
}

func TestConnectingFromTheCommandLine(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	read, write := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := i.run(t.Context(), strings.NewReader("hush\n"), write, "connect", "--workspace", "acme", "crm", "--name", "CRM",
			"--login-url", i.login, "--client-id", "own", "--client-secret-file", "-", "--pkce", "on", "--source", "immedio")
		_ = write.CloseWithError(err)
		done <- err
	}()
	var printed strings.Builder
	lines := bufio.NewScanner(read)
	opened := false
	for lines.Scan() {
		printed.WriteString(lines.Text() + "\n")
		if link := printedLink.FindString(lines.Text()); link != "" && !opened {
			opened = true
			consents(t, link)
		}
	}
	require.NoError(t, <-done)
	for _, want := range []string{"/oauth/callback", "✓ connected to Acme K.K.", "as hana@acme.example", "granted: api refresh_token", "crm: READY", "✓ OK"} {
		require.Contains(t, printed.String(), want)
	}
	require.NotContains(t, printed.String(), "hush")

	require.Contains(t, i.output(t, "connections", "--workspace", "acme"), "READY")
	history := i.output(t, "connections", "--workspace", "acme", "--history", "crm")
	require.Contains(t, history, "AWAITING_SF_ADMIN")
	require.Contains(t, history, "CONSENT")
	require.Contains(t, i.output(t, "connections", "--workspace", "acme", "--json"), `"state":"CONNECTION_STATE_READY"`)
	require.Contains(t, i.output(t, "doctor", "--workspace", "acme", "--lang", "ja"), "アドレスで人物を検索できます")
	require.Contains(t, i.output(t, "doctor", "--workspace", "acme", "--connection", "crm", "--last", "--json"), `"probe":"email_encryption"`)

	err := i.run(t.Context(), strings.NewReader(""), io.Discard, "doctor", "--workspace", "elsewhere")
	require.ErrorContains(t, err, `there is no workspace "elsewhere"`, "saying nothing would look like health")
	err = i.run(t.Context(), strings.NewReader(""), io.Discard, "connect", "--workspace", "acme", "x", "--login-url", "http://evil.example")
	require.Equal(t, "options.login_url: the address must begin with https://", words(err), "without what is meant for programs")

	require.Contains(t, i.output(t, "override", "--workspace", "acme", "crm", "--state", "degraded", "--reason", "SF_APP_BLOCKED", "--note", "their migration"), "crm is DEGRADED(SF_APP_BLOCKED) until")
	require.Contains(t, i.output(t, "connections", "--workspace", "acme", "--history", "crm"), "aoi (override)")
	secretFile := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secretFile, []byte("hush\n"), 0o600))
	require.Contains(t, i.output(t, "connect", "--workspace", "acme", "crm", "--replace-secret", "--client-secret-file", secretFile), "crm uses the new secret")

	require.Contains(t, i.output(t, "disconnect", "--workspace", "acme", "crm"), "revoked at Salesforce")
	require.Contains(t, i.output(t, "connections", "--workspace", "acme"), "DISCONNECTED")
	link := i.output(t, "connect", "--workspace", "acme", "crm", "--setup-link")
	require.Contains(t, link, "Give this address to the Salesforce administrator")
	require.Contains(t, i.output(t, "connections", "--workspace", "acme"), "AWAITING_SF_ADMIN")

	var out bytes.Buffer
	require.ErrorContains(t, i.run(t.Context(), nil, &out, "connect", "--workspace", "acme", "crm"), "aoi began connecting this already")
	require.ErrorContains(t, i.run(t.Context(), nil, &out, "connect", "--workspace", "acme", "crm", "--pkce", "maybe"), "--pkce")
	require.ErrorContains(t, i.run(t.Context(), nil, &out, "connect", "--workspace", "acme", "crm", "--accept-org", "00D"), "--flow")
	require.ErrorContains(t, i.run(t.Context(), nil, &out, "connect", "--workspace", "acme", "crm", "--replace-secret"), "--client-secret-file")
	require.ErrorContains(t, i.run(t.Context(), nil, &out, "override", "--workspace", "acme", "crm", "--state", "fine", "--note", "x"), "--state")
}

func TestTheDoctorCountsWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	d := &configv1.Diagnosis{
		Workspace: "acme", Connection: "crm",
		Status: &configv1.ConnectionStatus{State: configv1.ConnectionState_CONNECTION_STATE_DEGRADED, Reason: 85},
		Results: []*configv1.ProbeResult{
			{Probe: "api", Status: configv1.ProbeStatus_PROBE_STATUS_OK, Required: true, En: &configv1.ProbeText{Finding: "fine"}},
			{Probe: "tasks", Status: configv1.ProbeStatus_PROBE_STATUS_BLOCKED, Reason: 85, Required: true, Detail: "Task.WhoId", En: &configv1.ProbeText{Finding: "hidden", Where: "Setup › Fields"}},
			{Probe: "object_CampaignMember", Status: configv1.ProbeStatus_PROBE_STATUS_BLOCKED, Reason: 85, En: &configv1.ProbeText{Finding: "hidden"}},
			{Probe: "edition", Status: configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK, Required: true, En: &configv1.ProbeText{Finding: "could not check"}},
		},
	}
	require.ErrorContains(t, blockers(d), "connection crm of workspace acme is DEGRADED(SF_NO_PERMISSION): 1 in the way")
	var out bytes.Buffer
	require.NoError(t, printDiagnosis(&out, d, "en"))
	for _, want := range []string{"✗ BLOCKED SF_NO_PERMISSION", "hidden (Task.WhoId)", "Setup › Fields", "! BLOCKED", "? could not check"} {
		require.Contains(t, out.String(), want)
	}
}
