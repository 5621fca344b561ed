package certs

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// Pair is a certificate and its key, in PEM files. Safe for concurrent use.
type Pair struct {
	certFile, keyFile string

	mu   sync.Mutex
	cert *tls.Certificate
	seen [2]stamp
}

// stamp tells one state of a file from another.
type stamp struct {
	size     int64
	modified int64
}

// Load reads the files. The error names the one that cannot be used.
func Load(certFile, keyFile string) (*Pair, error) {
	p := &Pair{certFile: certFile, keyFile: keyFile}
	seen, err := p.stamps()
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	p.cert, p.seen = &cert, seen
	return p, nil
}

// Server is for tls.Config.GetCertificate.
func (p *Pair) Server(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.current(), nil }

// Client is for tls.Config.GetClientCertificate.
func (p *Pair) Client(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return p.current(), nil }

func (p *Pair) current() *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen, err := p.stamps()
	if err != nil || seen == p.seen {
		return p.cert
	}
	// A key that does not belong to the certificate is a renewal half done: tried again at the next handshake.
	if cert, err := tls.LoadX509KeyPair(p.certFile, p.keyFile); err == nil {
		p.cert, p.seen = &cert, seen
	}
	return p.cert
}

func (p *Pair) stamps() ([2]stamp, error) {
	var out [2]stamp
	for i, name := range [2]string{p.certFile, p.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return out, err
		}
		out[i] = stampOf(info)
	}
	return out, nil
}

func stampOf(info fs.FileInfo) stamp {
	return stamp{size: info.Size(), modified: info.ModTime().UnixNano()}
}
