package resolve

import (
	"errors"
	"fmt"
	"time"
)

// Config says how engagements come back whose org could not be asked.
type Config struct {
	// RetryMin is the wait before the second attempt; it doubles with each further one up to RetryMax.
	RetryMin time.Duration `yaml:"retry_min"`
	RetryMax time.Duration `yaml:"retry_max"`
	// MaxAge is how long after the first attempt an engagement is given up: its outcome is FAILED, and a dead letter holds it.
	MaxAge time.Duration `yaml:"max_age"`
	// RetryRecords is the most engagements asked again at once.
	RetryRecords int `yaml:"retry_records"`
	// RetryPoll is how often is looked for engagements that are due.
	RetryPoll time.Duration `yaml:"retry_poll"`
}

// DefaultConfig waits from 2 s to 1 min between attempts, for at most 3 days.
func DefaultConfig() Config {
	return Config{
		RetryMin:     2 * time.Second,
		RetryMax:     time.Minute,
		MaxAge:       72 * time.Hour,
		RetryRecords: 1000,
		RetryPoll:    250 * time.Millisecond,
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
	need(c.RetryMin > 0, "retry_min must be positive, not %s", c.RetryMin)
	need(c.RetryMax >= c.RetryMin, "retry_max must not be below retry_min, is %s", c.RetryMax)
	need(c.MaxAge > 0, "max_age must be positive, not %s", c.MaxAge)
	need(c.RetryRecords > 0, "retry_records must be positive, not %d", c.RetryRecords)
	need(c.RetryPoll > 0, "retry_poll must be positive, not %s", c.RetryPoll)
	return errors.Join(errs...)
}

// backoff returns the wait after the given number of attempts.
func (c Config) backoff(attempts int) time.Duration {
	return min(c.RetryMin<<min(attempts-1, 20), c.RetryMax)
}
