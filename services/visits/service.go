package visits

import (
	"context"
	"errors"
	"fmt"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/visits/accumulate"
	"github.com/throughline-dev/throughline/services/visits/collect"
)

// Service is the visits service.
type Service struct {
	settings   Settings
	collect    *stage.Stage
	accumulate *stage.Stage
	collected  *collect.Stats
	totals     *accumulate.Stats
}

// New builds the service and starts nothing.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Settings == nil {
		return nil, errors.New("visits: no settings given")
	}
	if deps.Clock == nil {
		deps.Clock = stage.SystemClock{}
	}
	s := &Service{settings: deps.Settings, collected: &collect.Stats{}, totals: &accumulate.Stats{}}
	if err := observe(deps.Meter, s); err != nil {
		return nil, err
	}
	stageDeps := stage.Deps{
		Broker: deps.Broker, Logger: deps.Logger, Clock: deps.Clock, Tracer: deps.Tracer, Meter: deps.Meter,
		DeadLetter: deps.DeadLetter,
	}
	rules := ruleBook{settings: deps.Settings, remember: cfg.Collect.Remember}
	var err error
	s.collect, err = stage.NewPipeline(cfg.Activities, stageDeps, func(_ stage.Partition, state *stage.Table) (stage.Processor, error) {
		return collect.New(cfg.Collect, collect.Deps{Rules: rules, Erasures: rules, Stats: s.collected, Now: deps.Clock.Now()}, state)
	})
	if err != nil {
		return nil, fmt.Errorf("visits: %w", err)
	}
	s.accumulate, err = stage.NewPipeline(cfg.Visits, stageDeps, func(_ stage.Partition, state *stage.Table) (stage.Processor, error) {
		return accumulate.New(cfg.Totals, s.totals, state).Erasing(rules, deps.Clock.Now()), nil
	})
	if err != nil {
		return nil, fmt.Errorf("visits: %w", err)
	}
	return s, nil
}

// Run works until ctx ends, and returns once everything in flight is settled. The totals stop last, so that the visits
// sent while stopping still find them at work.
func (s *Service) Run(ctx context.Context) error {
	totalsCtx, stopTotals := context.WithCancel(context.WithoutCancel(ctx))
	defer stopTotals()
	collectCtx, stopCollect := context.WithCancel(ctx)
	defer stopCollect()

	totalsDone := make(chan error, 1)
	go func() {
		err := s.accumulate.Run(totalsCtx)
		if err != nil {
			stopCollect()
		}
		totalsDone <- err
	}()
	err := s.collect.Run(collectCtx)
	stopTotals()
	return errors.Join(err, <-totalsDone)
}

// Ready returns nil when both stages work, or why one does not.
func (s *Service) Ready() error {
	if s.settings.View() == nil {
		return errNoSettings
	}
	return errors.Join(s.collect.Ready(), s.accumulate.Ready())
}

// Stats is what the service did since it started. A batch that is repeated after a failure counts again.
type Stats struct {
	// Activities counts the records of tl.activities.v1, Visits those of tl.visits.v1.
	Activities, Visits stage.Stats
	// Opened and Closed visits; one that is reopened is closed again.
	Opened, Closed int64
	// Anonymous visits ended with nobody known.
	Anonymous int64
	// Moved visits went from one person to another.
	Moved int64
	// Repeated activities had no effect.
	Repeated int64
	// Erased activities and visits went no further because their person was erased.
	Erased int64
	// Engagements are the revisions sent.
	Engagements int64
	// Coalesced revisions of open visits were told on by a later one.
	Coalesced int64
}

// Stats counts since the start.
func (s *Service) Stats() Stats {
	return Stats{
		Activities:  s.collect.Stats(),
		Visits:      s.accumulate.Stats(),
		Opened:      s.collected.Opened.Load(),
		Closed:      s.collected.Closed.Load(),
		Anonymous:   s.collected.Anonymous.Load(),
		Moved:       s.collected.Moved.Load(),
		Repeated:    s.collected.Repeated.Load(),
		Erased:      s.collected.Erased.Load() + s.totals.Erased.Load(),
		Engagements: s.totals.Sent.Load(),
		Coalesced:   s.totals.Coalesced.Load(),
	}
}
