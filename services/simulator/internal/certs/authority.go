package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// lifeOfAuthority and lifeOfLeaf are how long certificates are good; leaves stay below what browsers accept.
	lifeOfAuthority, lifeOfLeaf = 10 * 365 * 24 * time.Hour, 365 * 24 * time.Hour
	// maxNames is how many certificates are kept; clients that ask for more names wait for theirs to be made again.
	maxNames = 256
	certFile = "ca.pem"
	keyFile  = "ca-key.pem"
)

// Authority signs certificates for the names that clients ask for. It is safe for concurrent use.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	now  func() time.Time

	mu     sync.Mutex
	leaves map[string]*tls.Certificate
}

// Open reads the authority from a folder, or makes one there: ca.pem is for clients, ca-key.pem for nobody else.
func Open(dir string, now func() time.Time) (*Authority, error) {
	a := &Authority{now: now, leaves: map[string]*tls.Certificate{}}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, certFile), filepath.Join(dir, keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return a, a.create(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read the certificate authority; delete %s and %s to make a new one: %w", certFile, keyFile, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || pair.Leaf == nil || now().After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("the certificate authority is not one of the simulator's, or too old: delete %s and %s", certFile, keyFile)
	}
	a.cert, a.key = pair.Leaf, key
	return a, nil
}

func (a *Authority) create(dir string) error {
	template, err := a.template(pkix.Name{CommonName: "Throughline Salesforce simulator"}, lifeOfAuthority)
	if err != nil {
		return err
	}
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("keep the certificate authority: %w", err)
	}
	for _, file := range []struct {
		name string
		mode fs.FileMode
		pem  pem.Block
	}{{keyFile, 0o600, pem.Block{Type: "PRIVATE KEY", Bytes: secret}}, {certFile, 0o644, pem.Block{Type: "CERTIFICATE", Bytes: der}}} {
		if err := os.WriteFile(filepath.Join(dir, file.name), pem.EncodeToMemory(&file.pem), file.mode); err != nil {
			return fmt.Errorf("keep the certificate authority: %w", err)
		}
	}
	return nil
}

// template is what all certificates have in common. They begin an hour ago, for clients whose clocks are late.
func (a *Authority) template(subject pkix.Name, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	now := a.now()
	return &x509.Certificate{SerialNumber: serial, Subject: subject, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(life)}, nil
}

// Config returns a server's TLS configuration, which serves every name that a client may ask for.
func (a *Authority) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: a.certificate}
}

// certificate answers a client's greeting. Clients that connect to an address ask for no name.
func (a *Authority) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	if name == "" && hello.Conn != nil {
		name, _, _ = net.SplitHostPort(hello.Conn.LocalAddr().String())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if leaf, made := a.leaves[name]; made && a.now().Before(leaf.Leaf.NotAfter) {
		return leaf, nil
	}
	leaf, err := a.issue(name)
	if err != nil {
		return nil, err
	}
	if len(a.leaves) >= maxNames {
		clear(a.leaves)
	}
	a.leaves[name] = leaf
	return leaf, nil
}

func (a *Authority) issue(name string) (*tls.Certificate, error) {
	template, err := a.template(pkix.Name{CommonName: "simulator"}, lifeOfLeaf)
	if err != nil {
		return nil, err
	}
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.DNSNames = []string{"localhost"}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = append(template.IPAddresses, ip)
	} else if name != "" {
		template.DNSNames = append(template.DNSNames, name)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
