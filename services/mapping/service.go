package mapping

import (
	"context"
	"errors"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/mapping/decide"
	"github.com/throughline-dev/throughline/services/mapping/programs"
)

// Service is the mapping service.
type Service struct {
	stage    *stage.Stage
	settings Settings
	tally    *tally
}

// New builds the service and starts nothing.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Settings == nil {
		return nil, errors.New("mapping: no settings given")
	}
	if deps.Clock == nil {
		deps.Clock = stage.SystemClock{}
	}
	t, err := newTally(deps.Meter)
	if err != nil {
		return nil, err
	}
	mapper := decide.New(programs.New(cfg.Programs))
	s, err := stage.NewPipeline(cfg.Stage, stage.Deps{
		Broker: deps.Broker, Logger: deps.Logger, Clock: deps.Clock, Tracer: deps.Tracer, Meter: deps.Meter,
		DeadLetter: deps.DeadLetter,
	}, func(stage.Partition, *stage.Table) (stage.Processor, error) {
		return &processor{settings: deps.Settings, mapper: mapper, clock: deps.Clock, tally: t}, nil
	})
	if err != nil {
		return nil, err
	}
	return &Service{stage: s, settings: deps.Settings, tally: t}, nil
}

// Run maps until ctx ends, and returns once everything in flight is settled.
func (s *Service) Run(ctx context.Context) error { return s.stage.Run(ctx) }

// Ready returns nil when the service works, or why it does not.
func (s *Service) Ready() error {
	if s.settings.View() == nil {
		return errNoSettings
	}
	return s.stage.Ready()
}

// Stats counts since the start.
func (s *Service) Stats() Stats {
	stats := s.tally.stats()
	stats.Stage = s.stage.Stats()
	return stats
}

var errNoSettings = errors.New("mapping: waiting for the first settings from config")
