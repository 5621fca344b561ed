package sync

import (
	"fmt"

	"github.com/throughline-dev/throughline/services/sync/changes"
)

// Config is what a user sets. Start from DefaultConfig.
type Config struct {
	// Changes says how change events are read.
	Changes changes.Config `yaml:"changes"`
}

// DefaultConfig returns the defaults of every component.
func DefaultConfig() Config { return Config{Changes: changes.DefaultConfig()} }

// Validate reports every setting that is missing or out of range, by its key.
func (c Config) Validate() error {
	if err := c.Changes.Validate(); err != nil {
		return fmt.Errorf("sync: changes: %w", err)
	}
	return nil
}
