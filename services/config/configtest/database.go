package configtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Database writes a SQLite database to path, migrated, empty and of a lineage of its own, and returns path. Its folder is made.
// Safe for parallel tests.
func Database(tb testing.TB, path string) string {
	tb.Helper()
	made, err := migrated()
	require.NoError(tb, err)
	// As long as the one it takes the place of, in a table of one row: to SQLite it is as if it had always been there.
	lineage := make([]byte, len(made.lineage)/2)
	_, _ = rand.Read(lineage)
	data := bytes.ReplaceAll(made.content, []byte(made.lineage), []byte(hex.EncodeToString(lineage)))
	require.NoError(tb, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(tb, os.WriteFile(path, data, 0o600))
	return path
}

// file is a database that was made and closed: with nobody connected SQLite keeps all of it in the one file.
type file struct {
	content []byte
	lineage string // which tells databases apart
}

var migrated = sync.OnceValues(func() (file, error) {
	dir, err := os.MkdirTemp("", "configtest")
	if err != nil {
		return file{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "config.db")
	s, err := store.OpenSQLite(context.Background(), path)
	if err != nil {
		return file{}, err
	}
	snap, err := s.Snapshot(context.Background(), 0)
	if err = errors.Join(err, s.Close()); err != nil {
		return file{}, err
	}
	content, err := os.ReadFile(path)
	return file{content, snap.Lineage}, err
})
