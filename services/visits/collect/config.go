package collect

import (
	"errors"
	"fmt"
	"time"

	"github.com/throughline-dev/throughline/services/visits/visit"
)

// Config is what a user sets. Start from DefaultConfig.
type Config struct {
	// Remember is how long a closed visit is remembered after its last arrival: so long a repeated event is recognised and
	// a late one corrects the visit (XC-3, XC-6). It is never shorter than a workspace's lateness. An event that comes
	// later starts the visit anew.
	Remember time.Duration `yaml:"remember"`
	// TickVisits is the most visits one tick reports, closes or forgets; the rest waits for the next tick.
	TickVisits int `yaml:"tick_visits"`
	// Behind is how old a partition's newest record may be while records still come, before the partition counts as
	// behind and its visits are closed by the records' time instead of the clock's.
	Behind time.Duration `yaml:"behind"`
	// Limits bound one visit.
	Limits visit.Limits `yaml:"limits"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Remember:   7 * 24 * time.Hour,
		TickVisits: 10_000,
		Behind:     10 * time.Second,
		Limits:     visit.DefaultLimits(),
	}
}

// Validate reports every setting that is out of range, by its key.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(c.Remember >= time.Hour, "remember must be at least 1h, not %s", c.Remember)
	need(c.TickVisits > 0, "tick_visits must be positive, not %d", c.TickVisits)
	need(c.Behind > 0, "behind must be positive, not %s", c.Behind)
	need(c.Limits.EventIDs > 0, "limits.event_ids must be positive, not %d", c.Limits.EventIDs)
	need(c.Limits.Ranges > 0, "limits.ranges must be positive, not %d", c.Limits.Ranges)
	need(c.Limits.Clicks > 0, "limits.clicks must be positive, not %d", c.Limits.Clicks)
	need(c.Limits.Pages > 0, "limits.pages must be positive, not %d", c.Limits.Pages)
	return errors.Join(errs...)
}
