package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/config/configtest"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// office is a config service with the workspace acme, and a way to run `throughline privacy` against it.
type office struct {
	t       *testing.T
	service *config.Service
	flags   []string
}

func setupOffice(t *testing.T) *office {
	t.Helper()
	dir, token := t.TempDir(), rand.Text()
	inst, err := seal.NewInstallation()
	require.NoError(t, err)
	cfg := config.DefaultConfig()
	cfg.Listen, cfg.Database.SQLitePath = "127.0.0.1:0", configtest.Database(t, filepath.Join(dir, "config.db"))
	cfg.Callers = []config.Caller{{Name: "officer", Role: config.RoleAdmin, Token: secret.New(token)}}
	cfg.Privacy.Every, cfg.Privacy.Settle = 10*time.Millisecond, time.Second
	service, err := config.New(cfg, config.Deps{Installation: inst})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- service.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	tokenFile := filepath.Join(dir, "admin.token")
	require.NoError(t, os.WriteFile(tokenFile, []byte(token), 0o600))

	conn, err := settings.Dial(settings.Config{Target: service.Addr(), Token: secret.New(token)}, settings.Deps{})
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = configv1.NewConfigServiceClient(conn).PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{
		Workspace: &configv1.Workspace{Id: "acme", Name: "Acme"},
	})
	require.NoError(t, err)
	return &office{t: t, service: service, flags: []string{
		"--workspace", "acme", "--set", "settings.target=" + service.Addr(), "--set", "admin_token_file=" + tokenFile,
	}}
}

// run runs a command with addresses on standard input and returns what it printed.
func (o *office) run(stdin, command string, flags ...string) (string, error) {
	o.t.Helper()
	cmd := newRoot()
	var out bytes.Buffer
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append(append([]string{"privacy", command}, flags...), o.flags...))
	err := cmd.ExecuteContext(o.t.Context())
	return out.String(), err
}

func TestPrivacy(t *testing.T) {
	t.Parallel()
	o := setupOffice(t)
	const person = "Mia.Zebrafink@viewer.example\n\n mia@home.example \n+81 90-1234-5678\n"

	_, err := o.run("", "erase", "--yes")
	require.ErrorContains(t, err, "address")
	_, err = o.run("", "erase", "--yes", "--address-file", "-")
	require.ErrorContains(t, err, "no address in it")
	_, err = o.run(person, "erase", "--address-file", "-")
	require.ErrorContains(t, err, "add --yes")

	_, err = o.run(person, "erase", "--address-file", "-", "--yes", "--blank-rows")
	require.ErrorContains(t, err, "no broker")

	file := filepath.Join(t.TempDir(), "mia.json")
	out, err := o.run(person, "export", "--address-file", "-", "--out", file)
	require.NoError(t, err)
	require.Contains(t, out, "can be read until")
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	document, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, json.Valid(document))
	_, err = o.run(person, "export", "--address-file", "-", "--out", file)
	require.ErrorIs(t, err, os.ErrExist, "nothing is overwritten")
	out, err = o.run("", "export", "--address", "mia@home.example")
	require.NoError(t, err)
	require.True(t, json.Valid([]byte(out)), "the document and nothing else")

	out, err = o.run(person, "erase", "--address-file", "-", "--yes", "--json")
	require.NoError(t, err)
	var erasure struct{ ID, Status, RequestedBy string }
	require.NoError(t, json.Unmarshal([]byte(out), &erasure))
	require.Equal(t, "ERASURE_STATUS_RUNNING", erasure.Status)
	require.Equal(t, "officer", erasure.RequestedBy)
	require.NotContains(t, strings.ToLower(out), "zebrafink")
	require.Eventually(t, func() bool {
		out, err = o.run("", "status", erasure.ID)
		require.NoError(t, err)
		return strings.Contains(out, "COMPLETED")
	}, time.Minute, 50*time.Millisecond)
	require.Contains(t, out, "of 2 addresses and 1 numbers")
	require.Contains(t, out, "remains  topics until ")
	require.Contains(t, out, ": DONE")
	out, err = o.run("", "status")
	require.NoError(t, err)
	require.Contains(t, out, erasure.ID)

	_, err = o.run("", "lift", "--address", "mia@home.example")
	require.ErrorContains(t, err, "--yes")
	out, err = o.run("", "lift", "--address", "mia@home.example", "--yes")
	require.NoError(t, err)
	require.Contains(t, out, "1 of 1 addresses and numbers are recorded again")
	out, err = o.run("", "lift", "--phone", "090-1234-5678", "--phone-region", "JP", "--yes")
	require.NoError(t, err)
	require.Contains(t, out, "1 of 1 addresses and numbers are recorded again")
	out, err = o.run("Mia.Zebrafink@viewer.example", "lift", "--address-file", "-", "--yes", "--json")
	require.NoError(t, err)
	require.Contains(t, out, `"lifted"`)
	out, err = o.run("", "status", "--json")
	require.NoError(t, err)
	require.Contains(t, out, "liftedAt", "all of its addresses are")
}

func TestPrivacyProposals(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-32")
	o := setupOffice(t)
	forget := func(event string) {
		require.NoError(t, o.service.RecordOutcomes(t.Context(), []*streamv1.Outcome{{
			Workspace: "acme", Status: streamv1.Status_STATUS_SKIPPED, Reason: streamv1.Reason_REASON_OPTED_OUT, Stage: "mapping", EventId: event,
			PersonKey: "key of " + event, Connection: "main", DecidedAt: timestamppb.Now(), OccurredAt: timestamppb.Now(),
			Forget: &streamv1.ForgetRequest{Object: "Lead", RecordId: "00Q00000000000" + event},
		}}))
	}
	forget("1AAA")
	forget("2AAA")
	out, err := o.run("", "proposals", "--json")
	require.NoError(t, err)
	var listed struct {
		Proposals []struct{ ID, RecordID string }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &listed))
	require.Len(t, listed.Proposals, 2)
	_, err = o.run("", "confirm", listed.Proposals[0].ID)
	require.ErrorContains(t, err, "--yes")
	out, err = o.run("", "confirm", listed.Proposals[0].ID, "--yes")
	require.NoError(t, err)
	require.Contains(t, out, "RUNNING")
	out, err = o.run("", "proposals")
	require.NoError(t, err)
	require.NotContains(t, out, listed.Proposals[0].RecordID)
	require.Contains(t, out, listed.Proposals[1].RecordID)
	out, err = o.run("", "dismiss", listed.Proposals[1].ID)
	require.NoError(t, err)
	require.Contains(t, out, "is dismissed")
}
