package settings

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/throughline-dev/throughline/libs/secret"
)

// Config says where the config service is and how a service proves who it is.
type Config struct {
	// Target is the address of the config service: host:port, or a gRPC target such as dns:///config:9090.
	Target string `yaml:"target"`
	// Token is the bearer token; or TokenFile names a file that holds it, which wins and is read on every connection attempt.
	Token     secret.String `yaml:"token"`
	TokenFile string        `yaml:"token_file"`
	// SavePath is the file that keeps the last good snapshot, sealed. Empty: none, and a start waits for config.
	SavePath string `yaml:"save_path"`
	// TLS protects the connection. A loopback target may go without.
	TLS TLSConfig `yaml:"tls"`
	// Plaintext allows a target beyond loopback without TLS, where the network itself is protected.
	Plaintext bool `yaml:"plaintext"`
	// RetryMin and RetryMax bound the wait between two attempts to reach config. Default 200 ms and 5 s.
	RetryMin time.Duration `yaml:"retry_min"`
	RetryMax time.Duration `yaml:"retry_max"`
	// MaxSnapshotBytes is the largest snapshot accepted. Default 64 MiB.
	MaxSnapshotBytes int `yaml:"max_snapshot_bytes"`
}

// TLSConfig names the files of a TLS client.
type TLSConfig struct {
	// CAFile holds the certificates to trust; empty with Enabled: the system's.
	CAFile string `yaml:"ca_file"`
	// CertFile and KeyFile are the client's certificate, for mutual TLS.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// ServerName is the name to verify instead of the target's host.
	ServerName string `yaml:"server_name"`
	// Enabled turns TLS on; any file does so too.
	Enabled bool `yaml:"enabled"`
}

// On reports whether TLS is used.
func (c TLSConfig) On() bool { return c.Enabled || c.CAFile != "" || c.CertFile != "" }

// DefaultConfig returns a Config for a config service on this machine.
func DefaultConfig() Config {
	return Config{
		Target:           "127.0.0.1:9090",
		RetryMin:         200 * time.Millisecond,
		RetryMax:         5 * time.Second,
		MaxSnapshotBytes: 64 << 20,
	}
}

// Validate names the first key that is wrong.
func (c Config) Validate() error {
	switch {
	case c.Target == "":
		return errors.New("target: say where the config service is, as host:port")
	case c.RetryMin <= 0 || c.RetryMax < c.RetryMin:
		return errors.New("retry_min, retry_max: want 0 < retry_min <= retry_max")
	case c.MaxSnapshotBytes < 1<<20:
		return errors.New("max_snapshot_bytes: want at least 1 MiB")
	case (c.TLS.CertFile == "") != (c.TLS.KeyFile == ""):
		return errors.New("tls.cert_file, tls.key_file: set both or neither")
	case !c.TLS.On() && !c.Plaintext && !loopback(c.Target):
		return fmt.Errorf("tls: %s is not a loopback address, so a token would travel in the clear; set tls.enabled or plaintext", c.Target)
	}
	return nil
}

// withDefaults fills zero values, so that a caller may set only what it cares about.
func (c Config) withDefaults() Config {
	d := DefaultConfig()
	if c.RetryMin == 0 {
		c.RetryMin = d.RetryMin
	}
	if c.RetryMax == 0 {
		c.RetryMax = max(d.RetryMax, c.RetryMin)
	}
	if c.MaxSnapshotBytes == 0 {
		c.MaxSnapshotBytes = d.MaxSnapshotBytes
	}
	return c
}

func loopback(target string) bool {
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
