package config_test

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers "pgx"
	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// schemaDSN makes a schema on the test server and returns a DSN for it.
func schemaDSN(t *testing.T) secret.String {
	t.Helper()
	base := os.Getenv("THROUGHLINE_TEST_POSTGRES") // deploy/postgres/run-postgres.sh sets it
	if base == "" {
		t.Skip("THROUGHLINE_TEST_POSTGRES is not set")
	}
	schema := fmt.Sprintf("svc%d_%d", os.Getpid(), time.Now().UnixNano())
	db, err := sql.Open("pgx", base)
	require.NoError(t, err)
	_, err = db.Exec("CREATE SCHEMA " + schema)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := db.Exec("DROP SCHEMA " + schema + " CASCADE")
		require.NoError(t, err)
		require.NoError(t, db.Close())
	})
	u, err := url.Parse(base)
	require.NoError(t, err)
	query := u.Query()
	query.Set("search_path", schema)
	u.RawQuery = query.Encode()
	return secret.New(u.String())
}

func TestReplicasOnPostgres(t *testing.T) {
	t.Attr("requirement", "XC-16")
	t.Attr("requirement", "XC-22")
	t.Parallel()
	one := prepare(t)
	one.cfg.Database.PostgresDSN = schemaDSN(t)
	two := prepare(t)
	two.cfg.Database, two.deps = one.cfg.Database, one.deps
	one.start(t)
	two.start(t)

	one.workspace(t, "acme")
	watcher := two.watch(t, 0)
	last := receive(t, watcher)
	one.setContent(t, "v")
	next := receive(t, watcher)
	require.Equal(t, last.GetRevision()+1, next.GetRevision(), "a save here is seen there")

	results := make(chan string, 20)
	for n := range cap(results) {
		service := []configv1.ConfigServiceClient{one.service, two.service}[n%2]
		go func() {
			resp, err := service.GetAccessToken(t.Context(), &configv1.GetAccessTokenRequest{Workspace: "acme", Connection: "main"})
			if err != nil {
				t.Error(err)
			}
			results <- resp.GetAccessToken()
		}()
	}
	for range cap(results) {
		require.Equal(t, "00Dtoken1", <-results)
	}
	require.Equal(t, 1, one.org.count(), "one question to Salesforce")
}
