package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator/internal/certs"
)

// trusting returns a client that trusts the folder's authority and asks for a server name.
func trusting(t *testing.T, dir, name string) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(pem))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: name, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestAnyNameIsServedAndTheAuthorityStays(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tls")
	for range 2 { // the second time from the folder
		a, err := certs.Open(dir, time.Now)
		require.NoError(t, err)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		server.Listener = tls.NewListener(server.Listener, a.Config())
		server.Start()
		t.Cleanup(server.Close)
		for _, name := range []string{"", "localhost", "acme.my.salesforce.com"} {
			res, err := trusting(t, dir, name).Get(strings.Replace(server.URL, "http:", "https:", 1))
			require.NoError(t, err, "name %q", name)
			require.NoError(t, res.Body.Close())
		}
	}
	info, err := os.Stat(filepath.Join(dir, "ca-key.pem"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestABrokenAuthorityIsNotReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"ca.pem", "ca-key.pem"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("?"), 0o600))
	}
	_, err := certs.Open(dir, time.Now)
	require.ErrorContains(t, err, "delete ca.pem")
}
