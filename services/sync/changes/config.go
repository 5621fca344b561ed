package changes

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce/pubsub"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// Config is what a user sets. Start from DefaultConfig.
type Config struct {
	// Stage is how tl.changes.v1 is shared among the replicas, and where subscriptions are remembered.
	Stage stage.Config `yaml:"stage"`
	// Endpoint is the Pub/Sub API, host:port. Empty: no change events are read, and identity works by the age of what it
	// remembers alone. In Europe: api.deu.pubsub.salesforce.com:7443. Source: Pub/Sub API Guide, "Pub/Sub API Endpoints".
	Endpoint string `yaml:"endpoint"`
	// Plaintext leaves TLS out, for a simulator. Hosts besides this machine must be in TrustedHosts.
	Plaintext    bool     `yaml:"plaintext"`
	TrustedHosts []string `yaml:"trusted_hosts"`
	// Objects whose changes are read, of Lead, Contact, Account and User. Each event counts against the org's allocation.
	Objects []string `yaml:"objects"`
	// Refresh is how often the settings are looked at for connections to subscribe to.
	Refresh time.Duration `yaml:"refresh"`
	// FlushEvery and FlushRecords bound how long, and how many records, events wait to be told together.
	FlushEvery   time.Duration `yaml:"flush_every"`
	FlushRecords int           `yaml:"flush_records"`
	// RetryMin and RetryMax bound the pause before the next attempt at a subscription that broke.
	RetryMin time.Duration `yaml:"retry_min"`
	RetryMax time.Duration `yaml:"retry_max"`
	// Recheck is how long an org is left alone that has no change events of an object, or does not let the user read them.
	Recheck time.Duration `yaml:"recheck"`
}

// objects are those whose changes mean something to identity.
var objects = []string{"Lead", "Contact", "Account", "User"}

// DefaultConfig reads all four objects from Salesforce's global endpoint, tells events within 200 ms or 500 records, tries again
// after 1 s to 2 min, and looks every hour whether an org has change events by now.
func DefaultConfig() Config {
	cfg := Config{
		Stage:        stage.DefaultConfig("sync-changes", topic.Changes),
		Endpoint:     "api.pubsub.salesforce.com:7443",
		Objects:      slices.Clone(objects),
		Refresh:      2 * time.Second,
		FlushEvery:   200 * time.Millisecond,
		FlushRecords: 500,
		RetryMin:     time.Second,
		RetryMax:     2 * time.Minute,
		Recheck:      time.Hour,
	}
	cfg.Stage.StateTopic, cfg.Stage.DeadLetterTopic = topic.ChangesState, topic.DeadLetters
	return cfg
}

// Validate reports every setting that is missing or out of range, by its key.
func (c Config) Validate() error {
	errs := []error{c.Stage.Validate()}
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(c.Stage.StateTopic != "", "stage.state_topic is missing")
	if c.Endpoint != "" {
		host, _, err := net.SplitHostPort(c.Endpoint)
		need(err == nil, "endpoint must be host:port, not %q", c.Endpoint)
		// Access tokens travel with every call (promise 8).
		need(!c.Plaintext || loopback(host) || slices.Contains(c.TrustedHosts, host),
			"plaintext is for an endpoint on this machine or one of trusted_hosts, not for %q", c.Endpoint)
	}
	for _, o := range c.Objects {
		need(slices.Contains(objects, o), "objects: %q is none of %v", o, objects)
	}
	need(len(c.Objects) > 0, "objects must name at least one")
	need(c.Refresh > 0, "refresh must be positive, not %s", c.Refresh)
	need(c.FlushEvery > 0, "flush_every must be positive, not %s", c.FlushEvery)
	need(c.FlushRecords > 0 && c.FlushRecords <= 10_000, "flush_records must be between 1 and 10000, not %d", c.FlushRecords)
	need(c.RetryMin > 0, "retry_min must be positive, not %s", c.RetryMin)
	need(c.RetryMax >= c.RetryMin, "retry_max must not be below retry_min, is %s", c.RetryMax)
	need(c.Recheck > 0, "recheck must be positive, not %s", c.Recheck)
	return errors.Join(errs...)
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// pubsub is how one subscription behaves.
func (c Config) pubsub() pubsub.Config {
	cfg := pubsub.DefaultConfig()
	cfg.BackoffMin, cfg.BackoffMax = c.RetryMin, c.RetryMax
	return cfg
}
