package config_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// authority issues certificates into a folder.
type authority struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.issue(t, "ca")
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// issue writes name.crt and name.key; the first one signs itself and all others.
func (a *authority) issue(t *testing.T, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        a.cert == nil, BasicConstraintsValid: true,
	}
	if a.cert == nil {
		a.cert, a.key = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	private, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	write := func(suffix, kind string, data []byte) {
		require.NoError(t, os.WriteFile(a.path(name+suffix), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600))
	}
	write(".crt", "CERTIFICATE", der)
	write(".key", "EC PRIVATE KEY", private)
}

func TestMutualTLS(t *testing.T) {
	t.Attr("requirement", "XC-20")
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	ours.issue(t, "server")
	ours.issue(t, "writer")
	theirs.issue(t, "stranger")
	b := prepare(t)
	b.cfg.TLS = config.TLS{
		CertFile: ours.path("server.crt"), KeyFile: ours.path("server.key"), ClientCAFile: ours.path("ca.crt"),
	}
	b.start(t)
	ask := func(tls settings.TLSConfig) error {
		conn, err := settings.Dial(settings.Config{Target: b.svc.Addr(), Token: secret.New(adminToken), TLS: tls}, settings.Deps{})
		require.NoError(t, err)
		defer func() { require.NoError(t, conn.Close()) }()
		_, err = configv1.NewConfigServiceClient(conn).ListWorkspaces(t.Context(), &configv1.ListWorkspacesRequest{})
		return err
	}
	require.NoError(t, ask(settings.TLSConfig{
		CAFile: ours.path("ca.crt"), CertFile: ours.path("writer.crt"), KeyFile: ours.path("writer.key"),
	}))
	for name, tls := range map[string]settings.TLSConfig{
		"no certificate":         {CAFile: ours.path("ca.crt")},
		"a stranger's":           {CAFile: ours.path("ca.crt"), CertFile: theirs.path("stranger.crt"), KeyFile: theirs.path("stranger.key")},
		"does not trust us":      {CAFile: theirs.path("ca.crt"), CertFile: ours.path("writer.crt"), KeyFile: ours.path("writer.key")},
		"speaks plain text":      {},
		"wants another's server": {CAFile: ours.path("ca.crt"), CertFile: ours.path("writer.crt"), KeyFile: ours.path("writer.key"), ServerName: "x"},
	} {
		require.Equal(t, codes.Unavailable, status.Code(ask(tls)), name)
	}
}

func TestCertificatesMayBeOptional(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	ours.issue(t, "server")
	theirs.issue(t, "stranger")
	b := prepare(t)
	b.cfg.TLS = config.TLS{CertFile: ours.path("server.crt"), KeyFile: ours.path("server.key"), ClientCertOptional: true}
	require.ErrorContains(t, b.cfg.Validate(), "tls.client_cert_optional")
	b.cfg.TLS.ClientCAFile = ours.path("ca.crt")
	b.start(t)
	ask := func(token string, tls settings.TLSConfig) codes.Code {
		conn, err := settings.Dial(settings.Config{Target: b.svc.Addr(), Token: secret.New(token), TLS: tls}, settings.Deps{})
		require.NoError(t, err)
		defer func() { require.NoError(t, conn.Close()) }()
		_, err = configv1.NewConfigServiceClient(conn).ListWorkspaces(t.Context(), &configv1.ListWorkspacesRequest{})
		return status.Code(err)
	}
	none := settings.TLSConfig{CAFile: ours.path("ca.crt")}
	require.Equal(t, codes.OK, ask(adminToken, none))
	require.Equal(t, codes.Unauthenticated, ask("", none))
	none.CertFile, none.KeyFile = theirs.path("stranger.crt"), theirs.path("stranger.key")
	require.Equal(t, codes.Unavailable, ask(adminToken, none), "one that is shown must be good")
}

// A service may prove who it is by its certificate alone; a certificate of ours that no caller has lets nobody in.
func TestAServiceIsKnownByItsCertificate(t *testing.T) {
	t.Attr("requirement", "XC-20")
	t.Parallel()
	ours := newAuthority(t)
	for _, name := range []string{"server", "writer", "unknown"} {
		ours.issue(t, name)
	}
	b := prepare(t)
	b.cfg.TLS = config.TLS{CertFile: ours.path("server.crt"), KeyFile: ours.path("server.key"), ClientCAFile: ours.path("ca.crt")}
	b.cfg.Callers = append(b.cfg.Callers, config.Caller{Name: "writer", Role: config.RoleService, Certificate: "writer"})
	svc, err := config.New(b.cfg, b.deps)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- svc.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	client := func(certificate, token string) configv1.ConfigServiceClient {
		conn, err := settings.Dial(settings.Config{Target: svc.Addr(), Token: secret.New(token), TLS: settings.TLSConfig{
			CAFile: ours.path("ca.crt"), CertFile: ours.path(certificate + ".crt"), KeyFile: ours.path(certificate + ".key"),
		}}, settings.Deps{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
		return configv1.NewConfigServiceClient(conn)
	}
	watch := func(certificate, token string) error {
		stream, err := client(certificate, token).Watch(t.Context(), &configv1.WatchRequest{})
		require.NoError(t, err)
		_, err = stream.Recv()
		return err
	}
	require.NoError(t, watch("writer", ""))
	require.Equal(t, codes.Unauthenticated, status.Code(watch("unknown", "")))
	require.Equal(t, codes.Unauthenticated, status.Code(watch("writer", "wrong-token-0123456789")), "a token that is sent must be right")
	require.NoError(t, watch("unknown", serviceToken))
	_, err = client("writer", "").PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{Id: "x", Name: "x"}})
	require.Equal(t, codes.PermissionDenied, status.Code(err))

	b.cfg.TLS.ClientCAFile = ""
	require.ErrorContains(t, b.cfg.Validate(), "callers[5].certificate: needs tls.client_ca_file")
}
