package reports

import (
	"errors"
	"fmt"
	"time"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/sync/push"
)

// Config is what a user sets. Start from DefaultConfig.
type Config struct {
	// Deliveries is how tl.rows.v1 is read.
	Deliveries stage.Config `yaml:"deliveries"`
	// NoteTimeout bounds one call that tells config of a delivery.
	NoteTimeout time.Duration `yaml:"note_timeout"`
	// ForgetDeliveries is how long after its last piece a delivery without an end is remembered: topics.rows_retention or longer.
	ForgetDeliveries time.Duration `yaml:"forget_deliveries"`
	// Runs is how runs of pushes are carried out.
	Runs push.Config `yaml:"runs"`
}

// DefaultConfig remembers unfinished deliveries for 15 days.
func DefaultConfig() Config {
	cfg := Config{
		Deliveries: stage.DefaultConfig("sync-deliveries", topic.Rows), NoteTimeout: 10 * time.Second,
		ForgetDeliveries: 15 * 24 * time.Hour, Runs: push.DefaultConfig(),
	}
	cfg.Deliveries.StateTopic, cfg.Deliveries.DeadLetterTopic = topic.RowsState, topic.DeadLetters
	return cfg
}

// Validate reports every setting that is missing or out of range, by its key.
func (c Config) Validate() error {
	errs := []error{wrap("deliveries", c.Deliveries.Validate()), wrap("runs", c.Runs.Validate())}
	if c.NoteTimeout <= 0 {
		errs = append(errs, errors.New("note_timeout: must be above 0"))
	}
	if c.ForgetDeliveries < 24*time.Hour {
		errs = append(errs, errors.New("forget_deliveries: must be at least 24h"))
	}
	return errors.Join(errs...)
}

func wrap(section string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", section, err)
}
