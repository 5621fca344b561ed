package conformance_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
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

	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/libs/stage/kafka/kafkatest"
)

// TestSecure runs on the embedded broker only: it decides who may connect.
func TestSecure(t *testing.T) {
	t.Parallel()
	pki := newPKI(t)
	users := []broker.User{
		{Mechanism: "PLAIN", Name: "plain", Password: secret.New("p1")},
		{Mechanism: "SCRAM-SHA-256", Name: "scram256", Password: secret.New("p2")},
		{Mechanism: "SCRAM-SHA-512", Name: "scram512", Password: secret.New("p3")},
	}
	b, err := broker.Start(broker.Config{TLS: pki.server, Users: users})
	require.NoError(t, err)
	t.Cleanup(b.Close)

	for _, u := range users {
		t.Run("RunsWith"+u.Mechanism+"OverTLSWithAClientCertificate", func(t *testing.T) {
			t.Parallel()
			cfg := kafkatest.Patient(b.Addr()...)
			cfg.TLS = kafka.TLS{Enabled: true, CAFile: pki.caFile, CertFile: pki.certFile, KeyFile: pki.keyFile}
			cfg.SASL = kafka.SASL{Mechanism: u.Mechanism, Username: u.Name, Password: u.Password}
			bundle := setupAt(t, kafkatest.At(t, cfg))
			bundle.send(5, 0, 10)
			s := bundle.run(bundle.stateful(), newCounter(bundle.out))
			s.await("all records", func(st stage.Stats) bool { return st.In == 50 })
			s.end()
			bundle.checkCounts(5, 10)
		})
	}

	refused := map[string]func(*kafka.Config){
		"AWrongPassword":      func(c *kafka.Config) { c.SASL.Password = secret.New("wrong") },
		"NoClientCertificate": func(c *kafka.Config) { c.TLS.CertFile, c.TLS.KeyFile = "", "" },
		"AnUnknownAuthority":  func(c *kafka.Config) { c.TLS.CAFile = pki.otherCAFile },
	}
	for name, spoil := range refused {
		t.Run("IsRefusedWith"+name, func(t *testing.T) {
			t.Parallel()
			cfg := kafka.DefaultConfig(b.Addr()...)
			cfg.TLS = kafka.TLS{Enabled: true, CAFile: pki.caFile, CertFile: pki.certFile, KeyFile: pki.keyFile}
			cfg.SASL = kafka.SASL{Mechanism: "SCRAM-SHA-512", Username: "scram512", Password: secret.New("p3")}
			cfg.ProduceTimeout = time.Second
			spoil(&cfg)
			client, err := kafka.New(cfg, kafka.Deps{})
			require.NoError(t, err)
			defer client.Close()
			err = client.Publish(t.Context(), stage.Message{Topic: "any", Value: []byte("x")})
			require.Error(t, err)
			require.NotContains(t, err.Error(), "p3")
			require.NotContains(t, err.Error(), "wrong")
		})
	}
}

type pki struct {
	server                                 *tls.Config
	caFile, otherCAFile, certFile, keyFile string
}

// newPKI makes two authorities, a server certificate for the loopback, and a client certificate that the server demands.
func newPKI(t *testing.T) pki {
	t.Helper()
	dir := t.TempDir()
	ca, caKey := issue(t, nil, nil, true)
	other, _ := issue(t, nil, nil, true)
	server, serverKey := issue(t, ca, caKey, false)
	client, clientKey := issue(t, ca, caKey, false)
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	keyDER, err := x509.MarshalPKCS8PrivateKey(clientKey)
	require.NoError(t, err)
	p := pki{
		server: &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{server.Raw}, PrivateKey: serverKey}},
			ClientCAs:    pool, ClientAuth: tls.RequireAndVerifyClientCert,
		},
		caFile: filepath.Join(dir, "ca.pem"), otherCAFile: filepath.Join(dir, "other.pem"),
		certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem"),
	}
	writePEM(t, p.caFile, "CERTIFICATE", ca.Raw)
	writePEM(t, p.otherCAFile, "CERTIFICATE", other.Raw)
	writePEM(t, p.certFile, "CERTIFICATE", client.Raw)
	writePEM(t, p.keyFile, "PRIVATE KEY", keyDER)
	return p
}

func issue(t *testing.T, parent *x509.Certificate, parentKey *ecdsa.PrivateKey, authority bool) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "throughline test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: authority, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert, key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}
