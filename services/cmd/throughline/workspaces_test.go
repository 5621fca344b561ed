package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// landscape is a config service with two workspaces, one of them in trouble.
type landscape struct {
	configv1.UnimplementedConfigServiceServer
	configv1.UnimplementedNoticeServiceServer
}

func (landscape) ListWorkspaces(context.Context, *configv1.ListWorkspacesRequest) (*configv1.ListWorkspacesResponse, error) {
	return &configv1.ListWorkspacesResponse{Workspaces: []*configv1.Workspace{
		{Id: "acme", Name: "Acme", Language: "en"}, {Id: "sakura", Name: "さくら商事", Language: "ja"},
	}}, nil
}

func (landscape) ListConnections(_ context.Context, req *configv1.ListConnectionsRequest) (*configv1.ListConnectionsResponse, error) {
	if req.GetWorkspace() != "sakura" {
		return &configv1.ListConnectionsResponse{}, nil
	}
	ready := &configv1.ConnectionStatus{State: configv1.ConnectionState_CONNECTION_STATE_READY}
	return &configv1.ListConnectionsResponse{Connections: []*configv1.Connection{
		{Id: "a", Status: ready}, {Id: "b", Status: ready}, {Id: "c", Status: &configv1.ConnectionStatus{
			State: configv1.ConnectionState_CONNECTION_STATE_DEGRADED, Reason: streamv1.Reason_REASON_SF_APP_BLOCKED,
		}},
	}}, nil
}

func (landscape) ListNotices(_ context.Context, req *configv1.ListNoticesRequest) (*configv1.ListNoticesResponse, error) {
	if req.GetWorkspace() != "sakura" {
		return &configv1.ListNoticesResponse{}, nil
	}
	return &configv1.ListNoticesResponse{Notices: []*configv1.Notice{{Id: "n"}}}, nil
}

func (landscape) ListOutcomes(context.Context, *configv1.ListOutcomesRequest) (*configv1.ListOutcomesResponse, error) {
	return &configv1.ListOutcomesResponse{}, nil
}

// landscapeFlags lead a command to a landscape.
func landscapeFlags(t *testing.T) []string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	configv1.RegisterConfigServiceServer(server, landscape{})
	configv1.RegisterNoticeServiceServer(server, landscape{})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	token := filepath.Join(t.TempDir(), "admin.token")
	require.NoError(t, os.WriteFile(token, []byte("a-token-of-an-administrator"), 0o600))
	return []string{"--set", "settings.target=" + listener.Addr().String(), "--set", "admin_token_file=" + token}
}

func TestWorkspacesTellWhereTheyStand(t *testing.T) {
	t.Parallel()
	flags := landscapeFlags(t)
	run := func(args ...string) string {
		var out bytes.Buffer
		root := newRoot()
		root.SetArgs(append(args, flags...))
		root.SetOut(&out)
		require.NoError(t, root.ExecuteContext(t.Context()))
		return out.String()
	}
	all := run("workspaces")
	require.Contains(t, all, "│ acme      │ Acme       │ en       │")
	require.Contains(t, all, "│ sakura    │ さくら商事 │ ja       │ 1 DEGRADED(SF_APP_BLOCKED), 2 READY │ 1: throughline notices --workspace sakura │")
	require.NotContains(t, run("workspaces", "--trouble"), "acme")
	require.JSONEq(t, `{"workspace":{"id":"sakura","name":"さくら商事","language":"ja"},"connections":{"DEGRADED(SF_APP_BLOCKED)":1,"READY":2},"notices":1}`,
		run("workspaces", "--trouble", "--json"))
	require.Equal(t, "None.\n", run("outcomes", "--workspace", "acme"))
}

func TestAMisspeltWorkspaceIsNotAnEmptyOne(t *testing.T) {
	t.Parallel()
	b := setupConfig(t)
	flags := []string{"--set", "settings.target=" + b.svc.Addr(), "--set", "admin_token_file=" + b.path("admin.token")}
	for _, command := range []string{"outcomes", "days", "connections", "doctor", "notices", "audit"} {
		code, said := callProgram(t, append([]string{command, "--workspace", "acm"}, flags...)...)
		require.Equal(t, exitFailed, code, command)
		require.Contains(t, said, "throughline: there is no workspace \"acm\": ListWorkspaces (throughline workspaces) lists them", command)
	}
}

func TestAnEventIsMissingForAReason(t *testing.T) {
	t.Parallel()
	b := setupConfig(t)
	conn, err := settings.Dial(settings.Config{Target: b.svc.Addr(), Token: secret.New(testAdminToken)}, settings.Deps{})
	require.NoError(t, err)
	require.ErrorContains(t, noSuchEvent(t.Context(), conn, "acm"), `there is no workspace "acm"`)
	require.ErrorIs(t, noSuchEvent(t.Context(), conn, "acme"), errNotFound)
	require.NoError(t, conn.Close())
	require.ErrorIs(t, noSuchEvent(t.Context(), conn, "acm"), errNotFound, "config cannot be asked")
}
