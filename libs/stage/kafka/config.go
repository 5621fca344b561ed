package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/throughline-dev/throughline/libs/certs"
	"github.com/throughline-dev/throughline/libs/secret"
)

// Config is what a user sets to reach a Kafka cluster.
type Config struct {
	// Brokers are host:port addresses to begin with; the cluster names the rest.
	Brokers []string `yaml:"brokers"`
	// ClientID names this program in the brokers' logs and quotas. It is also the ce_source of what Publish writes.
	ClientID string `yaml:"client_id"`
	TLS      TLS    `yaml:"tls"`
	// Plaintext allows brokers beyond loopback without TLS, where the network itself is protected.
	Plaintext bool `yaml:"plaintext"`
	SASL      SASL `yaml:"sasl"`
	// Compression of produced batches: none, gzip, snappy, lz4 or zstd. Whatever producers used is read.
	Compression string `yaml:"compression"`
	// MaxBatchBytes is the most bytes of one partition in one request. A larger single message is sent alone.
	MaxBatchBytes int `yaml:"max_batch_bytes"`
	// DialTimeout bounds a connection with its TLS and SASL handshakes; RequestTimeout one request.
	DialTimeout    time.Duration `yaml:"dial_timeout"`
	RequestTimeout time.Duration `yaml:"request_timeout"`
	// ProduceTimeout bounds one Publish or Produce call with all its retries.
	ProduceTimeout time.Duration `yaml:"produce_timeout"`
}

// TLS secures the connection. The zero value is plain text.
type TLS struct {
	// Enabled speaks TLS to the brokers; beyond loopback it is required, unless Plaintext is set.
	Enabled bool `yaml:"enabled"`
	// CAFile holds the PEM certificates to trust instead of the system's.
	CAFile string `yaml:"ca_file"`
	// CertFile and KeyFile hold this client's PEM certificate and key, for brokers that ask for one.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// ServerName overrides the name the broker's certificate must carry.
	ServerName string `yaml:"server_name"`
}

// SASL authenticates the client. The zero value does not.
type SASL struct {
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; "" is no authentication. PLAIN needs TLS.
	Mechanism string `yaml:"mechanism"`
	// Username and Password are what the brokers know this program by.
	Username string        `yaml:"username"`
	Password secret.String `yaml:"password"`
	// PasswordFile is read when Password is empty; a trailing newline is cut.
	PasswordFile string `yaml:"password_file"`
	// AllowPlaintext permits PLAIN without TLS, on a loopback or a mesh that encrypts.
	AllowPlaintext bool `yaml:"allow_plaintext"`
}

// DefaultConfig returns the defaults for a cluster.
func DefaultConfig(brokers ...string) Config {
	return Config{
		Brokers:        brokers,
		ClientID:       "throughline",
		Compression:    "none",
		MaxBatchBytes:  1_000_000,
		DialTimeout:    10 * time.Second,
		RequestTimeout: 10 * time.Second,
		ProduceTimeout: 30 * time.Second,
	}
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	if c.ClientID == "" {
		c.ClientID = d.ClientID
	}
	if c.Compression == "" {
		c.Compression = d.Compression
	}
	if c.MaxBatchBytes == 0 {
		c.MaxBatchBytes = d.MaxBatchBytes
	}
	if c.DialTimeout == 0 {
		c.DialTimeout = d.DialTimeout
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = d.RequestTimeout
	}
	if c.ProduceTimeout == 0 {
		c.ProduceTimeout = d.ProduceTimeout
	}
	return c
}

// Validate reports what is missing or out of range, by its key. Zero values take their defaults in New and are valid.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("kafka: brokers is empty; give at least one host:port"))
	}
	if _, err := codecNamed(c.Compression); err != nil {
		errs = append(errs, err)
	}
	if c.MaxBatchBytes < 1024 || c.MaxBatchBytes > 64<<20 {
		errs = append(errs, fmt.Errorf("kafka: max_batch_bytes must be between 1 KiB and 64 MiB, not %d", c.MaxBatchBytes))
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		errs = append(errs, errors.New("kafka: tls.cert_file and tls.key_file belong together; one is missing"))
	}
	if !c.TLS.Enabled && (c.TLS.CAFile != "" || c.TLS.CertFile != "") {
		errs = append(errs, errors.New("kafka: tls files are set but tls.enabled is false"))
	}
	if broker := c.inTheClear(); broker != "" && !c.Plaintext {
		errs = append(errs, fmt.Errorf("kafka: %s is not a loopback address, so records would travel in the clear; set tls.enabled, "+
			"or plaintext if the network itself is protected", broker))
	}
	return errors.Join(append(errs, c.SASL.validate(c.TLS.Enabled))...)
}

// inTheClear returns a broker beyond loopback that is reached without TLS, "" if there is none.
func (c Config) inTheClear() string {
	if c.TLS.Enabled {
		return ""
	}
	for _, broker := range c.Brokers {
		host, _, err := net.SplitHostPort(broker)
		if err != nil {
			host = broker
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return broker
		}
	}
	return ""
}

func (s SASL) validate(encrypted bool) error {
	switch s.Mechanism {
	case "":
		return nil
	case "PLAIN":
		if !encrypted && !s.AllowPlaintext {
			return errors.New("kafka: sasl.mechanism PLAIN would send the password in clear; enable tls or use SCRAM-SHA-512")
		}
	case "SCRAM-SHA-256", "SCRAM-SHA-512":
	default:
		return fmt.Errorf("kafka: sasl.mechanism must be PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, not %q", s.Mechanism)
	}
	if s.Username == "" || (s.Password.IsEmpty() && s.PasswordFile == "") {
		return errors.New("kafka: sasl needs username, and password or password_file")
	}
	return nil
}

// mechanism returns what authenticates connections, or nil for none. A password file is read now, to find out whether it can
// be, and again for every connection, so that a changed password needs no restart.
func (s SASL) mechanism() (sasl.Mechanism, error) {
	if s.Mechanism == "" {
		return nil, nil
	}
	m, err := s.read()
	if err != nil || !s.Password.IsEmpty() {
		return m, err
	}
	return rereading{s, m.Name()}, nil
}

// rereading reads its password file for every connection.
type rereading struct {
	sasl SASL
	name string
}

// Name implements sasl.Mechanism.
func (r rereading) Name() string { return r.name }

// Start implements sasl.Mechanism.
func (r rereading) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	m, err := r.sasl.read()
	if err != nil {
		return nil, nil, err
	}
	return m.Start(ctx)
}

func (s SASL) read() (sasl.Mechanism, error) {
	password := s.Password.Reveal()
	if password == "" {
		raw, err := os.ReadFile(s.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("kafka: reading sasl.password_file: %w", err)
		}
		password = strings.TrimRight(string(raw), "\r\n")
	}
	switch s.Mechanism {
	case "PLAIN":
		return plain.Mechanism{Username: s.Username, Password: password}, nil
	case "SCRAM-SHA-256":
		return scram.Mechanism(scram.SHA256, s.Username, password)
	default:
		return scram.Mechanism(scram.SHA512, s.Username, password)
	}
}

func (t TLS) config() (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("kafka: reading tls.ca_file: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("kafka: tls.ca_file %s holds no PEM certificate", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := certs.Load(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("kafka: reading tls.cert_file and tls.key_file: %w", err)
		}
		cfg.GetClientCertificate = pair.Client
	}
	return cfg, nil
}

func codecNamed(name string) (compress.Compression, error) {
	if name == "none" || name == "" {
		return compress.None, nil
	}
	var c compress.Compression
	if err := c.UnmarshalText([]byte(name)); err != nil {
		return compress.None, fmt.Errorf("kafka: compression must be none, gzip, snappy, lz4 or zstd, not %q", name)
	}
	return c, nil
}
