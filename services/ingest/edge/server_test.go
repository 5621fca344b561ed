package edge_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/ingest/edge"
)

func TestServerHoldsAtMostSoManyConnections(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	cfg := edge.DefaultConfig()
	cfg.Connections = 1
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- edge.Server{Config: cfg, Handler: answer, Logger: slog.New(slog.DiscardHandler), Listener: listener}.Run(ctx)
	}()

	dial := func() net.Conn {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listener.Addr().String())
		require.NoError(t, err)
		return conn
	}
	first := dial()
	_, err = io.WriteString(first, "POST / HTTP/1.1\r\nHost: a\r\n\r\n")
	require.NoError(t, err)
	_, err = first.Read(make([]byte, 1))
	require.NoError(t, err, "it is accepted")

	second := dial()
	_, err = io.WriteString(second, "POST / HTTP/1.1\r\nHost: a\r\n\r\n")
	require.NoError(t, err)
	require.NoError(t, second.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = second.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "it waits")
	require.NoError(t, second.SetReadDeadline(time.Time{}))
	require.NoError(t, first.Close())
	_, err = second.Read(make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, second.Close())
	stop()
	require.NoError(t, <-done)
}
