package writer

import (
	"errors"
	"fmt"
	"time"

	"github.com/throughline-dev/throughline/services/writer/internal/delivery"
	"github.com/throughline-dev/throughline/services/writer/internal/gate"
	"github.com/throughline-dev/throughline/services/writer/internal/parking"
	"github.com/throughline-dev/throughline/services/writer/internal/refusals"
)

// Config is what a user sets.
type Config struct {
	// Lanes bounds queues, requests, waits and retries.
	Lanes delivery.Config `yaml:"lanes"`
	// Parking bounds what waits for an org that cannot be written to.
	Parking parking.Config `yaml:"parking"`
	// Gate says when an org counts as one that cannot be written to, and when it is asked again.
	Gate gate.Config `yaml:"gate"`
	// Refusals says when an integration's action is paused because the org refuses too much of it.
	Refusals refusals.Config `yaml:"refusals"`
	// LedgerKeep is how long after its last change a ledger entry is remembered. It must be longer than events may be late
	// and writes parked, together.
	LedgerKeep time.Duration `yaml:"ledger_keep"`
	// LedgerSweep is the time between two looks for entries to forget.
	LedgerSweep time.Duration `yaml:"ledger_sweep"`
	// DrainTimeout bounds what a stop or a rebalance waits for requests in flight.
	DrainTimeout time.Duration `yaml:"drain_timeout"`
	// SessionTimeout is how long the consumer group waits for a silent member before it gives its partitions away.
	SessionTimeout time.Duration `yaml:"session_timeout"`
}

// maxLedgerKeep is how long the ledger may remember what was done, in hashes and ids: 13 months (XC-30).
const maxLedgerKeep = 396 * 24 * time.Hour

// DefaultConfig returns the defaults of the parts, 45 days of ledger, a sweep every hour, 20 s to drain and 10 s
// until a silent member is given up.
func DefaultConfig() Config {
	return Config{
		Lanes:        delivery.DefaultConfig(),
		Parking:      parking.DefaultConfig(),
		Gate:         gate.DefaultConfig(),
		Refusals:     refusals.DefaultConfig(),
		LedgerKeep:   45 * 24 * time.Hour,
		LedgerSweep:  time.Hour,
		DrainTimeout: 20 * time.Second, SessionTimeout: 10 * time.Second,
	}
}

// Validate names the first key that does not fit.
func (c Config) Validate() error {
	if err := c.Lanes.Validate(); err != nil {
		return fmt.Errorf("lanes.%w", err)
	}
	if err := c.Parking.Validate(); err != nil {
		return fmt.Errorf("parking.%w", err)
	}
	if err := c.Gate.Validate(); err != nil {
		return fmt.Errorf("gate.%w", err)
	}
	if err := c.Refusals.Validate(); err != nil {
		return fmt.Errorf("refusals.%w", err)
	}
	switch {
	case c.LedgerKeep > maxLedgerKeep:
		return errors.New("ledger_keep: want at most 9504h, 13 months")
	case c.LedgerKeep <= c.Parking.KeepFor:
		return errors.New("ledger_keep: must be longer than parking.keep_for")
	case c.LedgerSweep <= 0:
		return errors.New("ledger_sweep: must be above 0")
	case c.DrainTimeout <= 0:
		return errors.New("drain_timeout: must be above 0")
	case c.SessionTimeout < time.Second:
		return errors.New("session_timeout: must be at least 1s")
	}
	return nil
}
