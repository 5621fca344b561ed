package mapping

import (
	"errors"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/mapping/decide"
)

// Config is what a user sets. Start from DefaultConfig.
type Config struct {
	// Stage is how the input is read.
	Stage stage.Config `yaml:"stage"`
	// Programs is the most compiled integrations kept, over all workspaces and versions; some tens of kilobytes each.
	Programs int `yaml:"programs"`
}

// DefaultConfig reads tl.resolved.v1 and keeps 2,000 compiled integrations.
func DefaultConfig() Config {
	cfg := Config{Stage: stage.DefaultConfig(decide.Stage, topic.Resolved), Programs: 2000}
	cfg.Stage.DeadLetterTopic = topic.DeadLetters
	return cfg
}

// Validate reports every setting that is missing or out of range, by its key.
func (c Config) Validate() error {
	var errs []error
	if c.Programs < 1 || c.Programs > 1_000_000 {
		errs = append(errs, fmt.Errorf("mapping: programs must be between 1 and 1000000, not %d", c.Programs))
	}
	return errors.Join(append(errs, c.Stage.Validate())...)
}

// Settings gives the newest settings; nil while there are none yet.
type Settings interface{ View() *settings.View }

// Deps is what code passes in.
type Deps struct {
	// Broker and Settings are required.
	Broker   stage.Broker
	Settings Settings
	// Logger defaults to one that discards.
	Logger *slog.Logger
	// Clock tells when an outcome was decided. Defaults to the system's.
	Clock stage.Clock
	// Tracer and Meter default to ones that do nothing.
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
	// DeadLetter makes the message of a dead letter; see stage.Deps.
	DeadLetter func(stage.DeadLetter) (stage.Message, error)
}
