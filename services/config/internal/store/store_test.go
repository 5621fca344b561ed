package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/config/configtest"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/storetest"
)

// postgresVariable names a server for the tests that need one; deploy/postgres/run-postgres.sh sets it.
const postgresVariable = "THROUGHLINE_TEST_POSTGRES"

func openSQLite(tb testing.TB) *store.Store {
	tb.Helper()
	s, err := store.OpenSQLite(context.Background(), configtest.Database(tb, filepath.Join(tb.TempDir(), "data", "config.db")))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	return s
}

var schemas atomic.Int64

// postgresDSN makes a schema of its own and returns a DSN for it.
func postgresDSN(tb testing.TB) string {
	tb.Helper()
	base := os.Getenv(postgresVariable)
	if base == "" {
		tb.Skip(postgresVariable + " is not set")
	}
	schema := fmt.Sprintf("t%d_%d_%d", os.Getpid(), time.Now().UnixNano(), schemas.Add(1))
	db, err := sql.Open("pgx", base)
	require.NoError(tb, err)
	_, err = db.Exec("CREATE SCHEMA " + schema)
	require.NoError(tb, err)
	tb.Cleanup(func() {
		_, err := db.Exec("DROP SCHEMA " + schema + " CASCADE")
		require.NoError(tb, err)
		require.NoError(tb, db.Close())
	})
	u, err := url.Parse(base)
	require.NoError(tb, err)
	query := u.Query()
	query.Set("search_path", schema)
	u.RawQuery = query.Encode()
	return u.String()
}

func openPostgres(tb testing.TB) *store.Store {
	tb.Helper()
	s, err := store.OpenPostgres(context.Background(), store.PostgresConfig{DSN: secret.New(postgresDSN(tb)), MaxConns: 4})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	return s
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) *store.Store { return openSQLite(t) })
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) *store.Store { return openPostgres(t) })
}

func TestSQLiteKeepsItsDataAcrossRestarts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b%20c", "config.db")
	key := store.Key{Workspace: "acme", Kind: store.KindContent, ID: "v"}
	for i := range int64(3) {
		s, err := store.OpenSQLite(t.Context(), path)
		require.NoError(t, err)
		doc, err := s.Get(t.Context(), key)
		if i == 0 {
			require.ErrorIs(t, err, store.ErrNotFound)
		} else {
			require.NoError(t, err)
		}
		require.Equal(t, i, doc.Version)
		require.NoError(t, s.Put(t.Context(), store.Save{Key: key, Expected: i, Body: []byte("x"), At: time.Unix(0, 0)}))
		require.NoError(t, s.Close())
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestADatabaseOfANewerProgramIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.db")
	s, err := store.OpenSQLite(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = store.OpenSQLite(t.Context(), path)
	require.ErrorContains(t, err, "newer program")
}

func TestPostgresReplicasHearOfEachOthersSaves(t *testing.T) {
	t.Attr("requirement", "XC-22")
	t.Parallel()
	dsn := secret.New(postgresDSN(t))
	open := func() *store.Store {
		s, err := store.OpenPostgres(t.Context(), store.PostgresConfig{DSN: dsn, MaxConns: 4})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return s
	}
	one, two := open(), open()
	ctx, cancel := context.WithCancel(t.Context())
	heard, done := make(chan struct{}, 8), make(chan struct{})
	go func() {
		defer close(done)
		_ = two.Listen(ctx, func() { heard <- struct{}{} })
	}()
	<-heard // the LISTEN is in effect
	key := store.Key{Workspace: "acme", Kind: store.KindContent, ID: "v"}
	require.NoError(t, one.Put(t.Context(), store.Save{Key: key, Body: []byte("x"), At: time.Unix(0, 0)}))
	<-heard
	cancel()
	<-done
}

func TestPostgresErrorsDoNotQuoteTheDSN(t *testing.T) {
	t.Parallel()
	_, err := store.OpenPostgres(t.Context(), store.PostgresConfig{DSN: secret.New("postgres://u:hunter2@[bad"), MaxConns: 1})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}

func TestPostgresIsNotReachedInTheClearUnlessThatIsAllowed(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-29")
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nobody is called
	for _, mode := range []string{"", "?sslmode=disable", "?sslmode=allow", "?sslmode=prefer"} {
		_, err := store.OpenPostgres(ctx, store.PostgresConfig{DSN: secret.New("postgres://u@db.example/x" + mode), MaxConns: 1})
		require.ErrorContains(t, err, "postgres_plaintext", mode)
	}
	for dsn, allowed := range map[string]bool{
		"postgres://u@db.example/x?sslmode=verify-full": false, "postgres://u@db.example/x?sslmode=require": false,
		"postgres://u@127.0.0.1/x": false, "host=/run/postgresql user=u": false, "postgres://u@db.example/x": true,
	} {
		_, err := store.OpenPostgres(ctx, store.PostgresConfig{DSN: secret.New(dsn), MaxConns: 1, Plaintext: allowed})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "postgres_plaintext", dsn)
	}
}

func BenchmarkRecordOutcomes(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *store.Store{"SQLite": openSQLite, "Postgres": openPostgres} {
		b.Run(name, func(b *testing.B) {
			s := open(b)
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				batch := make([]store.Outcome, 2000)
				for i := range batch {
					n++
					id := fmt.Sprintf("%022d", uint64(n)*0x9E3779B97F4A7C15)
					batch[i] = store.Outcome{
						Workspace: "acme", ID: id, DecidedAt: time.UnixMicro(int64(n)), Stage: "writer", Status: 1,
						EventID: "e" + id, VisitID: "v" + id[:20], EngagementID: "g" + id[:18], WriteKey: "w" + id[:20],
						RecordID: id[:18], Body: make([]byte, 350),
					}
				}
				if err := s.RecordOutcomes(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "outcomes/s")
		})
	}
}

func TestTheAuditLogIsAppendOnly(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]struct {
		driver string
		open   func(*testing.T) string
	}{
		"SQLite": {
			driver: "sqlite",
			open: func(t *testing.T) string {
				path := filepath.Join(t.TempDir(), "config.db")
				s, err := store.OpenSQLite(t.Context(), path)
				require.NoError(t, err)
				require.NoError(t, s.Put(t.Context(), store.Save{Key: store.Key{Workspace: "acme", Kind: store.KindContent, ID: "v"}, Body: []byte("x")}))
				require.NoError(t, s.Close())
				return path
			},
		},
		"Postgres": {
			driver: "pgx",
			open: func(t *testing.T) string {
				dsn := postgresDSN(t)
				s, err := store.OpenPostgres(t.Context(), store.PostgresConfig{DSN: secret.New(dsn), MaxConns: 2})
				require.NoError(t, err)
				require.NoError(t, s.Put(t.Context(), store.Save{Key: store.Key{Workspace: "acme", Kind: store.KindContent, ID: "v"}, Body: []byte("x")}))
				require.NoError(t, s.Close())
				return dsn
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := sql.Open(database.driver, database.open(t))
			require.NoError(t, err)
			defer func() { require.NoError(t, db.Close()) }()
			_, err = db.ExecContext(t.Context(), "UPDATE audit SET actor = 'nobody'")
			require.ErrorContains(t, err, "append-only")
		})
	}
}
