package reports

import (
	"errors"
	"time"
)

// Config bounds runs of report pushes.
type Config struct {
	// Spread is the longest time after 09:00 UTC at which a push's run becomes due, PerPush how much of it every push adds: few
	// pushes start at once, thousands one workspace after the other (WALK-21).
	Spread  time.Duration `yaml:"spread"`
	PerPush time.Duration `yaml:"per_push"`
	// CatchUp is how late a run may start; then its day is missed (WALK-22).
	CatchUp time.Duration `yaml:"catch_up"`
	// Longest is how long a run may take.
	Longest time.Duration `yaml:"longest"`
	// Lease is how long a worker may be silent before another one takes its run over.
	Lease time.Duration `yaml:"lease"`
	// Retry is how long a run waits when its org could not be asked.
	Retry time.Duration `yaml:"retry"`
	// Manual is how many runs of one push may be started by hand within an hour (WALK-24).
	Manual int `yaml:"manual_per_hour"`
	// FailedDays is how many scheduled runs in a row may fail before their push is paused (WALK-36).
	FailedDays int64 `yaml:"failed_days"`
	// Every is the time between two looks for missed days, runs that take too long and pushes that fail.
	Every time.Duration `yaml:"every"`
}

// DefaultConfig spreads up to 30 min, 300 ms a push; catches up within 6 h, ends runs after 20 h, lets workers be silent for 2 min, asks
// an org again after 1 min, takes 10 runs an hour by hand, pauses after 7 failed days, and looks every 30 s.
func DefaultConfig() Config {
	return Config{
		Spread: 30 * time.Minute, PerPush: 300 * time.Millisecond, CatchUp: 6 * time.Hour, Longest: 20 * time.Hour,
		Lease: 2 * time.Minute, Retry: time.Minute, Manual: 10, FailedDays: 7, Every: 30 * time.Second,
	}
}

// Validate names the key that is wrong.
func (c Config) Validate() error {
	switch {
	case c.Spread < 0 || c.Spread > time.Hour:
		return errors.New("spread: want 0 to 1h")
	case c.PerPush < 0:
		return errors.New("per_push: must not be negative")
	case c.CatchUp <= c.Spread || c.CatchUp > 14*time.Hour:
		return errors.New("catch_up: want more than spread and at most 14h, which is within the day")
	case c.Longest < time.Minute || c.Longest > 23*time.Hour:
		return errors.New("longest: want 1m to 23h")
	case c.Lease < time.Second:
		return errors.New("lease: want at least 1s")
	case c.Retry < time.Second:
		return errors.New("retry: want at least 1s")
	case c.Manual < 1:
		return errors.New("manual_per_hour: want at least 1")
	case c.FailedDays < 1:
		return errors.New("failed_days: want at least 1")
	case c.Every <= 0:
		return errors.New("every: want more than 0")
	}
	return nil
}
