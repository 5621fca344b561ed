package pubsub

import (
	"errors"
	"fmt"
	"time"
)

// MaxWindow is how many events may be asked for and not yet delivered (Pub/Sub API guide, "Pub/Sub API and Event Allocations").
const MaxWindow = 100

// Config is what a user sets.
type Config struct {
	// Window is how many events may be on their way, 1 to MaxWindow.
	Window int32
	// SilenceTimeout ends a stream that brings nothing, not even the keepalive that Salesforce sends within 270 s.
	SilenceTimeout time.Duration
	// CallTimeout limits one question about a topic or a schema.
	CallTimeout time.Duration
	// BackoffMin and BackoffMax bound the pause before the next attempt.
	BackoffMin, BackoffMax time.Duration
	// MaxFailures is how many attempts in a row may bring nothing before Run gives up.
	MaxFailures int
	// MaxMessageBytes bounds one answer. An event has up to 1 MB.
	MaxMessageBytes int
	// MaxSchemas is how many schemas are remembered.
	MaxSchemas int
}

// DefaultConfig suits Salesforce's own endpoints.
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
