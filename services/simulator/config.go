package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/scenario"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// Config is what a user sets.
type Config struct {
	// Listen is the address of the one listener: "127.0.0.1:8700"; port 0 picks one.
	Listen string `yaml:"listen"`
	// Dir is where the orgs are kept; empty keeps them in memory only.
	Dir string `yaml:"dir"`
	// Scenario is a file that describes orgs to make at the start, unless they exist already.
	Scenario string `yaml:"scenario"`
	// DefaultOrg is the org that answers /services/ requests which name none, by path or host. Empty: the first org.
	DefaultOrg string `yaml:"default_org"`
	// DrainTimeout is how long Run waits for requests under way when it ends.
	DrainTimeout time.Duration `yaml:"drain_timeout"`
	// TLS serves https instead of http.
	TLS TLS `yaml:"tls"`
	// PubSub is the address of the Pub/Sub API, gRPC, with TLS if that is enabled: "127.0.0.1:8701". Empty: the orgs make no change events.
	PubSub string `yaml:"pubsub"`
	// PubSubKeepalive is how long a subscription may be silent; 0 for Salesforce's 270 s.
	PubSubKeepalive time.Duration `yaml:"pubsub_keepalive"`
}

// TLS is how https is served: with a certificate of the user's, or with those of an authority that the simulator keeps as
// ca.pem in Config.Dir/tls and that clients must be told to trust.
type TLS struct {
	Enabled bool `yaml:"enabled"`
	// Cert and Key are PEM files; both or neither.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// DefaultConfig listens on port 8700 of this machine and keeps everything in memory.
func DefaultConfig() Config {
	return Config{Listen: "127.0.0.1:8700", DrainTimeout: 5 * time.Second}
}

// Validate checks the configuration. Errors name the key.
func (c Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if c.PubSub != "" {
		if _, _, err := net.SplitHostPort(c.PubSub); err != nil {
			return fmt.Errorf("pubsub: %w", err)
		}
	}
	if c.PubSubKeepalive < 0 {
		return errors.New("pubsub_keepalive: must not be below 0")
	}
	if c.DrainTimeout <= 0 {
		return errors.New("drain_timeout: must be above 0")
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		return errors.New("tls: cert and key belong together")
	}
	if c.TLS.Cert != "" && !c.TLS.Enabled {
		return errors.New("tls: a certificate is given, but tls is not enabled")
	}
	if c.TLS.Enabled && c.TLS.Cert == "" && c.Dir == "" {
		return errors.New("tls: needs a certificate and key, or a dir to keep a certificate authority in")
	}
	return nil
}

// tlsDir is the folder of the certificate authority.
func (c Config) tlsDir() string { return filepath.Join(c.Dir, "tls") }

// Clock is where real time comes from.
type Clock interface{ Now() time.Time }

// Deps is what code passes in. All of it may be left out.
type Deps struct {
	Logger *slog.Logger
	// Clock is the time that the simulator's own clock starts from.
	Clock Clock
	// Observe, if set, sees every change of a record, in the order in which an org's changes took effect. It is called while
	// the org waits, from many goroutines, and must not call the simulator. It is for tests that judge what stood in between.
	Observe func(Change)
}

// Change is a record as a transaction left it.
type Change struct {
	// Org is the org's key, Object the object's name.
	Org, Object string
	// Record has all fields, as Export writes them.
	Record json.RawMessage
}

func (d Deps) withDefaults() Deps {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Clock == nil {
		d.Clock = systemClock{}
	}
	return d
}

type systemClock struct{}

// Now returns the machine's time.
func (systemClock) Now() time.Time { return time.Now() }

// The scenario format as Go types; docs/simulator.md describes it.
type (
	// Scenario is a set of orgs and faults.
	Scenario = scenario.Scenario
	// Org describes one org.
	Org = scenario.Org
	// User is a user of an org.
	User = scenario.User
	// Queue is a group that can own records.
	Queue = scenario.Queue
	// App is a connected app or external client app.
	App = scenario.App
	// Profile limits what its users may do.
	Profile = scenario.Profile
	// PermissionSet lets its users do more than their profile does.
	PermissionSet = scenario.PermissionSet
	// Layout is a page layout.
	Layout = scenario.Layout
	// RecordPage is a record page of the Lightning App Builder.
	RecordPage = scenario.RecordPage
	// API is what an org's edition and contract allow.
	API = scenario.API
	// Latency is how long requests take.
	Latency = scenario.Latency
	// Rows are records of one object.
	Rows = scenario.Rows
	// ValidationRule refuses records for which a condition holds.
	ValidationRule = scenario.ValidationRule
	// Object adds an object to an org, or fields to one.
	Object = schema.ObjectSpec
	// Field is one field of an Object.
	Field = schema.FieldSpec
)

// ParseScenario reads a scenario from YAML or JSON and checks it.
func ParseScenario(data []byte) (*Scenario, error) { return scenario.Parse(data) }
