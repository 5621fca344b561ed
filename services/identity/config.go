package identity

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/identity/directory"
	"github.com/throughline-dev/throughline/services/identity/follow"
	"github.com/throughline-dev/throughline/services/identity/resolve"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// Config is what a user sets. Start from DefaultConfig.
type Config struct {
	// Engagements is how tl.engagements.v1 is read.
	Engagements stage.Config `yaml:"engagements"`
	// Unresolved is how engagements are read whose org could not be asked.
	Unresolved stage.Config `yaml:"unresolved"`
	// Directory says how orgs are asked and answers remembered.
	Directory directory.Config `yaml:"directory"`
	// Retry says how often and how long an org in trouble is asked again.
	Retry resolve.Config `yaml:"retry"`
	// Changes is how tl.changes.v1 is read, by every replica in full.
	Changes follow.Config `yaml:"changes"`
}

// DefaultConfig reads the pipeline's topics. Batches are smaller than elsewhere, because a batch waits for its answers, and
// wait longer for more, because a thin stream would otherwise cost a query for every single person.
func DefaultConfig() Config {
	cfg := Config{
		Engagements: stage.DefaultConfig("identity", topic.Engagements),
		Unresolved:  stage.DefaultConfig("identity-retry", topic.Unresolved),
		Directory:   directory.DefaultConfig(),
		Retry:       resolve.DefaultConfig(),
		Changes:     follow.DefaultConfig(),
	}
	cfg.Engagements.BatchRecords = 1000
	cfg.Engagements.BatchWait = 200 * time.Millisecond
	cfg.Engagements.DeadLetterTopic, cfg.Unresolved.DeadLetterTopic = topic.DeadLetters, topic.DeadLetters
	return cfg
}

// Validate reports every setting that is missing or out of range, by its key.
func (c Config) Validate() error {
	return errors.Join(
		wrap("engagements", c.Engagements.Validate()),
		wrap("unresolved", c.Unresolved.Validate()),
		wrap("directory", c.Directory.Validate()),
		wrap("retry", c.Retry.Validate()),
		wrap("changes", c.Changes.Validate()),
	)
}

func wrap(section string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("identity: %s: %w", section, err)
}

// Settings gives the newest settings; nil while there are none yet.
type Settings interface{ View() *settings.View }

// Orgs hands out one client per connection; *orgs.Pool does.
type Orgs interface {
	Client(workspace, connection string) (*salesforce.Client, error)
}

// Deps is what code passes in.
type Deps struct {
	// Broker, Settings and Orgs are required.
	Broker   stage.Broker
	Settings Settings
	Orgs     Orgs
	// Topics reads what changed in the orgs; *kafka.Client does. Without it what is remembered is as old as its ages allow.
	Topics follow.Topics
	// Logger defaults to one that discards.
	Logger *slog.Logger
	// Clock dates answers, retries and outcomes. Defaults to the system's.
	Clock stage.Clock
	// Tracer and Meter default to ones that do nothing.
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
	// DeadLetter makes the message of a dead letter; see stage.Deps.
	DeadLetter func(stage.DeadLetter) (stage.Message, error)
}
