package sync

import (
	"fmt"

	"github.com/throughline-dev/throughline/services/sync/changes"
	"github.com/throughline-dev/throughline/services/sync/reports"
)

// Config is what a user sets. Start from DefaultConfig.
type Config struct {
	// Changes says how change events are read.
	Changes changes.Config `yaml:"changes"`
	// Reports says how reports are pushed.
	Reports reports.Config `yaml:"reports"`
}

// DefaultConfig returns the defaults of every component.
func DefaultConfig() Config {
	return Config{Changes: changes.DefaultConfig(), Reports: reports.DefaultConfig()}
}

// Validate reports every setting that is missing or out of range, by its key.
func (c Config) Validate() error {
	if err := c.Changes.Validate(); err != nil {
		return fmt.Errorf("sync: changes: %w", err)
	}
	if err := c.Reports.Validate(); err != nil {
		return fmt.Errorf("sync: reports: %w", err)
	}
	return nil
}
