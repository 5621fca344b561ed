package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// The states, in short.
const (
	notConnected = configv1.ConnectionState_CONNECTION_STATE_NOT_CONNECTED
	awaiting     = configv1.ConnectionState_CONNECTION_STATE_AWAITING_SF_ADMIN
	authorised   = configv1.ConnectionState_CONNECTION_STATE_AUTHORISED
	noPackage    = configv1.ConnectionState_CONNECTION_STATE_PACKAGE_MISSING
	ready        = configv1.ConnectionState_CONNECTION_STATE_READY
	degraded     = configv1.ConnectionState_CONNECTION_STATE_DEGRADED
	revoked      = configv1.ConnectionState_CONNECTION_STATE_REVOKED
	disconnected = configv1.ConnectionState_CONNECTION_STATE_DISCONNECTED
)

// connects returns a client of the other service for a caller.
func (b *testBundle) connects(t *testing.T, token string) configv1.ConnectServiceClient {
	t.Helper()
	return configv1.NewConnectServiceClient(b.dial(t, token))
}

// status reads where a connection of acme stands, the way people do.
func (b *testBundle) status(t *testing.T) *configv1.ConnectionStatus {
	t.Helper()
	resp, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	list, err := b.admin.ListConnections(t.Context(), &configv1.ListConnectionsRequest{Workspace: "acme"})
	require.NoError(t, err)
	for _, c := range list.GetConnections() {
		if c.GetId() == "main" {
			require.Equal(t, resp.GetConnection().GetStatus().GetState(), c.GetStatus().GetState())
		}
	}
	return resp.GetConnection().GetStatus()
}

func (b *testBundle) token(t *testing.T, refused ...byte) error {
	t.Helper()
	_, err := b.service.GetAccessToken(t.Context(), &configv1.GetAccessTokenRequest{
		Workspace: "acme", Connection: "main", RefusedTokenHash: refused,
	})
	return err
}

func TestStatesFollowWhatSalesforceSays(t *testing.T) {
	t.Attr("requirement", "XC-17")
	t.Parallel()
	b := setup(t)
	b.workspace(t, "acme")
	s := b.status(t)
	require.Equal(t, authorised, s.GetState())
	require.Equal(t, "CREDENTIALS", s.GetCause())
	require.Equal(t, "root", s.GetActor())
	require.Equal(t, epoch, s.GetSince().AsTime())
	require.NoError(t, b.token(t))
	step := func() { b.clock.Advance(2 * time.Hour) } // beyond a token's life

	step()
	b.org.refuseWith("server_error")
	require.Error(t, b.token(t))
	require.Equal(t, authorised, b.status(t).GetState(), "what passes is not a revocation")

	step()
	b.org.refuseWith("app_blocked")
	require.Error(t, b.token(t))
	require.Equal(t, degraded, b.status(t).GetState())
	require.Equal(t, streamv1.Reason_REASON_SF_APP_BLOCKED, b.status(t).GetReason())
	require.Equal(t, "salesforce", b.status(t).GetActor())

	step()
	b.org.refuseWith("invalid_grant")
	require.Error(t, b.token(t))
	require.Equal(t, revoked, b.status(t).GetState())
	require.Equal(t, "invalid_grant", b.status(t).GetCause())
	require.Equal(t, b.clock.Now(), b.status(t).GetSince().AsTime())

	step()
	require.Error(t, b.token(t))
	require.NotEqual(t, b.clock.Now(), b.status(t).GetSince().AsTime(), "told once")

	step()
	b.org.refuseWith("")
	require.NoError(t, b.token(t))
	require.Equal(t, authorised, b.status(t).GetState())

	history, err := b.connects(t, viewerToken).ListConnectionHistory(t.Context(), &configv1.ListConnectionHistoryRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	var way []configv1.ConnectionState
	for _, c := range history.GetChanges() {
		way = append(way, c.GetTo().GetState())
		require.NotEmpty(t, c.GetTo().GetCause())
		require.NotEmpty(t, c.GetTo().GetActor())
	}
	require.Equal(t, []configv1.ConnectionState{authorised, revoked, degraded, authorised}, way)
}

func TestWatchersSeeStates(t *testing.T) {
	t.Attr("requirement", "XC-17")
	t.Parallel()
	b := setup(t)
	b.workspace(t, "acme")
	watcher := b.watch(t, 0)
	require.Equal(t, authorised, receive(t, watcher).GetWorkspaces()[0].GetConnections()[0].GetStatus().GetState())
	b.org.refuseWith("invalid_grant")
	require.Error(t, b.token(t))
	require.Equal(t, revoked, receive(t, watcher).GetWorkspaces()[0].GetConnections()[0].GetStatus().GetState())
}

func TestAnOperatorOverridesAStateOnTheRecord(t *testing.T) {
	t.Attr("requirement", "XC-17")
	t.Attr("requirement", "LOOM-5")
	t.Parallel()
	b := setup(t)
	b.workspace(t, "acme")
	override := func(state configv1.ConnectionState) (*configv1.OverrideStateResponse, error) {
		return b.connects(t, adminToken).OverrideState(t.Context(), &configv1.OverrideStateRequest{
			Workspace: "acme", Connection: "main", State: state, Note: "edition agreed by contract 12", Hold: durationpb.New(48 * time.Hour),
		})
	}
	_, err := b.connects(t, acmeToken).OverrideState(t.Context(), &configv1.OverrideStateRequest{
		Workspace: "acme", Connection: "main", State: ready, Note: "please",
	})
	require.Equal(t, codes.PermissionDenied, status.Code(err), "a workspace's own administrator is no operator")
	resp, err := override(ready)
	require.NoError(t, err)
	require.Equal(t, ready, resp.GetStatus().GetState())
	require.Equal(t, epoch.Add(48*time.Hour), resp.GetStatus().GetHeldUntil().AsTime())
	_, err = override(disconnected)
	require.Equal(t, codes.InvalidArgument, status.Code(err))

	history, err := b.connects(t, acmeViewer).ListConnectionHistory(t.Context(), &configv1.ListConnectionHistoryRequest{Workspace: "acme", Connection: "main", Limit: 1})
	require.NoError(t, err)
	require.True(t, history.GetChanges()[0].GetManual())
	require.Equal(t, authorised, history.GetChanges()[0].GetFrom())
	require.Equal(t, "edition agreed by contract 12", history.GetChanges()[0].GetTo().GetCause())
	require.Equal(t, "root", history.GetChanges()[0].GetTo().GetActor())
	require.Equal(t, [][]string{{"root", "admin", "OverrideState", "main", "edition agreed by contract 12"}},
		b.audited(t, acmeToken, &configv1.ListAuditEntriesRequest{Workspace: "acme", Kind: "connection_state"}))

	b.org.refuseWith("invalid_grant")
	require.Error(t, b.token(t))
	_, err = override(ready)
	require.Equal(t, codes.FailedPrecondition, status.Code(err), "no decision brings a dead token back")
	require.Equal(t, revoked, b.status(t).GetState())
}

func TestACheckThatWorksLetsServicesGoOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.workspace(t, "acme")
	b.org.refuseWith("app_blocked")
	require.Error(t, b.token(t))
	require.Equal(t, degraded, b.status(t).GetState())
	b.org.refuseWith("")
	b.clock.Advance(time.Minute)
	_, err := b.admin.CheckConnection(t.Context(), &configv1.CheckConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	require.Equal(t, authorised, b.status(t).GetState())
	require.Equal(t, "CHECKED", b.status(t).GetCause())
	require.Equal(t, "root", b.status(t).GetActor())
}
