package configtest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Database writes a SQLite database to path, migrated and empty, and returns path. Its folder is made. Safe for parallel tests.
func Database(tb testing.TB, path string) string {
	tb.Helper()
	data, err := migrated()
	require.NoError(tb, err)
	require.NoError(tb, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(tb, os.WriteFile(path, data, 0o600))
	return path
}

// migrated is the content of a database that was made and closed: with nobody connected SQLite keeps all of it in the one file.
var migrated = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "configtest")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "config.db")
	s, err := store.OpenSQLite(context.Background(), path)
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})
