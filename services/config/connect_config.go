package config

import (
	"fmt"

	"github.com/throughline-dev/throughline/services/config/internal/connstate"
)

// Connect bounds how orgs are connected and looked after.
type Connect struct {
	// Flapping damps connections that recover and fail again and again.
	Flapping Flapping `yaml:"flapping"`
}

// Flapping damps connections that recover and fail again and again.
type Flapping = connstate.Rules

// DefaultConnect returns the defaults.
func DefaultConnect() Connect {
	return Connect{Flapping: connstate.DefaultRules()}
}

// Validate names the key that is wrong.
func (c Connect) Validate() error {
	if err := c.Flapping.Validate(); err != nil {
		return fmt.Errorf("flapping.%w", err)
	}
	return nil
}
