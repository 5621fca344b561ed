package refusals

import (
	"errors"
	"time"
)

// Config says when an action is paused, and how it comes back.
type Config struct {
	// SharePercent is the share of writes that may be refused within Window; an action above it is paused. 100: none is.
	SharePercent int           `yaml:"share_percent"`
	Window       time.Duration `yaml:"window"`
	// LeastWrites is how many writes must have ended within Window before the share says anything.
	LeastWrites int `yaml:"least_writes"`
	// Pause is how long nothing of a paused action is sent; it begins anew when the trial that follows fails too.
	Pause time.Duration `yaml:"pause"`
	// TrialWrites is how many writes are tried after a pause. When more than SharePercent of them are refused, the action is
	// paused again, else it goes on.
	TrialWrites int `yaml:"trial_writes"`
	// TrialWait is how long to wait for what became of tried writes before others are tried in their place.
	TrialWait time.Duration `yaml:"trial_wait"`
	// MaxActions is the most actions that are counted at a time. Those that nothing was heard of for longest give way.
	MaxActions int `yaml:"max_actions"`
}

// DefaultConfig pauses an action for 15 min when more than 20 % of at least 50 writes were refused in 10 min, then tries
// 20 writes, waits a minute for them, and counts 10,000 actions.
func DefaultConfig() Config {
	return Config{
		SharePercent: 20, Window: 10 * time.Minute, LeastWrites: 50,
		Pause: 15 * time.Minute, TrialWrites: 20, TrialWait: time.Minute, MaxActions: 10_000,
	}
}

// Validate names the first key that does not fit.
func (c Config) Validate() error {
	switch {
	case c.SharePercent < 1 || c.SharePercent > 100:
		return errors.New("share_percent: must be 1 to 100")
	case c.Window < time.Second || c.Window > 24*time.Hour:
		return errors.New("window: must be 1s to 24h")
	case c.LeastWrites < 1:
		return errors.New("least_writes: must be at least 1")
	case c.Pause <= 0 || c.Pause > 24*time.Hour:
		return errors.New("pause: must be above 0 and at most 24h")
	case c.TrialWrites < 1:
		return errors.New("trial_writes: must be at least 1")
	case c.TrialWait <= 0:
		return errors.New("trial_wait: must be above 0")
	case c.MaxActions < 1:
		return errors.New("max_actions: must be at least 1")
	}
	return nil
}
