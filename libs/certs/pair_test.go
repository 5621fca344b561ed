package certs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/certs"
)

type testBundle struct {
	certFile, keyFile string
	written           int
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	dir := t.TempDir()
	b := &testBundle{certFile: filepath.Join(dir, "tls.crt"), keyFile: filepath.Join(dir, "tls.key")}
	cert, key := issue(t, 1)
	b.write(t, b.certFile, cert)
	b.write(t, b.keyFile, key)
	return b
}

// write replaces a file, with a time of its own, however fast the test is.
func (b *testBundle) write(t *testing.T, name string, data []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(name, data, 0o600))
	b.written++
	at := time.Date(2026, 3, 1, 9, 0, b.written, 0, time.UTC)
	require.NoError(t, os.Chtimes(name, at, at))
}

func issue(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "ingest"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func serial(t *testing.T, pair *certs.Pair) int64 {
	t.Helper()
	server, err := pair.Server(&tls.ClientHelloInfo{})
	require.NoError(t, err)
	client, err := pair.Client(&tls.CertificateRequestInfo{})
	require.NoError(t, err)
	require.Same(t, server, client)
	return server.Leaf.SerialNumber.Int64()
}

func TestARenewedCertificateIsTakenUp(t *testing.T) {
	t.Attr("requirement", "XC-21")
	t.Parallel()
	b := setup(t)
	pair, err := certs.Load(b.certFile, b.keyFile)
	require.NoError(t, err)
	require.Equal(t, int64(1), serial(t, pair))

	cert, key := issue(t, 2)
	b.write(t, b.certFile, cert)
	require.Equal(t, int64(1), serial(t, pair), "the key of a half-written renewal does not fit: the old one goes on")
	b.write(t, b.keyFile, key)
	require.Equal(t, int64(2), serial(t, pair))

	b.write(t, b.certFile, []byte("broken"))
	require.Equal(t, int64(2), serial(t, pair))
	require.NoError(t, os.Remove(b.certFile))
	require.Equal(t, int64(2), serial(t, pair))
}

func TestWhatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := certs.Load(filepath.Join(t.TempDir(), "none.crt"), b.keyFile)
	require.ErrorContains(t, err, "none.crt")
	_, err = certs.Load(b.certFile, b.certFile)
	require.Error(t, err)
}
