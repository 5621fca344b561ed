package directory

import (
	"errors"
	"fmt"
	"time"
)

// MaxAddresses is the most addresses one query may name: more would not fit a request line.
const MaxAddresses = 200

// Config is what a user sets. Start from DefaultConfig.
type Config struct {
	// Timeout bounds all questions of one batch to one org.
	Timeout time.Duration `yaml:"timeout"`
	// Patience is how long a batch waits for its orgs, and so the most that a slow or dead one delays its neighbours. Whom it was
	// asked for then comes back later, when the answer is remembered.
	Patience time.Duration `yaml:"patience"`
	// Parallel is the most questions to orgs at once, over all partitions of the process; to one org at most a quarter of them.
	Parallel int `yaml:"parallel"`
	// Addresses is the most addresses in one query, at most 200.
	Addresses int `yaml:"addresses"`
	// PositiveAge and NegativeAge are how long people found, and nobody found, are remembered: at most 10 min and 60 s
	// (XC-42). 0 asks every time.
	PositiveAge time.Duration `yaml:"positive_age"`
	NegativeAge time.Duration `yaml:"negative_age"`
	// CacheEntries is the most people remembered, over all workspaces; about 500 bytes each.
	CacheEntries int `yaml:"cache_entries"`
	// DescribeAge is how long it is remembered whether an org has person accounts (XC-41): a call or two each time.
	DescribeAge time.Duration `yaml:"describe_age"`
	// Failures in a row after which an org is given a rest; RestMin and RestMax bound how long.
	Failures int           `yaml:"failures"`
	RestMin  time.Duration `yaml:"rest_min"`
	RestMax  time.Duration `yaml:"rest_max"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Timeout:      5 * time.Second,
		Patience:     2 * time.Second,
		Parallel:     32,
		Addresses:    MaxAddresses,
		PositiveAge:  10 * time.Minute,
		NegativeAge:  time.Minute,
		CacheEntries: 100_000,
		DescribeAge:  6 * time.Hour,
		Failures:     2,
		RestMin:      5 * time.Second,
		RestMax:      time.Minute,
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
	need(c.Timeout > 0 && c.Timeout <= time.Minute, "timeout must be between 0s and 1m, not %s", c.Timeout)
	need(c.Patience > 0, "patience must be positive, not %s", c.Patience)
	need(c.Parallel > 0, "parallel must be positive, not %d", c.Parallel)
	need(c.Addresses > 0 && c.Addresses <= MaxAddresses, "addresses must be between 1 and %d, not %d", MaxAddresses, c.Addresses)
	need(c.PositiveAge >= 0 && c.PositiveAge <= 10*time.Minute, "positive_age must be between 0s and 10m, not %s", c.PositiveAge)
	need(c.NegativeAge >= 0 && c.NegativeAge <= time.Minute, "negative_age must be between 0s and 1m, not %s", c.NegativeAge)
	need(c.CacheEntries > 0, "cache_entries must be positive, not %d", c.CacheEntries)
	need(c.DescribeAge >= time.Minute, "describe_age must be at least 1m, not %s", c.DescribeAge)
	need(c.Failures > 0, "failures must be positive, not %d", c.Failures)
	need(c.RestMin > 0, "rest_min must be positive, not %s", c.RestMin)
	need(c.RestMax >= c.RestMin, "rest_max must not be below rest_min, is %s", c.RestMax)
	return errors.Join(errs...)
}
