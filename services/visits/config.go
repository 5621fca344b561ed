package visits

import (
	"errors"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/visits/collect"
	"github.com/throughline-dev/throughline/services/visits/totals"
)

// Config is what a user sets. Start from DefaultConfig.
type Config struct {
	// Activities is how tl.activities.v1 is read.
	Activities stage.Config `yaml:"activities"`
	// Visits is how tl.visits.v1 is read.
	Visits stage.Config `yaml:"visits"`
	// Collect shapes visits; what a workspace can set itself is in its settings.
	Collect collect.Config `yaml:"collect"`
	// Totals bounds what is remembered of one person and one content.
	Totals totals.Limits `yaml:"totals"`
}

// DefaultConfig reads the pipeline's topics and keeps the state in theirs.
func DefaultConfig() Config {
	cfg := Config{
		Activities: stage.DefaultConfig("visits", topic.Activities),
		Visits:     stage.DefaultConfig("totals", topic.Visits),
		Collect:    collect.DefaultConfig(),
		Totals:     totals.DefaultLimits(),
	}
	cfg.Activities.StateTopic, cfg.Activities.DeadLetterTopic = topic.VisitState, topic.DeadLetters
	cfg.Visits.StateTopic, cfg.Visits.DeadLetterTopic = topic.TotalsState, topic.DeadLetters
	return cfg
}

// Validate reports every setting that is missing or out of range, by its key.
func (c Config) Validate() error {
	errs := []error{
		wrap("activities", c.Activities.Validate()),
		wrap("visits", c.Visits.Validate()),
		wrap("collect", c.Collect.Validate()),
	}
	if c.Totals.Visits < 1 {
		errs = append(errs, fmt.Errorf("visits: totals.visits must be positive, not %d", c.Totals.Visits))
	}
	if c.Totals.Ranges < 1 {
		errs = append(errs, fmt.Errorf("visits: totals.ranges must be positive, not %d", c.Totals.Ranges))
	}
	return errors.Join(errs...)
}

func wrap(section string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("visits: %s: %w", section, err)
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
	// Clock says when visits are reported and who is silent. Defaults to the system's.
	Clock stage.Clock
	// Tracer and Meter default to ones that do nothing.
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
	// DeadLetter makes the message of a dead letter; see stage.Deps.
	DeadLetter func(stage.DeadLetter) (stage.Message, error)
}
