package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/config/configtest"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

const testAdminToken = "admin-token-0123456789"

// testBundle is a config service with workspace acme, and a folder for its caller.
type testBundle struct {
	svc    *config.Service
	dir    string
	client configv1.ConfigServiceClient
}

func setupConfig(t *testing.T) *testBundle {
	t.Helper()
	inst, err := seal.NewInstallation()
	require.NoError(t, err)
	b := &testBundle{dir: t.TempDir()}
	cfg := config.DefaultConfig()
	cfg.Listen, cfg.Embedded, cfg.Database.SQLitePath = "127.0.0.1:0", true, configtest.Database(t, filepath.Join(b.dir, "config.db"))
	cfg.Callers = []config.Caller{{Name: "aoi", Role: config.RoleAdmin, Token: secret.New(testAdminToken)}}
	b.svc, err = config.New(cfg, config.Deps{Installation: inst})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.svc.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	require.NoError(t, os.WriteFile(b.path("admin.token"), []byte(testAdminToken), 0o600))
	conn, err := settings.Dial(settings.Config{Target: b.svc.Addr(), Token: secret.New(testAdminToken)}, settings.Deps{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	b.client = configv1.NewConfigServiceClient(conn)
	_, err = b.client.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{Id: "acme", Name: "Acme"}})
	require.NoError(t, err)
	return b
}

func (b *testBundle) path(name string) string { return filepath.Join(b.dir, name) }

// run runs a command as the caller whose token is in the file, and returns what it prints.
func (b *testBundle) run(t *testing.T, token string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := newRoot()
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(append(args, "--set", "settings.target="+b.svc.Addr(), "--set", "admin_token_file="+b.path(token)))
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func (b *testBundle) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := b.run(t, "admin.token", args...)
	require.NoError(t, err, out)
	return out
}

func TestMembersKeysAndOperatorsFromTheCommandLine(t *testing.T) {
	t.Parallel()
	b := setupConfig(t)
	require.Contains(t, b.must(t, "members", "put", "aoi", "-w", "acme", "--role", "owner", "--subject", "sub", "--why", "the first"), "is owner")
	require.Contains(t, b.must(t, "members", "put", "ren", "-w", "acme", "--role", "viewer", "--email", "ren@acme.example"), "is viewer")
	require.Contains(t, b.must(t, "members", "put", "ren", "-w", "acme", "--role", "privacy_officer"), "is privacy_officer")
	listed := b.must(t, "members", "list", "-w", "acme")
	require.Contains(t, listed, "(invited)")
	require.NotContains(t, listed, "ren@acme.example")
	_, err := b.run(t, "admin.token", "members", "remove", "aoi", "-w", "acme")
	require.ErrorContains(t, err, "last owner")
	_, err = b.run(t, "admin.token", "members", "put", "mio", "-w", "acme", "--role", "king")
	require.ErrorContains(t, err, `there is no "king"`)
	_, err = b.run(t, "admin.token", "members", "put", "mio", "-w", "acme")
	require.ErrorContains(t, err, "--role")
	b.must(t, "members", "remove", "ren", "-w", "acme")

	_, err = b.client.CreateApiKey(t.Context(), &configv1.CreateApiKeyRequest{Key: &configv1.ApiKey{Workspace: "acme", Id: "web"}})
	require.NoError(t, err)
	require.Contains(t, b.must(t, "api-keys", "list", "-w", "acme"), "ingest")
	require.Contains(t, b.must(t, "api-keys", "revoke", "web", "-w", "acme"), "revoked since")

	granted := b.must(t, "operators", "grant", "ken", "-w", "acme", "--for", "2h", "--why", "case 7")
	id := regexp.MustCompile(`acme ([A-Z2-7]+)\n`).FindStringSubmatch(granted)
	require.Len(t, id, 2, granted)
	b.must(t, "operators", "revoke", id[1], "-w", "acme")
	require.Contains(t, b.must(t, "operators", "list", "-w", "acme"), "case 7")

	log := b.must(t, "audit", "-w", "acme")
	require.Contains(t, log, "PutMember  member aoi, version 1: the first")
	require.Contains(t, log, `role: "ROLE_VIEWER" → "ROLE_PRIVACY_OFFICER"`)
	require.Contains(t, log, "secret_hash changed")
	require.Contains(t, b.must(t, "audit", "-w", "acme", "--kind", "member", "--limit", "2"), "2 shown")
	require.Contains(t, b.must(t, "audit", "-w", "acme", "--json", "--limit", "1"), `"action"`)
}

func TestIntegrationsGoBackFromTheCommandLine(t *testing.T) {
	t.Parallel()
	b := setupConfig(t)
	file := b.path("acme.yaml")
	write := func(text string) {
		require.NoError(t, os.WriteFile(file, []byte(`kind: Connection
workspace: acme
id: main
login_url: http://127.0.0.1:1
client_credentials: {client_id: consumer, client_secret: consumer-secret}
---
kind: Integration
workspace: acme
id: rule
name: `+text+`
connection: main
enabled: true
trigger: TRIGGER_VISIT_CLOSED
actions:
  - {name: task, object: Task, operation: ACTION_OPERATION_INSERT, scope: SCOPE_VISIT, marker_field: Description,
     fields: [{field: Subject, constant: {text: `+text+`}}]}
`), 0o600))
	}
	write("one")
	b.must(t, "apply", "-f", file, "--why", "a beginning")
	write("two")
	b.must(t, "apply", "-f", file)
	require.Contains(t, b.must(t, "integrations", "history", "rule", "-w", "acme"), "a beginning")
	diff := b.must(t, "integrations", "diff", "rule", "-w", "acme", "--from", "1")
	require.Contains(t, diff, "version 1 → version 2: 2 fields differ")
	require.Contains(t, diff, `actions[0].fields[0].constant.text: "one" → "two"`)
	_, err := b.run(t, "admin.token", "integrations", "rollback", "rule", "-w", "acme", "--to", "1", "--expect", "1")
	require.ErrorContains(t, err, "Aborted")
	require.Contains(t, b.must(t, "integrations", "rollback", "rule", "-w", "acme", "--to", "1", "--why", "one was better"),
		"version 3 has the content of version 1")
	require.Contains(t, b.must(t, "integrations", "history", "rule", "-w", "acme", "--json"), "one was better")
	require.Contains(t, b.must(t, "integrations", "diff", "rule", "-w", "acme", "--from", "1", "--to", "3"), "0 fields differ")
}

func TestSettingsGoBackFromTheCommandLine(t *testing.T) {
	t.Parallel()
	b := setupConfig(t)
	for version, name := range []string{"", "Akme", "Acme Inc."} {
		if version == 0 {
			continue // setupConfig saved the first
		}
		_, err := b.client.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{
			Workspace: &configv1.Workspace{Id: "acme", Name: name, Version: int64(version)},
		})
		require.NoError(t, err)
	}
	history := b.must(t, "settings", "history", "workspace", "acme", "-w", "acme")
	require.Contains(t, history, `name: "Acme" → "Akme"`)
	_, err := b.run(t, "admin.token", "settings", "rollback", "workspace", "acme", "-w", "acme", "--to", "1", "--expect", "2")
	require.ErrorContains(t, err, "Aborted")
	require.Contains(t, b.must(t, "settings", "rollback", "workspace", "acme", "-w", "acme", "--to", "1", "--expect", "3", "--why", "spelling"),
		"version 4 has the content of version 1")
	require.Contains(t, b.must(t, "settings", "history", "workspace", "acme", "-w", "acme", "--json", "--limit", "1"), "spelling")
	_, err = b.run(t, "admin.token", "settings", "history", "apikey", "web", "-w", "acme")
	require.ErrorContains(t, err, "there is no kind")
}

func TestTheAdministratorsLinkIsRedeemedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	b := setupConfig(t)
	secretPart, _, err := b.svc.AdministratorLink(t.Context())
	require.NoError(t, err)
	link := app.LinkScheme + "://" + b.svc.Addr() + "/#" + secretPart
	out := b.must(t, "sign-in", link, "--out", b.path("session.token"))
	require.NotContains(t, out, "tlsession_")
	info, err := os.Stat(b.path("session.token"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	_, err = b.run(t, "session.token", "members", "list", "-w", "acme")
	require.NoError(t, err)
	_, err = b.run(t, "admin.token", "sign-in", link, "--out", b.path("again.token"))
	require.ErrorContains(t, err, "was used")
	require.NoFileExists(t, b.path("again.token"))
	_, err = b.run(t, "admin.token", "sign-in", "https://example.test/?secret=hunter2")
	require.ErrorContains(t, err, "not a link")
	require.NotContains(t, err.Error(), "hunter2")
}
