package privacy

import (
	"errors"
	"time"
)

// Config bounds the work.
type Config struct {
	// Settle is how long after a request outcomes of what was in flight may still come in; the erasure is completed then.
	// The spec allows 30 days; the target is 24 hours.
	Settle time.Duration `yaml:"settle"`
	// Every is the time between two looks at what is to be done.
	Every time.Duration `yaml:"every"`
	// Batch is the most rows of the run log that are read, or deleted, together.
	Batch int `yaml:"batch"`
	// MaxSuppressions is the most people a workspace can keep out: they are part of every settings snapshot.
	MaxSuppressions int `yaml:"max_suppressions"`
	// MaxRecords is the most Salesforce records a certificate lists.
	MaxRecords int `yaml:"max_records"`
	// ExportKeep is how long an export can be read.
	ExportKeep time.Duration `yaml:"export_keep"`
	// ExportBytes is about the most an export may hold; what is left out is told in it.
	ExportBytes int `yaml:"export_bytes"`
	// ExportTimeout bounds the gathering of one export; it begins anew when it took longer.
	ExportTimeout time.Duration `yaml:"export_timeout"`

	// TopicRetention, UnresolvedRetention and DeadLetterRetention are how long topics keep records, for certificates. The process
	// sets them from what it creates topics with.
	TopicRetention      time.Duration `yaml:"-"`
	UnresolvedRetention time.Duration `yaml:"-"`
	DeadLetterRetention time.Duration `yaml:"-"`
}

// exportKeepMax is how long an export may be kept at most (XC-33).
const exportKeepMax = 7 * 24 * time.Hour

// DefaultConfig completes erasures after an hour, looks every 5 s, in batches of 500; 200,000 people a workspace, 10,000
// records a certificate; exports of up to 16 MiB for 7 days, gathered within an hour; topics of 30 days.
func DefaultConfig() Config {
	return Config{
		Settle: time.Hour, Every: 5 * time.Second, Batch: 500, MaxSuppressions: 200_000, MaxRecords: 10_000,
		ExportKeep: exportKeepMax, ExportBytes: 16 << 20, ExportTimeout: time.Hour,
		TopicRetention: 30 * 24 * time.Hour, UnresolvedRetention: 90 * 24 * time.Hour, DeadLetterRetention: 30 * 24 * time.Hour,
	}
}

// Validate names the key that is wrong.
func (c Config) Validate() error {
	switch {
	case c.Settle < time.Second || c.Settle > 30*24*time.Hour:
		return errors.New("settle: want 1s to 720h")
	case c.Every < 10*time.Millisecond:
		return errors.New("every: want at least 10ms")
	case c.Batch < 1:
		return errors.New("batch: want at least 1")
	case c.MaxSuppressions < 1 || c.MaxRecords < 1:
		return errors.New("max_suppressions and max_records: want at least 1")
	case c.ExportKeep < time.Minute || c.ExportKeep > exportKeepMax:
		return errors.New("export_keep: want 1m to 168h")
	case c.ExportBytes < 1<<16:
		return errors.New("export_bytes: want at least 65536")
	case c.ExportTimeout < time.Second:
		return errors.New("export_timeout: want at least 1s")
	}
	return nil
}
