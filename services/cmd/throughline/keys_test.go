package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/seal/kms/kmstest"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/config/configtest"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

const plantedSecret = "planted-consumer-secret-7f3a"

// keyRig is a config service with one workspace, and the command line beside it.
type keyRig struct {
	t     *testing.T
	file  seal.File
	set   []string
	shown bytes.Buffer
}

func setupKeyRig(t *testing.T) *keyRig {
	t.Helper()
	dir := t.TempDir()
	r := &keyRig{t: t, file: seal.File{Path: filepath.Join(dir, "installation.key")}}
	inst, err := r.file.LoadOrCreate(time.Now())
	require.NoError(t, err)
	token := filepath.Join(dir, "admin.token")
	require.NoError(t, os.WriteFile(token, []byte("admin-token-0123456789"), 0o600))
	cfg := config.DefaultConfig()
	cfg.Listen, cfg.Embedded, cfg.Database.SQLitePath = "127.0.0.1:0", true, configtest.Database(t, filepath.Join(dir, "config.db"))
	cfg.Callers = []config.Caller{{Name: "root", Role: config.RoleAdmin, TokenFile: token}}
	svc, err := config.New(cfg, config.Deps{Installation: inst, Clock: stagetest.NewClock(time.Now())})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- svc.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	r.set = []string{
		"--set", "settings.target=" + svc.Addr(), "--set", "admin_token_file=" + token, "--set", "installation_key_file=" + r.file.Path,
	}
	conn, err := settings.Dial(settings.Config{Target: svc.Addr(), Token: secret.New("admin-token-0123456789")}, settings.Deps{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	admin := configv1.NewConfigServiceClient(conn)
	_, err = admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{Id: "acme", Name: "Acme"}})
	require.NoError(t, err)
	_, err = admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: &configv1.Connection{
		Workspace: "acme", Id: "main", LoginUrl: "http://127.0.0.1:1",
		Grant: &configv1.Connection_ClientCredentials{ClientCredentials: &configv1.ClientCredentials{ClientId: "c", ClientSecret: plantedSecret}},
	}})
	require.NoError(t, err)
	return r
}

// run runs `throughline keys …`.
func (r *keyRig) run(args ...string) (string, error) {
	r.t.Helper()
	root := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(append(append([]string{"keys"}, args...), r.set...))
	err := root.ExecuteContext(r.t.Context())
	r.shown.WriteString(out.String())
	if err != nil {
		r.shown.WriteString(err.Error())
	}
	return out.String(), err
}

func (r *keyRig) json(out any, args ...string) {
	r.t.Helper()
	text, err := r.run(append(args, "--json")...)
	require.NoError(r.t, err, text)
	require.NoError(r.t, json.Unmarshal([]byte(text), out), text)
}

func idText(id uint32) string { return strconv.FormatUint(uint64(id), 10) }

func TestKeysRotateFromTheCommandLine(t *testing.T) {
	t.Parallel()
	r := setupKeyRig(t)
	var list keyList
	r.json(&list, "list")
	require.Len(t, list.Keys, 1)
	require.Equal(t, int32(2), *list.Keys[0].Values, "the workspace's keys and the credentials")
	old := idText(list.Keys[0].ID)

	var added struct{ Key uint32 }
	r.json(&added, "rotate")
	_, err := r.run("rotate")
	require.ErrorContains(t, err, "promote it")
	_, err = r.run("disable", old)
	require.ErrorContains(t, err, "2 stored values need key "+old)
	text, err := r.run("promote", idText(added.Key))
	require.NoError(t, err)
	require.Contains(t, text, "seals")
	var wrapped struct{ Resealed, Left, Unreadable int }
	r.json(&wrapped, "rewrap")
	require.Zero(t, wrapped.Left)
	require.Zero(t, wrapped.Unreadable)

	_, err = r.run("disable", old)
	require.ErrorContains(t, err, "dead letters")
	_, err = r.run("disable", old, "--lose-dead-letters")
	require.ErrorContains(t, err, "10m", "a process may have sealed with it a moment ago")
	require.NoError(t, r.file.Disable(list.Keys[0].ID)) // as after a month
	list = keyList{}
	r.json(&list, "list")
	require.Equal(t, seal.KeyDisabled, list.Keys[0].State)
	require.Equal(t, int32(0), *list.Keys[0].Values)
	require.Equal(t, int32(2), *list.Keys[1].Values)
	require.Empty(t, list.Unreadable)
	_, err = r.run("enable", old)
	require.NoError(t, err)
	require.NoError(t, r.file.Disable(list.Keys[0].ID))
	_, err = r.run("delete", old)
	require.ErrorContains(t, err, "--yes")
	_, err = r.run("delete", old, "--yes")
	require.NoError(t, err)
	text, err = r.run("list")
	require.NoError(t, err)
	require.NotContains(t, text, old)
	_, err = r.run("enable", "not-a-number")
	require.ErrorContains(t, err, "keys list")
	r.showsNoKey(t)
}

func TestAWorkspacesKeysRotateFromTheCommandLine(t *testing.T) {
	t.Parallel()
	r := setupKeyRig(t)
	var added struct{ Key uint32 }
	r.json(&added, "rotate", "--workspace", "acme")
	_, err := r.run("promote", idText(added.Key), "-w", "acme")
	require.ErrorContains(t, err, "may not be known to every service")
	_, err = r.run("promote", idText(added.Key), "-w", "acme", "--now")
	require.NoError(t, err)
	var list keyList
	r.json(&list, "list", "-w", "acme")
	require.Equal(t, seal.KeyRetired, list.Keys[0].State)
	require.Equal(t, seal.KeyInfo{ID: added.Key, State: seal.KeyPrimary}, list.Keys[1].KeyInfo)
	_, err = r.run("rotate", "-w", "nobody")
	require.Error(t, err)
	r.showsNoKey(t)
}

func TestTheKeyFileMovesIntoAKeyServiceAndBack(t *testing.T) {
	t.Parallel()
	r := setupKeyRig(t)
	_, err := r.run("wrap")
	require.ErrorContains(t, err, "key_service.key_uri")
	before, err := r.file.Load()
	require.NoError(t, err)

	service := kmstest.NewVault(t, "throughline").Config(t)
	r.set = append(r.set, "--set", "key_service.key_uri="+service.KeyURI, "--set", "key_service.token_file="+service.TokenFile,
		"--set", "key_service.ca_file="+service.CAFile)
	_, err = r.run("wrap")
	require.NoError(t, err)
	_, err = r.file.Load()
	require.ErrorContains(t, err, "key service")
	var list keyList
	r.json(&list, "list")
	require.Equal(t, before.Primary(), list.Keys[0].ID, "the same keys")
	_, err = r.run("wrap", "--undo")
	require.NoError(t, err)
	_, err = r.file.Load()
	require.NoError(t, err)
	r.showsNoKey(t)
}

// showsNoKey looks for key material and secrets in all that was printed.
func (r *keyRig) showsNoKey(t *testing.T) {
	t.Helper()
	data, err := os.ReadFile(r.file.Path)
	require.NoError(t, err)
	var content struct {
		Keyset struct {
			Key []struct {
				KeyData struct{ Value string } `json:"keyData"`
			} `json:"key"`
		} `json:"keyset"`
	}
	require.NoError(t, json.Unmarshal(data, &content))
	require.NotEmpty(t, content.Keyset.Key)
	for _, key := range content.Keyset.Key {
		require.NotContains(t, r.shown.String(), key.KeyData.Value)
	}
	for _, hidden := range []string{plantedSecret, kmstest.Token, "admin-token-0123456789"} {
		require.NotContains(t, r.shown.String(), hidden)
	}
}

func TestKeysDestroyEndsAWorkspaceOnlyForWhoTypesItsID(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-29")
	r := setupKeyRig(t)
	for _, args := range [][]string{{"destroy", "acme"}, {"destroy", "acme", "--confirm", "amce"}} {
		_, err := r.run(args...)
		require.ErrorContains(t, err, "--confirm acme")
	}
	_, err := r.run("list", "--workspace", "acme")
	require.NoError(t, err, "nothing has happened")
	out, err := r.run("destroy", "acme", "--confirm", "acme", "--json")
	require.NoError(t, err)
	require.Contains(t, out, `"workspace":"acme"`)
	_, err = r.run("list", "--workspace", "acme")
	require.ErrorContains(t, err, "were destroyed")
}
