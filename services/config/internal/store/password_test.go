package store_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

func TestThePasswordOfPostgreSQLComesFromItsFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte("from the file\n"), 0o600))
	dsn, got := passwordServer(t)

	_, err := store.OpenPostgres(t.Context(), store.PostgresConfig{DSN: secret.New(dsn), PasswordFile: file, MaxConns: 2})
	require.Error(t, err, "the server refuses everybody")
	require.Equal(t, "from the file", <-got)
	require.NotContains(t, err.Error(), "from the file")
}

func TestAPasswordFileThatIsMissingOrEmptyIsNamed(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	for _, file := range []string{empty, filepath.Join(t.TempDir(), "missing")} {
		_, err := store.OpenPostgres(t.Context(), store.PostgresConfig{
			DSN: secret.New("postgres://throughline@192.0.2.1/throughline"), PasswordFile: file, MaxConns: 2, Plaintext: true,
		})
		require.ErrorContains(t, err, "postgres_password_file")
		require.ErrorContains(t, err, file)
	}
}

// passwordServer asks the first client for its password, passes it on and refuses the client.
func passwordServer(t *testing.T) (dsn string, password <-chan string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	got := make(chan string, 1)
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			refuse(conn, got)
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		<-served
	})
	return "postgres://throughline@" + l.Addr().String() + "/throughline?sslmode=disable", got
}

func refuse(conn net.Conn, got chan<- string) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	server := pgproto3.NewBackend(conn, conn)
	if _, err := server.ReceiveStartupMessage(); err != nil {
		return
	}
	server.Send(&pgproto3.AuthenticationCleartextPassword{})
	if server.Flush() != nil || server.SetAuthType(pgproto3.AuthTypeCleartextPassword) != nil {
		return
	}
	message, err := server.Receive()
	if err != nil {
		return
	}
	if m, ok := message.(*pgproto3.PasswordMessage); ok {
		select {
		case got <- m.Password:
		default:
		}
	}
	server.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "28P01", Message: "refused"})
	_ = server.Flush()
}
