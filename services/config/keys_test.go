package config_test

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// keyed is a service whose installation key lies in a file, with a client of its key service.
type keyed struct {
	*testBundle
	file seal.File
	keys configv1.KeyServiceClient
}

func setupKeyed(t *testing.T) *keyed {
	t.Helper()
	b := &keyed{testBundle: prepare(t), file: seal.File{Path: filepath.Join(t.TempDir(), "installation.key")}}
	inst, err := b.file.LoadOrCreate(epoch)
	require.NoError(t, err)
	b.deps.Installation = inst
	b.start(t)
	b.keys = configv1.NewKeyServiceClient(b.dial(t, adminToken))
	return b
}

// rotate makes a new primary key in the file and has everything sealed with it.
func (b *keyed) rotate(t *testing.T) (old, fresh uint32) {
	t.Helper()
	old = b.deps.Installation.Primary()
	fresh, err := b.file.AddKey(epoch)
	require.NoError(t, err)
	require.NoError(t, b.file.Promote(fresh, epoch))
	for {
		resp, err := b.keys.RewrapSecrets(t.Context(), &configv1.RewrapSecretsRequest{})
		require.NoError(t, err)
		require.Equal(t, fresh, resp.GetUse().GetPrimaryKeyId(), "config takes it up when asked")
		needed := slices.ContainsFunc(resp.GetUse().GetCounts(), func(c *configv1.KeyCount) bool { return c.GetKeyId() == old })
		if resp.GetResealed() == 0 && !needed {
			entries := b.audited(t, adminToken, &configv1.ListAuditEntriesRequest{Action: "RewrapSecrets"})
			require.NotEmpty(t, entries)
			require.Equal(t, []string{"root", "admin", "RewrapSecrets", "sealed values", ""}, entries[0])
			return old, fresh
		}
	}
}

func TestTheInstallationKeyRotatesUnderLoad(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-29")
	b := setupKeyed(t)
	b.workspace(t, "acme")
	b.workspace(t, "globex")
	// A service with a key file of its own eyes: it looks at it only when something does not open.
	service, err := b.file.Load()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	loop := func(once func() error) {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := once(); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	loop(func() error {
		_, err := b.service.GetAccessToken(ctx, &configv1.GetAccessTokenRequest{Workspace: "acme", Connection: "main"})
		return err
	})
	loop(func() error {
		stream, err := b.service.Watch(ctx, &configv1.WatchRequest{})
		if err != nil {
			return err
		}
		resp, err := stream.Recv()
		if err != nil {
			return err
		}
		_, err = settings.NewView(resp.GetSnapshot(), service)
		return err
	})
	edited := b.connection("globex")
	loop(func() error { // secrets are entered again and again
		got, err := b.admin.GetConnection(ctx, &configv1.GetConnectionRequest{Workspace: "globex", Connection: "main"})
		if err != nil {
			return err
		}
		next := proto.CloneOf(edited)
		next.Version, next.Name = got.GetConnection().GetVersion(), got.GetConnection().GetName()+"x"
		if len(next.GetName()) > 50 {
			next.Name = "x"
		}
		_, err = b.admin.PutConnection(ctx, &configv1.PutConnectionRequest{Connection: next})
		return err
	})
	retired := []uint32{}
	for range 3 {
		old, _ := b.rotate(t)
		retired = append(retired, old)
	}
	cancel()
	wg.Wait()
	// What was on its way during the last rotation.
	_, err = b.keys.RewrapSecrets(t.Context(), &configv1.RewrapSecretsRequest{})
	require.NoError(t, err)
	for _, old := range retired {
		require.NoError(t, b.file.Disable(old))
	}
	_, err = b.deps.Installation.Reload()
	require.NoError(t, err)
	require.Empty(t, b.unreadable(t))
	for _, workspace := range []string{"acme", "globex"} {
		_, err := b.service.GetAccessToken(t.Context(), &configv1.GetAccessTokenRequest{
			Workspace: workspace, Connection: "main", RefusedTokenHash: make([]byte, 32),
		})
		require.NoError(t, err)
	}
}

func (b *keyed) unreadable(t *testing.T) []*configv1.UnreadableSecret {
	t.Helper()
	use, err := b.keys.GetKeyUse(t.Context(), &configv1.GetKeyUseRequest{})
	require.NoError(t, err)
	require.Len(t, use.GetUse().GetUnreadable(), int(use.GetUse().GetUnreadableCount()))
	return use.GetUse().GetUnreadable()
}

func TestCredentialsThatDoNotOpenStopTheirConnectionAndNameIt(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-29")
	b := setupKeyed(t)
	b.workspace(t, "acme")
	old, _ := b.rotateWithoutRewrap(t)
	require.NoError(t, b.file.Disable(old)) // too early
	_, err := b.deps.Installation.Reload()
	require.NoError(t, err)

	_, err = b.service.GetAccessToken(t.Context(), &configv1.GetAccessTokenRequest{Workspace: "acme", Connection: "main"})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.ErrorContains(t, err, "connection main in workspace acme")
	var info *errdetails.ErrorInfo
	for _, d := range status.Convert(err).Details() {
		info, _ = d.(*errdetails.ErrorInfo)
	}
	require.Equal(t, map[string]string{"code": "CREDENTIALS_UNREADABLE", "workspace": "acme", "connection": "main"}, info.GetMetadata())
	require.Zero(t, b.org.count(), "Salesforce is not asked with anything else")
	require.Len(t, b.unreadable(t), 2, "the workspace's keys and the credentials")
	stands := b.stands(t, "acme")
	require.Equal(t, configv1.ConnectionState_CONNECTION_STATE_DEGRADED, stands.GetState())
	require.Equal(t, "CREDENTIALS_UNREADABLE", stands.GetCause())

	require.NoError(t, b.file.Enable(old))
	_, err = b.service.GetAccessToken(t.Context(), &configv1.GetAccessTokenRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err, "nothing was lost by it")
	require.Empty(t, b.unreadable(t))
}

// stands is where the workspace's connection stands.
func (b *keyed) stands(t *testing.T, workspace string) *configv1.ConnectionStatus {
	t.Helper()
	got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: workspace, Connection: "main"})
	require.NoError(t, err)
	return got.GetConnection().GetStatus()
}

func TestAWorkspaceEndsWithItsKeys(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-29")
	b := setupKeyed(t)
	b.workspace(t, "acme")
	b.workspace(t, "globex")
	destroy := func(client configv1.KeyServiceClient, confirm string) error {
		_, err := client.DestroyWorkspaceKeys(t.Context(), &configv1.DestroyWorkspaceKeysRequest{Workspace: "acme", Confirm: confirm})
		return err
	}
	require.Equal(t, codes.InvalidArgument, status.Code(destroy(b.keys, "ACME")))
	own := configv1.NewKeyServiceClient(b.dial(t, acmeToken))
	require.Equal(t, codes.PermissionDenied, status.Code(destroy(own, "acme")), "the installation's owner decides")
	hold := func(on bool) {
		got, err := b.admin.GetWorkspace(t.Context(), &configv1.GetWorkspaceRequest{Workspace: "acme"})
		require.NoError(t, err)
		got.Workspace.Retention = &configv1.RetentionSettings{LegalHold: on}
		_, err = b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: got.GetWorkspace()})
		require.NoError(t, err)
	}
	hold(true)
	require.Equal(t, codes.FailedPrecondition, status.Code(destroy(b.keys, "acme")), "a legal hold")
	hold(false)

	require.NoError(t, destroy(b.keys, "acme"))
	require.Equal(t, "KEYS_DESTROYED", b.stands(t, "acme").GetCause())
	require.Equal(t, configv1.ConnectionState_CONNECTION_STATE_DISCONNECTED, b.stands(t, "acme").GetState())
	stopped := func(err error) {
		t.Helper()
		require.Equal(t, codes.FailedPrecondition, status.Code(err))
		require.ErrorContains(t, err, "were destroyed")
	}
	people := configv1.NewPrivacyServiceClient(b.dial(t, adminToken))
	_, err := people.StartErasure(t.Context(), &configv1.StartErasureRequest{Workspace: "acme", Addresses: []string{mia}, Confirm: true})
	stopped(err)
	_, err = people.ExportPerson(t.Context(), &configv1.ExportPersonRequest{Workspace: "acme", Addresses: []string{mia}})
	stopped(err)
	_, err = b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: b.connection("acme")})
	stopped(err)
	_, err = b.service.GetAccessToken(t.Context(), &configv1.GetAccessTokenRequest{Workspace: "acme", Connection: "main"})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	_, err = b.service.GetAccessToken(t.Context(), &configv1.GetAccessTokenRequest{Workspace: "globex", Connection: "main"})
	require.NoError(t, err, "promise 6")

	entries, err := configv1.NewAccessServiceClient(b.dial(t, adminToken)).ListAuditEntries(t.Context(), &configv1.ListAuditEntriesRequest{Workspace: "acme"})
	require.NoError(t, err)
	last := entries.GetEntries()[0]
	require.Equal(t, []string{"root", "DestroyWorkspaceKeys"}, []string{last.GetActor(), last.GetAction()}, "audited")
	require.NoError(t, destroy(b.keys, "acme"), "again is harmless")
}

// rotateWithoutRewrap makes a new primary key that config takes up without looking through the store.
func (b *keyed) rotateWithoutRewrap(t *testing.T) (old, fresh uint32) {
	t.Helper()
	old = b.deps.Installation.Primary()
	fresh, err := b.file.AddKey(epoch)
	require.NoError(t, err)
	require.NoError(t, b.file.Promote(fresh, epoch))
	return old, fresh
}

func TestWorkspaceKeysRotateInTwoSteps(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-29")
	b := setupKeyed(t)
	b.workspace(t, "acme")
	stream := b.watch(t, 0)
	keysIn := func(s *configv1.Snapshot) *seal.Keys {
		view, err := settings.NewView(s, b.deps.Installation)
		require.NoError(t, err)
		ws, ok := view.Workspace("acme")
		require.True(t, ok)
		return ws.Keys()
	}
	first := keysIn(receive(t, stream))
	before, err := first.Seal([]byte("aoi@example.jp"))
	require.NoError(t, err)

	added, err := b.keys.AddWorkspaceKey(t.Context(), &configv1.AddWorkspaceKeyRequest{Workspace: "acme"})
	require.NoError(t, err)
	id := added.GetKey().GetId()
	require.Equal(t, epoch.Add(10*time.Minute), added.GetPromoteFrom().AsTime())
	standby := keysIn(receive(t, stream))
	_, err = b.keys.AddWorkspaceKey(t.Context(), &configv1.AddWorkspaceKeyRequest{Workspace: "acme"})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	promote := func(key uint32, now bool) error {
		_, err := b.keys.PromoteWorkspaceKey(t.Context(), &configv1.PromoteWorkspaceKeyRequest{Workspace: "acme", KeyId: key, Now: now})
		return err
	}
	require.Equal(t, codes.FailedPrecondition, status.Code(promote(id, false)), "services may not have it yet")
	require.Equal(t, codes.NotFound, status.Code(promote(id+1, false)))
	b.clock.Advance(10 * time.Minute)
	require.NoError(t, promote(id, false))
	require.Equal(t, codes.FailedPrecondition, status.Code(promote(id, true)), "it is the primary one already")

	last := keysIn(receive(t, stream))
	after, err := last.Seal([]byte("aoi@example.jp"))
	require.NoError(t, err)
	for name, keys := range map[string]*seal.Keys{"a service that lags": standby, "one that does not": last} {
		for _, sealed := range [][]byte{before, after} {
			_, err := keys.Open(sealed)
			require.NoError(t, err, name)
		}
	}
	require.Equal(t, first.PersonKey("aoi@example.jp"), last.PersonKey("aoi@example.jp"))
	listed, err := b.keys.ListWorkspaceKeys(t.Context(), &configv1.ListWorkspaceKeysRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Equal(t, configv1.WorkspaceKeyState_WORKSPACE_KEY_STATE_RETIRED, listed.GetKeys()[0].GetState())
	require.Equal(t, id, listed.GetKeys()[1].GetId())
	got, err := b.admin.GetWorkspace(t.Context(), &configv1.GetWorkspaceRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Equal(t, int64(3), got.GetWorkspace().GetVersion(), "the history tells who rotated")
}
