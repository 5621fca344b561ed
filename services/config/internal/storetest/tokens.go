package storetest

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

func isStale(err error) bool { return errors.Is(err, store.ErrStale) }

// setupConnection saves a connection whose credentials have generation 1.
func setupConnection(t *testing.T, s *store.Store, workspace string) store.Key {
	t.Helper()
	conn := save(workspace, store.KindConnection, "main", 0, "conn")
	conn.Sealed = []byte("credentials 1")
	require.NoError(t, s.Put(t.Context(), conn))
	return conn.Key
}

// newToken is got with credentials of generation 1; rotated replaces them unless it is empty.
func newToken(token, rotated string) store.NewToken {
	out := store.NewToken{
		AccessToken: store.AccessToken{
			Workspace: "acme", Connection: "main", Sealed: []byte(token), ExpiresAt: epoch.Add(time.Hour),
		},
		Generation: 1,
	}
	if rotated != "" {
		out.Credentials = []byte(rotated)
	}
	return out
}

func tokens(t *testing.T, open Open) {
	t.Run("ComeBackAsSaved", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		setupConnection(t, s, "acme")
		_, err := s.Token(ctx, "acme", "main")
		require.ErrorIs(t, err, store.ErrNotFound)
		require.NoError(t, s.SaveToken(ctx, newToken("token 1", "")))
		require.NoError(t, s.SaveToken(ctx, newToken("token 2", "")))
		token, err := s.Token(ctx, "acme", "main")
		require.NoError(t, err)
		require.Equal(t, newToken("token 2", "").AccessToken, token)
	})

	t.Run("AreStoredTogetherWithTheRotatedGrant", func(t *testing.T) {
		t.Attr("requirement", "XC-16")
		t.Parallel()
		s, ctx := open(t), t.Context()
		key := setupConnection(t, s, "acme")
		revision, err := s.Revision(ctx)
		require.NoError(t, err)
		require.NoError(t, s.SaveToken(ctx, newToken("token", "credentials 2")))
		doc, err := s.Get(ctx, key)
		require.NoError(t, err)
		require.Equal(t, "credentials 2", string(doc.Sealed))
		require.Equal(t, int64(2), doc.Generation)
		require.Equal(t, int64(1), doc.Version, "a rotation is not an edit")
		after, err := s.Revision(ctx)
		require.NoError(t, err)
		require.Equal(t, revision, after)
		_, err = s.Token(ctx, "acme", "main")
		require.NoError(t, err)
	})
}

func tokenSafety(t *testing.T, open Open) {
	t.Run("DoNotOutliveTheirCredentials", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		setupConnection(t, s, "acme")
		require.NoError(t, s.SaveToken(ctx, newToken("token", "")))
		edit := save("acme", store.KindConnection, "main", 1, "conn")
		edit.Sealed = []byte("credentials of somebody else")
		require.NoError(t, s.Put(ctx, edit))
		_, err := s.Token(ctx, "acme", "main")
		require.ErrorIs(t, err, store.ErrNotFound)
		require.ErrorIs(t, s.SaveToken(ctx, newToken("late", "rotated late")), store.ErrStale)
		doc, err := s.Get(ctx, edit.Key)
		require.NoError(t, err)
		require.Equal(t, "credentials of somebody else", string(doc.Sealed))
	})

	t.Run("ARotationIsNotUndoneByAnEditThatDoesNotKnowIt", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		setupConnection(t, s, "acme")
		edit := save("acme", store.KindConnection, "main", 1, "conn")
		before, err := s.Get(ctx, edit.Key)
		require.NoError(t, err)
		require.NoError(t, s.SaveToken(ctx, newToken("token", "rotated")))
		edit.Sealed, edit.Generation = []byte("another secret, and the refresh token that is used up"), before.Generation
		require.ErrorIs(t, s.Put(ctx, edit), store.ErrStale)
		doc, err := s.Get(ctx, edit.Key)
		require.NoError(t, err)
		require.Equal(t, "rotated", string(doc.Sealed))
		edit.Generation = doc.Generation
		require.NoError(t, s.Put(ctx, edit))
	})

	t.Run("StayWithinTheWorkspace", func(t *testing.T) {
		t.Attr("requirement", "XC-19")
		t.Parallel()
		s, ctx := open(t), t.Context()
		setupConnection(t, s, "acme")
		setupConnection(t, s, "globex")
		require.NoError(t, s.SaveToken(ctx, newToken("token", "")))
		_, err := s.Token(ctx, "globex", "main")
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

func leases(t *testing.T, open Open) {
	t.Run("LeaseHasOneHolder", func(t *testing.T) {
		t.Attr("requirement", "XC-16")
		t.Parallel()
		s, ctx := open(t), t.Context()
		var held atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				lease := store.Lease{Workspace: "acme", Connection: "main", Holder: strconv.Itoa(i), Until: epoch.Add(time.Minute)}
				ok, err := s.AcquireLease(ctx, lease, epoch)
				if err != nil {
					t.Error(err)
				}
				if ok {
					held.Add(1)
				}
			})
		}
		wg.Wait()
		require.Equal(t, int32(1), held.Load())
	})

	t.Run("LeaseEndsByReleaseOrByTime", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		a := store.Lease{Workspace: "acme", Connection: "main", Holder: "a", Until: epoch.Add(time.Minute)}
		b := a
		b.Holder, b.Until = "b", epoch.Add(2*time.Minute)
		other := b
		other.Workspace = "globex"
		take := func(l store.Lease, at time.Time) bool {
			ok, err := s.AcquireLease(ctx, l, at)
			require.NoError(t, err)
			return ok
		}
		require.True(t, take(a, epoch))
		require.False(t, take(b, epoch))
		require.True(t, take(other, epoch), "another workspace's connection of the same name")
		require.True(t, take(b, epoch.Add(time.Minute)), "a's time is over")
		require.NoError(t, s.ReleaseLease(ctx, a))
		require.False(t, take(a, epoch.Add(time.Minute)), "a cannot release b's lease")
		require.NoError(t, s.ReleaseLease(ctx, b))
		require.True(t, take(a, epoch.Add(time.Minute)))
	})
}
