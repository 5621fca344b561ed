package edge_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/ingest/edge"
)

func TestServerSpeaksTLSWithTheCertificateInItsFiles(t *testing.T) {
	t.Attr("requirement", "XC-21")
	t.Parallel()
	secured := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	defer secured.Close()
	dir := t.TempDir()
	cfg := edge.DefaultConfig()
	cfg.CertFile, cfg.KeyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	pair := secured.TLS.Certificates[0]
	private, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	for name, block := range map[string]*pem.Block{
		cfg.CertFile: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, cfg.KeyFile: {Type: "PRIVATE KEY", Bytes: private},
	} {
		require.NoError(t, os.WriteFile(name, pem.EncodeToMemory(block), 0o600))
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- edge.Server{Config: cfg, Handler: answer, Logger: slog.New(slog.DiscardHandler), Listener: listener}.Run(ctx)
	}()

	post := func(scheme string) (int, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, scheme+"://"+listener.Addr().String(), nil)
		require.NoError(t, err)
		resp, err := secured.Client().Do(r)
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	status, err := post("https")
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, status)
	_, err = post("http")
	require.Error(t, err, "never without TLS")
	secured.Client().CloseIdleConnections()
	stop()
	require.NoError(t, <-done)
}

func TestServerHoldsAtMostSoManyConnections(t *testing.T) {
	t.Attr("requirement", "XC-21")
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
