package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

const (
	scopeIngest   = configv1.ApiKeyScope_API_KEY_SCOPE_INGEST
	scopeOutcomes = configv1.ApiKeyScope_API_KEY_SCOPE_OUTCOMES_READ
	scopeRead     = configv1.ApiKeyScope_API_KEY_SCOPE_SETTINGS_READ
	scopeWrite    = configv1.ApiKeyScope_API_KEY_SCOPE_SETTINGS_WRITE
)

// newKey makes a key of workspace acme and returns its secret.
func (b *testBundle) newKey(t *testing.T, id string, scopes ...configv1.ApiKeyScope) string {
	t.Helper()
	resp, err := b.admin.CreateApiKey(t.Context(), &configv1.CreateApiKeyRequest{Key: &configv1.ApiKey{
		Workspace: "acme", Id: id, Scopes: scopes, ExpiresAt: timestamppb.New(epoch.Add(time.Hour)),
	}})
	require.NoError(t, err)
	return resp.GetSecret()
}

func TestAnAPIKeyIsGoodForItsScopesAndItsTime(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.workspace(t, "acme")
	b.workspace(t, "globex")
	reader := b.newKey(t, "reader", scopeRead)
	read := func(token, workspace string) codes.Code {
		_, err := b.client(t, token).GetWorkspace(ctx, &configv1.GetWorkspaceRequest{Workspace: workspace})
		return status.Code(err)
	}
	require.Equal(t, codes.OK, read(reader, "acme"))
	require.Equal(t, codes.PermissionDenied, read(reader, "globex"))
	require.Equal(t, codes.PermissionDenied, read(b.newKey(t, "events"), "acme"), "without scopes it is for events")
	require.Equal(t, codes.PermissionDenied, read(b.newKey(t, "outcomes", scopeOutcomes), "acme"))
	for _, wrong := range []string{
		reader + "x", reader[:len(reader)-1], "tl_acme_reader_", "tl_acme_reader", "tl_globex_reader_" + reader[len("tl_acme_reader_"):], "tl_",
	} {
		require.Equal(t, codes.Unauthenticated, read(wrong, "acme"), wrong)
	}
	write := func(token string) codes.Code {
		_, err := b.client(t, token).PutContentSetting(ctx, &configv1.PutContentSettingRequest{
			Setting: &configv1.ContentSetting{Workspace: "acme", ContentId: "v"},
		})
		return status.Code(err)
	}
	require.Equal(t, codes.PermissionDenied, write(reader))
	require.Equal(t, codes.OK, write(b.newKey(t, "writer", scopeWrite)))
	_, err := b.access(t, reader).ListApiKeys(ctx, &configv1.ListApiKeysRequest{Workspace: "acme"})
	require.Equal(t, codes.PermissionDenied, status.Code(err), "a key never reaches keys")

	access := b.access(t, acmeToken)
	listed, err := access.ListApiKeys(ctx, &configv1.ListApiKeysRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Len(t, listed.GetKeys(), 4)
	for _, key := range listed.GetKeys() {
		require.Empty(t, key.GetSecretHash())
	}
	require.Equal(t, []configv1.ApiKeyScope{scopeIngest}, listed.GetKeys()[0].GetScopes())

	_, err = access.RevokeApiKey(ctx, &configv1.RevokeApiKeyRequest{Workspace: "acme", Key: "reader"})
	require.NoError(t, err)
	_, err = access.RevokeApiKey(ctx, &configv1.RevokeApiKeyRequest{Workspace: "acme", Key: "reader"})
	require.NoError(t, err)
	require.Equal(t, codes.Unauthenticated, read(reader, "acme"), "revoked")
	_, err = b.admin.CreateApiKey(ctx, &configv1.CreateApiKeyRequest{Key: &configv1.ApiKey{Workspace: "acme", Id: "reader"}})
	require.Equal(t, codes.AlreadyExists, status.Code(err), "a revoked key's id is not used again")
	_, err = access.RevokeApiKey(ctx, &configv1.RevokeApiKeyRequest{Workspace: "acme", Key: "none"})
	require.Equal(t, codes.NotFound, status.Code(err))

	late := b.newKey(t, "late", scopeRead)
	b.clock.Advance(time.Hour)
	require.Equal(t, codes.Unauthenticated, read(late, "acme"), "expired")
}

func TestWatchersAreGivenOnlyKeysThatLetEventsIn(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.workspace(t, "acme")
	b.newKey(t, "events")
	b.newKey(t, "both", scopeIngest, scopeRead)
	b.newKey(t, "reader", scopeRead)
	b.newKey(t, "gone", scopeIngest)
	_, err := b.access(t, adminToken).RevokeApiKey(ctx, &configv1.RevokeApiKeyRequest{Workspace: "acme", Key: "gone"})
	require.NoError(t, err)
	stream, err := b.service.Watch(ctx, &configv1.WatchRequest{})
	require.NoError(t, err)
	first, err := stream.Recv()
	require.NoError(t, err)
	var ids []string
	for _, key := range first.GetSnapshot().GetWorkspaces()[0].GetApiKeys() {
		ids = append(ids, key.GetId())
	}
	require.Equal(t, []string{"both", "events"}, ids)
}

// delayOf returns how long a refused caller is told to wait.
func delayOf(t *testing.T, err error) time.Duration {
	t.Helper()
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	for _, d := range status.Convert(err).Details() {
		if retry, ok := d.(*errdetails.RetryInfo); ok {
			return retry.GetRetryDelay().AsDuration()
		}
	}
	t.Fatal("no RetryInfo")
	return 0
}

func TestWhoCallsTooOftenIsToldWhenToComeAgain(t *testing.T) {
	t.Parallel()
	b := prepare(t)
	b.cfg.Access.Calls.PerSecond, b.cfg.Access.Calls.Burst = 2, 4
	b.start(t)
	ctx := t.Context()
	list := func(client configv1.ConfigServiceClient) error {
		_, err := client.ListWorkspaces(ctx, &configv1.ListWorkspacesRequest{})
		return err
	}
	viewer := b.client(t, viewerToken)
	for range 4 {
		require.NoError(t, list(viewer))
	}
	wait := delayOf(t, list(viewer))
	require.Equal(t, 500*time.Millisecond, wait)
	require.NoError(t, list(b.client(t, acmeViewer)), "another caller does not suffer")
	b.clock.Advance(wait)
	require.NoError(t, list(viewer))
}

func TestAnAddressThatKeepsFailingIsRefusedWithoutALook(t *testing.T) {
	t.Parallel()
	b := prepare(t)
	b.cfg.Access.Failures.PerSecond, b.cfg.Access.Failures.Burst = 1, 5
	b.start(t)
	ctx := t.Context()
	b.workspace(t, "acme")
	key := b.newKey(t, "reader", scopeRead)
	read := func(token string) error {
		_, err := b.client(t, token).GetWorkspace(ctx, &configv1.GetWorkspaceRequest{Workspace: "acme"})
		return err
	}
	for range 4 {
		require.Equal(t, codes.Unauthenticated, status.Code(read("tl_acme_reader_guess")))
	}
	_, err := b.access(t, "").RedeemAdministratorLink(ctx, &configv1.RedeemAdministratorLinkRequest{Secret: "guess"})
	require.Equal(t, codes.Unauthenticated, status.Code(err))
	delayOf(t, read("tl_acme_reader_guess"))
	wait := delayOf(t, read(key))
	_, err = b.access(t, "").RedeemAdministratorLink(ctx, &configv1.RedeemAdministratorLinkRequest{Secret: "guess"})
	delayOf(t, err)
	require.NoError(t, read(acmeViewer), "whom the configuration knows is let in from there all the same")
	b.clock.Advance(wait)
	require.NoError(t, read(key))
}
