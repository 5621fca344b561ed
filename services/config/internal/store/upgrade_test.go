package store_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// older is how to make a database of an earlier version, and how to open it since.
type older struct {
	driver  string
	dialect database.Dialect
	folder  string
	fresh   func(t *testing.T) (dsn string)
	open    func(t *testing.T, dsn string) (*store.Store, error)
}

var olderDatabases = map[string]older{
	"SQLite": {
		"sqlite", database.DialectSQLite3, "migrations/sqlite",
		func(t *testing.T) string { return filepath.Join(t.TempDir(), "config.db") },
		func(t *testing.T, dsn string) (*store.Store, error) { return store.OpenSQLite(t.Context(), dsn) },
	},
	"Postgres": {
		"pgx", database.DialectPostgres, "migrations/postgres",
		func(t *testing.T) string { return postgresDSN(t) },
		func(t *testing.T, dsn string) (*store.Store, error) {
			return store.OpenPostgres(t.Context(), store.PostgresConfig{DSN: secret.New(dsn), MaxConns: 2})
		},
	},
}

// make migrates an empty database to the version only, and saves a workspace as the program of that time did.
func (o older) make(t *testing.T, dsn string, version int64) {
	t.Helper()
	db, err := sql.Open(o.driver, dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	provider, err := goose.NewProvider(o.dialect, db, os.DirFS(o.folder))
	require.NoError(t, err)
	_, err = provider.UpTo(t.Context(), version)
	require.NoError(t, err)
	for _, row := range []string{
		"documents (workspace, kind, id, version, body, sealed_generation, saved_at, saved_by) VALUES ('acme', 'workspace', 'acme', 1, 'x', 1, 7, 'aoi')",
		"history (workspace, kind, id, version, body, sealed_changed, saved_at, saved_by) VALUES ('acme', 'workspace', 'acme', 1, 'x', 0, 7, 'aoi')",
	} {
		_, err = db.ExecContext(t.Context(), "INSERT INTO "+row)
		require.NoError(t, err)
	}
}

func TestADatabaseOfEveryEarlierVersionIsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	for name, o := range olderDatabases {
		sources, err := filepath.Glob(o.folder + "/*.sql")
		require.NoError(t, err)
		require.NotEmpty(t, sources)
		for _, source := range sources {
			var version int64
			_, err := fmt.Sscanf(filepath.Base(source), "%05d_", &version)
			require.NoError(t, err)
			t.Run(fmt.Sprintf("%s/%d", name, version), func(t *testing.T) {
				t.Parallel()
				ctx, dsn := t.Context(), o.fresh(t)
				o.make(t, dsn, version)
				s, err := o.open(t, dsn)
				require.NoError(t, err)
				defer func() { require.NoError(t, s.Close()) }()
				key := store.Key{Workspace: "acme", Kind: store.KindWorkspace, ID: "acme"}
				doc, err := s.Get(ctx, key)
				require.NoError(t, err)
				require.Equal(t, "x", string(doc.Body))
				require.NoError(t, s.Put(ctx, store.Save{
					Key: key, Expected: 1, Body: []byte("y"), Author: "ren", At: time.Unix(8, 0), Reason: "since then",
				}))
				made, err := s.Creations(ctx, "acme", store.KindWorkspace)
				require.NoError(t, err)
				if version < 8 {
					require.Equal(t, map[string]store.Creation{"acme": {At: time.UnixMicro(7).UTC(), By: "aoi"}}, made, "who made it is found in the history")
				}
				page, err := s.HistoryPage(ctx, key, 0, 10)
				require.NoError(t, err)
				require.Len(t, page, 2)
				require.Equal(t, "since then", page[0].Reason)
				require.Empty(t, page[1].Reason, "what was saved before there was an audit log has no reason")
			})
		}
	}
}
