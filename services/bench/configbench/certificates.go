package configbench

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// certificates are an authority's, a server's and a client's files in one folder.
type certificates struct{ dir string }

const certificateLife = 24 * time.Hour

func newCertificates(dir string) (certificates, error) {
	c := certificates{dir: dir}
	ca, caKey, err := c.issue("ca", nil, nil)
	if err != nil {
		return c, err
	}
	for _, name := range []string{"server", "client"} {
		if _, _, err := c.issue(name, ca, caKey); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c certificates) path(name string) string { return filepath.Join(c.dir, name) }

// issue writes name.crt and name.key; without an authority the certificate signs itself.
func (c certificates) issue(name string, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "bench " + name},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(certificateLife),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        ca == nil, BasicConstraintsValid: true,
	}
	if ca == nil {
		ca, caKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, nil, err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	err = errors.Join(
		os.WriteFile(c.path(name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(c.path(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}), 0o600),
	)
	return template, key, err
}

func (c certificates) server() config.TLS {
	return config.TLS{CertFile: c.path("server.crt"), KeyFile: c.path("server.key"), ClientCAFile: c.path("ca.crt")}
}

func (c certificates) client() settings.TLSConfig {
	return settings.TLSConfig{CAFile: c.path("ca.crt"), CertFile: c.path("client.crt"), KeyFile: c.path("client.key")}
}
