package api_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/api"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
)

// rotates is a store in which a refresh token is rotated after its connection was read for the last time before a save.
type rotates struct {
	*store.Store
	rotate func()
}

func (r *rotates) Put(ctx context.Context, save store.Save) error {
	r.rotate()
	return r.Store.Put(ctx, save)
}

func TestAnEditDoesNotBringBackARefreshTokenThatIsUsedUp(t *testing.T) {
	t.Parallel()
	b := setupKeys(t)
	key := store.Key{Workspace: "acme", Kind: store.KindConnection, ID: "main"}
	grant := func(refresh, secret string) *configv1.Connection {
		return &configv1.Connection{
			Workspace: "acme", Id: "main", Version: 2, LoginUrl: "https://acme.my.salesforce.com",
			Grant: &configv1.Connection_RefreshToken{RefreshToken: &configv1.RefreshToken{ClientId: "c", RefreshToken: refresh, ClientSecret: secret}},
		}
	}
	body, err := proto.Marshal(grant("", ""))
	require.NoError(t, err)
	require.NoError(t, b.store.Put(t.Context(), store.Save{Key: key, Expected: 1, Body: body, At: epoch}))

	documents := &rotates{Store: b.store, rotate: func() {
		doc, err := b.store.Get(t.Context(), key)
		require.NoError(t, err)
		sealed, err := tokens.SealCredentials(b.inst, grant("rotated", "old secret"))
		require.NoError(t, err)
		require.NoError(t, b.store.SaveToken(t.Context(), store.NewToken{
			AccessToken: store.AccessToken{Workspace: "acme", Connection: "main", Sealed: []byte("token"), ExpiresAt: epoch.Add(time.Hour)},
			Generation:  doc.Generation, Credentials: sealed,
		}))
	}}
	clock := stagetest.NewClock(epoch)
	server := api.New(api.Deps{
		Documents: documents, Installation: b.inst, Clock: clock, CheckLoginURL: func(string) error { return nil },
		Keeper: &lifecycle.Keeper{Rules: connstate.DefaultRules(), States: b.store, Clock: clock, Logger: slog.New(slog.DiscardHandler)},
	})
	ctx := auth.WithIdentity(t.Context(), auth.Identity{Name: "aoi", Role: auth.RoleAdmin})
	_, err = server.PutConnection(ctx, &configv1.PutConnectionRequest{Connection: grant("", "new secret")})
	require.ErrorIs(t, err, store.ErrStale)
	doc, err := b.store.Get(t.Context(), key)
	require.NoError(t, err)
	held, err := tokens.OpenCredentials(b.inst, "acme", "main", doc.Sealed)
	require.NoError(t, err)
	require.Equal(t, "rotated", held.GetRefreshToken().GetRefreshToken())
}
