package api_test

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/configtest"
	"github.com/throughline-dev/throughline/services/config/internal/api"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/keys"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
	"github.com/throughline-dev/throughline/services/config/internal/watch"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

type keyBundle struct {
	store  *store.Store
	inst   *seal.Installation
	server *api.KeyServer
	hub    *watch.Hub
}

func setupKeys(t *testing.T) *keyBundle {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), configtest.Database(t, filepath.Join(t.TempDir(), "config.db")))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	inst, err := seal.NewInstallation()
	require.NoError(t, err)
	clock, logger := stagetest.NewClock(epoch), slog.New(slog.DiscardHandler)
	b := &keyBundle{store: s, inst: inst, hub: watch.New(
		watch.Config{PollEvery: time.Second, History: time.Hour}, watch.Deps{Store: s, Clock: clock, Logger: logger},
	)}
	b.server = api.NewKeyServer(api.KeyDeps{
		Documents: s, Destroyer: s, Installation: inst, Clock: clock, Logger: logger, PromoteAfter: time.Minute,
		Keeper:    &lifecycle.Keeper{Rules: connstate.DefaultRules(), States: s, Clock: clock, Logger: logger},
		Rewrapper: keys.New(keys.DefaultConfig(), keys.Deps{Store: s, Installation: inst, Logger: logger}),
	})
	for _, id := range []string{"acme", "globex"} {
		b.workspace(t, id)
	}
	return b
}

// workspace saves one with keys, credentials and an access token.
func (b *keyBundle) workspace(t *testing.T, id string) {
	t.Helper()
	put := func(kind store.Kind, id2 string, body proto.Message, sealed []byte) {
		encoded, err := proto.Marshal(body)
		require.NoError(t, err)
		require.NoError(t, b.store.Put(t.Context(), store.Save{
			Key: store.Key{Workspace: id, Kind: kind, ID: id2}, Body: encoded, Sealed: sealed, At: epoch,
		}))
	}
	wrapped, err := b.inst.NewKeys(id)
	require.NoError(t, err)
	put(store.KindWorkspace, id, &configv1.Workspace{Id: id, Name: id, Version: 1}, wrapped)
	conn := &configv1.Connection{Workspace: id, Id: "main", Grant: &configv1.Connection_RefreshToken{
		RefreshToken: &configv1.RefreshToken{ClientId: "c", RefreshToken: "refresh"},
	}}
	sealed, err := tokens.SealCredentials(b.inst, conn)
	require.NoError(t, err)
	put(store.KindConnection, "main", &configv1.Connection{Workspace: id, Id: "main", Version: 1}, sealed)
	require.NoError(t, b.store.SaveToken(t.Context(), store.NewToken{
		AccessToken: store.AccessToken{Workspace: id, Connection: "main", Sealed: []byte("token"), ExpiresAt: epoch.Add(time.Hour)},
		Generation:  1,
	}))
}

func (b *keyBundle) view(t *testing.T) *settings.View {
	t.Helper()
	state, _, err := b.hub.Current(t.Context())
	require.NoError(t, err)
	wire, err := proto.Marshal(state.Whole())
	require.NoError(t, err)
	whole := &configv1.WatchResponse{}
	require.NoError(t, proto.Unmarshal(wire, whole))
	view, err := settings.NewView(whole.GetSnapshot(), b.inst)
	require.NoError(t, err, "other workspaces must not suffer")
	return view
}

func TestDestroyedKeysMakeEverythingOfTheWorkspaceUnreadable(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-29")
	b := setupKeys(t)
	ctx := auth.WithIdentity(t.Context(), auth.Identity{Name: "aoi", Role: auth.RoleAdmin})
	ws, ok := b.view(t).Workspace("acme")
	require.True(t, ok)
	copyInKafka, err := ws.Keys().Seal([]byte("viewer@example.com"))
	require.NoError(t, err)

	destroy := func(workspace, confirm string) error {
		_, err := b.server.DestroyWorkspaceKeys(ctx, &configv1.DestroyWorkspaceKeysRequest{Workspace: workspace, Confirm: confirm})
		return err
	}
	for _, confirm := range []string{"", "Acme", "globex"} {
		require.Equal(t, codes.InvalidArgument, status.Code(destroy("acme", confirm)), confirm)
	}
	_, ok = b.view(t).Workspace("acme")
	require.True(t, ok, "not before it is confirmed")
	require.NoError(t, destroy("acme", "acme"))
	view := b.view(t)
	_, ok = view.Workspace("acme")
	require.False(t, ok, "no service works for it any more")
	other, ok := view.Workspace("globex")
	require.True(t, ok)
	_, err = other.Keys().Open(copyInKafka)
	require.ErrorIs(t, err, seal.ErrOpen)

	key := store.Key{Workspace: "acme", Kind: store.KindWorkspace, ID: "acme"}
	doc, err := b.store.Get(ctx, key)
	require.NoError(t, err)
	_, err = b.inst.OpenKeys("acme", doc.Sealed)
	require.ErrorIs(t, err, seal.ErrOpen)
	require.Equal(t, "aoi", doc.SavedBy, "the history tells who did it")
	saved := &configv1.Workspace{}
	require.NoError(t, proto.Unmarshal(doc.Body, saved))
	require.Equal(t, []int64{2, 2}, []int64{doc.Version, saved.GetVersion()})
	conn, err := b.store.Get(ctx, store.Key{Workspace: "acme", Kind: store.KindConnection, ID: "main"})
	require.NoError(t, err)
	_, err = tokens.OpenCredentials(b.inst, "acme", "main", conn.Sealed)
	require.ErrorIs(t, err, seal.ErrOpen)
	_, err = b.store.Token(ctx, "acme", "main")
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = b.store.Token(ctx, "globex", "main")
	require.NoError(t, err)

	require.NoError(t, destroy("acme", "acme"), "again is harmless")
	_, err = b.server.AddWorkspaceKey(ctx, &configv1.AddWorkspaceKeyRequest{Workspace: "acme"})
	require.Equal(t, codes.FailedPrecondition, status.Code(err), "it gets no new keys by the way")
	require.ErrorIs(t, destroy("nobody", "nobody"), store.ErrNotFound)
}
