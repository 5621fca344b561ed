package store_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/configtest"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// What is left on the disk of destroyed keys would open with the installation's key.
func TestDestroyedKeysLeaveTheDatabaseFile(t *testing.T) {
	t.Parallel()
	path := configtest.Database(t, filepath.Join(t.TempDir(), "config.db"))
	s, err := store.OpenSQLite(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	key := store.Key{Workspace: "acme", Kind: store.KindWorkspace, ID: "acme"}
	at := time.Unix(0, 0)
	// Larger than a page, so that it also lies in pages of its own, and replaced, so that older copies were there.
	secret := func(n int) []byte { return []byte(strings.Repeat(fmt.Sprintf("wrapped-keys-%d/", n), 700)) }
	require.NoError(t, s.Put(t.Context(), store.Save{Key: key, Body: []byte("ws"), Sealed: secret(0), At: at}))
	doc, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	done, err := s.ReplaceSealed(t.Context(), store.SealedRow{Table: store.SealedDocuments, Key: key, Sealed: doc.Sealed}, secret(1))
	require.NoError(t, err)
	require.True(t, done)
	conn := store.Key{Workspace: "acme", Kind: store.KindConnection, ID: "main"}
	require.NoError(t, s.Put(t.Context(), store.Save{Key: conn, Body: []byte("conn"), Sealed: []byte("sealed-credentials"), At: at}))
	read := func() []byte {
		var all []byte
		for _, suffix := range []string{"", "-wal"} {
			data, err := os.ReadFile(path + suffix)
			if !os.IsNotExist(err) {
				require.NoError(t, err)
			}
			all = append(all, data...)
		}
		return all
	}
	require.True(t, bytes.Contains(read(), []byte("wrapped-keys-1/")))
	require.NoError(t, s.DestroyKeys(t.Context(), store.Save{Key: key, Expected: 1, Body: []byte("gone"), At: at}))
	all := read()
	for _, gone := range []string{"wrapped-keys-0/", "wrapped-keys-1/", "sealed-credentials"} {
		require.False(t, bytes.Contains(all, []byte(gone)), gone)
	}
}
