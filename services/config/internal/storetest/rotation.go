package storetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/keys"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	custody "github.com/throughline-dev/throughline/services/config/internal/tokens"
)

// vaultBundle is a store with really sealed values: keys of workspaces and credentials of connections.
type vaultBundle struct {
	store      *store.Store
	file       seal.File
	inst       *seal.Installation
	workspaces []string
	// subject was sealed with each workspace's key before anything rotated.
	subject map[string][]byte
}

func setupVault(t *testing.T, open Open, workspaces int) *vaultBundle {
	t.Helper()
	b := &vaultBundle{store: open(t), file: seal.File{Path: filepath.Join(t.TempDir(), "installation.key")}, subject: map[string][]byte{}}
	var err error
	b.inst, err = b.file.LoadOrCreate(epoch)
	require.NoError(t, err)
	for n := range workspaces {
		id := fmt.Sprintf("ws%02d", n)
		b.workspaces = append(b.workspaces, id)
		ws := save(id, store.KindWorkspace, id, 0, "ws")
		ws.Sealed, err = b.inst.NewKeys(id)
		require.NoError(t, err)
		require.NoError(t, b.store.Put(t.Context(), ws))
		conn := save(id, store.KindConnection, "main", 0, "conn")
		conn.Sealed = b.credentials(t, id, "refresh-0")
		require.NoError(t, b.store.Put(t.Context(), conn))
		opened, err := b.inst.OpenKeys(id, ws.Sealed)
		require.NoError(t, err)
		b.subject[id], err = opened.Seal([]byte("subject of " + id))
		require.NoError(t, err)
	}
	return b
}

func (b *vaultBundle) credentials(t *testing.T, workspace, refresh string) []byte {
	t.Helper()
	sealed, err := custody.SealCredentials(b.inst, &configv1.Connection{
		Workspace: workspace, Id: "main",
		Grant: &configv1.Connection_RefreshToken{RefreshToken: &configv1.RefreshToken{ClientId: "c", RefreshToken: refresh}},
	})
	require.NoError(t, err)
	return sealed
}

// rotate makes a new primary key and lets this process take it up.
func (b *vaultBundle) rotate(t *testing.T) (old, fresh uint32) {
	t.Helper()
	old = b.inst.Primary()
	fresh, err := b.file.AddKey(epoch)
	require.NoError(t, err)
	require.NoError(t, b.file.Promote(fresh, epoch))
	_, err = b.inst.Reload()
	require.NoError(t, err)
	require.Equal(t, fresh, b.inst.Primary())
	return old, fresh
}

// readable opens every value with the installation, the way services do.
func (b *vaultBundle) readable(ctx context.Context, inst *seal.Installation) error {
	var errs []error
	for _, id := range b.workspaces {
		ws, err := b.store.Get(ctx, store.Key{Workspace: id, Kind: store.KindWorkspace, ID: id})
		if err != nil {
			return err
		}
		opened, err := inst.OpenKeys(id, ws.Sealed)
		if err == nil {
			_, err = opened.Open(b.subject[id])
		}
		errs = append(errs, err)
		conn, err := b.store.Get(ctx, store.Key{Workspace: id, Kind: store.KindConnection, ID: "main"})
		if err != nil {
			return err
		}
		_, err = custody.OpenCredentials(inst, id, "main", conn.Sealed)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (b *vaultBundle) rewrapper(s keys.Store) *keys.Rewrapper {
	cfg := keys.DefaultConfig()
	cfg.Batch = 3 // several pages
	return keys.New(cfg, keys.Deps{Store: s, Installation: b.inst, Logger: slog.New(slog.DiscardHandler)})
}

// crashing is a store whose process dies after some writes.
type crashing struct {
	keys.Store
	left int
}

var errCrash = errors.New("the process is gone")

func (c *crashing) ReplaceSealed(ctx context.Context, row store.SealedRow, next []byte) (bool, error) {
	if c.left--; c.left < 0 {
		return false, errCrash
	}
	return c.Store.ReplaceSealed(ctx, row, next)
}

func (c *crashing) RaiseRevision(ctx context.Context) error {
	if c.left < 0 {
		return errCrash
	}
	return c.Store.RaiseRevision(ctx)
}

func rotation(t *testing.T, open Open) {
	t.Helper()
	t.Run("GoesOnWhereACrashLeftIt", func(t *testing.T) { rotationAfterACrash(t, open) })
	t.Run("NobodyWaitsAndNothingIsLost", func(t *testing.T) { rotationUnderLoad(t, open) })
	t.Run("LeavesWhatDoesNotOpenAndSaysSo", func(t *testing.T) { rotationPastDamage(t, open) })
	t.Run("MakesWatchersTakeTheNewWrapping", func(t *testing.T) { rotationTellsWatchers(t, open) })
}

func rotationAfterACrash(t *testing.T, open Open) {
	t.Helper()
	t.Parallel()
	b := setupVault(t, open, 4)
	old, fresh := b.rotate(t)
	for after := range 8 { // eight values
		report, err := b.rewrapper(&crashing{Store: b.store, left: 1}).Rewrap(t.Context())
		if after < 7 {
			require.ErrorIs(t, err, errCrash)
		}
		require.Equal(t, 1, report.Resealed)
		require.NoError(t, b.readable(t.Context(), b.inst), "after %d", after+1)
		use, err := b.rewrapper(b.store).Use(t.Context())
		require.NoError(t, err)
		require.Equal(t, 7-after, use.Values[old])
		require.Equal(t, after+1, use.Values[fresh])
	}
	report, err := b.rewrapper(b.store).Rewrap(t.Context())
	require.NoError(t, err)
	require.Zero(t, report.Resealed)
	require.NoError(t, b.file.Disable(old))
	require.NoError(t, b.file.Delete(old))
	last, err := b.file.Load()
	require.NoError(t, err)
	require.NoError(t, b.readable(t.Context(), last), "the old key is not needed any more")
}

func rotationUnderLoad(t *testing.T, open Open) {
	t.Helper()
	t.Parallel()
	b := setupVault(t, open, 4)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// Two more processes: one follows the file only when something does not open.
	reader, err := b.file.Load()
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			if err := b.readable(ctx, reader); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	wrote := make(chan int, 1)
	wg.Go(func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			token := newToken("", "")
			token.Workspace, token.Generation = b.workspaces[0], int64(n)+1
			token.Credentials = b.credentials(t, b.workspaces[0], fmt.Sprint("refresh-", n+1))
			token.Sealed = []byte("not looked at")
			if err := b.store.SaveToken(context.WithoutCancel(ctx), token); err != nil {
				t.Error(err)
			}
		}
		wrote <- n
	})
	for range 3 {
		old, _ := b.rotate(t)
		for {
			report, err := b.rewrapper(b.store).Rewrap(t.Context())
			require.NoError(t, err)
			require.Zero(t, report.UnreadableCount)
			if report.Values[old] == 0 && report.Resealed == 0 {
				break
			}
		}
	}
	cancel()
	wg.Wait()
	n := <-wrote
	doc, err := b.store.Get(t.Context(), store.Key{Workspace: b.workspaces[0], Kind: store.KindConnection, ID: "main"})
	require.NoError(t, err)
	require.Equal(t, int64(n)+1, doc.Generation)
	got, err := custody.OpenCredentials(b.inst, b.workspaces[0], "main", doc.Sealed)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint("refresh-", n), got.GetRefreshToken().GetRefreshToken(), "the newest grant, whoever wrote last")
	require.NoError(t, b.readable(t.Context(), b.inst))
}

func rotationPastDamage(t *testing.T, open Open) {
	t.Helper()
	t.Parallel()
	b := setupVault(t, open, 3)
	damaged := store.Key{Workspace: b.workspaces[1], Kind: store.KindConnection, ID: "main"}
	doc, err := b.store.Get(t.Context(), damaged)
	require.NoError(t, err)
	broken := append([]byte(nil), doc.Sealed...)
	broken[len(broken)-1] ^= 1
	put := store.Save{Key: damaged, Expected: 1, Body: doc.Body, Sealed: broken, At: time.Unix(0, 0)}
	require.NoError(t, b.store.Put(t.Context(), put))
	use, err := b.rewrapper(b.store).Use(t.Context())
	require.NoError(t, err)
	require.Equal(t, []store.Key{damaged}, use.Unreadable, "found before anybody rotates")
	old, fresh := b.rotate(t)
	report, err := b.rewrapper(b.store).Rewrap(t.Context())
	require.NoError(t, err, "it stops nothing else")
	require.Equal(t, 5, report.Resealed)
	require.Equal(t, []store.Key{damaged}, report.Unreadable)
	require.Equal(t, map[uint32]int{old: 1, fresh: 5}, report.Values, "and its key counts as needed")
	doc, err = b.store.Get(t.Context(), damaged)
	require.NoError(t, err)
	require.Equal(t, broken, doc.Sealed)
}

func rotationTellsWatchers(t *testing.T, open Open) {
	t.Helper()
	t.Parallel()
	b := setupVault(t, open, 1)
	before, err := b.store.Revision(t.Context())
	require.NoError(t, err)
	_, err = b.rewrapper(b.store).Rewrap(t.Context())
	require.NoError(t, err)
	after, err := b.store.Revision(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, after, "nothing to do, nothing to tell")
	b.rotate(t)
	_, err = b.rewrapper(b.store).Rewrap(t.Context())
	require.NoError(t, err)
	after, err = b.store.Revision(t.Context())
	require.NoError(t, err)
	require.Equal(t, before+1, after)
}
