package edge

import (
	"errors"
	"fmt"
	"time"
)

// Config is what a user sets for the HTTP endpoint. Start from DefaultConfig.
type Config struct {
	// Addr is where to listen, e.g. ":8080"; "" switches the endpoint off.
	Addr string `yaml:"addr"`
	// CertFile and KeyFile, in PEM, switch TLS on. Leave them empty only behind something that ends TLS.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`

	// BodyBytes is the largest body, as sent and once more decompressed.
	BodyBytes int64 `yaml:"body_bytes"`
	// BatchEvents is the most events in one request.
	BatchEvents int `yaml:"batch_events"`
	// InFlight is the most requests handled at once; more are answered 503. In the worst case they hold InFlight times
	// three times BodyBytes of memory.
	InFlight int `yaml:"in_flight"`
	// Connections is the most that are open at once, with a request or without; more wait to be accepted.
	Connections int `yaml:"connections"`
	// EventsPerSecond and Burst limit one workspace in one process; more is answered 429. Burst must allow a full batch.
	EventsPerSecond int `yaml:"events_per_second"`
	Burst           int `yaml:"burst"`
	// ReadTimeout bounds the reading of one request, RequestTimeout its handling, Kafka's acknowledgement included.
	ReadTimeout    time.Duration `yaml:"read_timeout"`
	RequestTimeout time.Duration `yaml:"request_timeout"`
	// DrainTimeout bounds what a stop waits for requests in flight.
	DrainTimeout time.Duration `yaml:"drain_timeout"`
	// DeriveIDs accepts events without an id and derives one from their bytes.
	DeriveIDs bool `yaml:"derive_ids"`
}

// DefaultConfig returns the defaults, with the endpoint switched off.
func DefaultConfig() Config {
	return Config{
		BodyBytes:       10 << 20,
		BatchEvents:     10_000,
		InFlight:        32,
		Connections:     4096,
		EventsPerSecond: 20_000,
		Burst:           20_000,
		ReadTimeout:     30 * time.Second,
		RequestTimeout:  30 * time.Second,
		DrainTimeout:    20 * time.Second,
	}
}

// Validate reports every setting that is out of range, by its key.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("http."+format, args...))
		}
	}
	need((c.CertFile == "") == (c.KeyFile == ""), "cert_file and http.key_file go together")
	need(c.BodyBytes > 0 && c.BodyBytes <= 100<<20, "body_bytes must be between 1 and 100 MiB, not %d", c.BodyBytes)
	need(c.BatchEvents > 0, "batch_events must be positive, not %d", c.BatchEvents)
	need(c.InFlight > 0, "in_flight must be positive, not %d", c.InFlight)
	need(c.Connections > 0, "connections must be positive, not %d", c.Connections)
	need(c.EventsPerSecond > 0, "events_per_second must be positive, not %d", c.EventsPerSecond)
	need(c.Burst >= c.BatchEvents, "burst must be at least batch_events (%d), not %d", c.BatchEvents, c.Burst)
	need(c.ReadTimeout > 0, "read_timeout must be positive, not %s", c.ReadTimeout)
	need(c.RequestTimeout > 0, "request_timeout must be positive, not %s", c.RequestTimeout)
	need(c.DrainTimeout > 0, "drain_timeout must be positive, not %s", c.DrainTimeout)
	return errors.Join(errs...)
}
