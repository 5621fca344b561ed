package pubsub

import (
	"errors"
	"fmt"
	"time"
)

// MaxWindow is how many events may be asked for and not yet delivered. Source: Pub/Sub API Guide, "Subscribe RPC Method".
const MaxWindow = 100

// Config is what a user sets.
type Config struct {
	// Window is how many events may be on their way, 1 to MaxWindow.
	Window int32
	// SilenceTimeout ends a stream that brings nothing, not even the keepalive that Salesforce sends within 270 s. Source:
	// Pub/Sub API Guide, "Subscribe RPC Method".
	SilenceTimeout time.Duration
	// CallTimeout limits one question about a topic or a schema.
	CallTimeout time.Duration
	// BackoffMin and BackoffMax bound the pause before the next attempt, which grows from one to the other, with jitter.
	BackoffMin, BackoffMax time.Duration
	// MaxFailures is how many attempts in a row may bring nothing before Run gives up.
	MaxFailures int
	// MaxMessageBytes bounds one answer. An event has up to 1 MB. Source: Pub/Sub API Guide, "Pub/Sub API and Event Allocations".
	MaxMessageBytes int
	// MaxSchemas is how many schemas are remembered; a forgotten one is asked for again.
	MaxSchemas int
}

// DefaultConfig suits Salesforce's own endpoints: 100 events on their way, 5 min of silence, 30 s for a question, 1 s to 2 min
// between up to 20 attempts, answers up to 32 MiB and 256 schemas.
func DefaultConfig() Config {
	return Config{
		Window: MaxWindow, SilenceTimeout: 5 * time.Minute, CallTimeout: 30 * time.Second, BackoffMin: time.Second,
		BackoffMax: 2 * time.Minute, MaxFailures: 20, MaxMessageBytes: 32 << 20, MaxSchemas: 256,
	}
}

// Validate checks the configuration. Errors name the key.
func (c Config) Validate() error {
	if c.Window < 1 || c.Window > MaxWindow {
		return fmt.Errorf("window: must be from 1 to %d", MaxWindow)
	}
	if c.SilenceTimeout <= 0 || c.CallTimeout <= 0 || c.BackoffMin <= 0 || c.BackoffMax < c.BackoffMin {
		return errors.New("silence_timeout, call_timeout, backoff_min: must be above 0, and backoff_max not below backoff_min")
	}
	if c.MaxFailures < 1 || c.MaxMessageBytes < 1 || c.MaxSchemas < 1 {
		return errors.New("max_failures, max_message_bytes, max_schemas: must be above 0")
	}
	return nil
}
