package config_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// fill puts many integrations of the workspace acme straight into the database, which the API would take minutes for, and
// saves one setting, so that the service looks.
func (b *testBundle) fill(t *testing.T, n int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+b.cfg.Database.SQLitePath+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	for i := range n {
		next := rule("acme")
		next.Id, next.Version, next.EffectiveFrom = fmt.Sprintf("rule-%05d", i), 1, timestamppb.New(epoch)
		next.Language, next.Recipe = "ja", strings.Repeat("r", 600) // as large as real ones are
		body, err := proto.Marshal(next)
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), `INSERT INTO documents
			(workspace, kind, id, version, body, sealed_generation, saved_at, saved_by)
			VALUES ('acme', 'integration', $1, 1, $2, 1, 0, 'test')`, next.GetId(), body)
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), `INSERT INTO history (workspace, kind, id, version, body, sealed_changed, saved_at, saved_by)
			VALUES ('acme', 'integration', $1, 1, $2, 0, 0, 'test')`, next.GetId(), body)
		require.NoError(t, err)
	}
	require.NoError(t, tx.Commit())
	b.setContent(t, "v")
}

// insecureWith are the options of a client of somebody else's making: plain text, a token, and gRPC's defaults.
func insecureWith(token string) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(bearer(token)),
	}
}

type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }
