package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/identity/directory"
	"github.com/throughline-dev/throughline/services/identity/follow"
	"github.com/throughline-dev/throughline/services/identity/resolve"
)

// Service is the identity service.
type Service struct {
	settings  Settings
	resolve   *stage.Stage
	retry     *stage.Stage
	directory *directory.Salesforce
	stats     *resolve.Stats
	// follower keeps the directory fresh; nil without Deps.Topics.
	follower *follow.Follower
}

// clients adapts Orgs to what the directory needs.
type clients struct{ Orgs }

// Org implements directory.Orgs.
func (c clients) Org(workspace, connection string) (directory.Org, error) {
	client, err := c.Client(workspace, connection)
	if err != nil {
		return nil, err
	}
	return client, nil
}

// New builds the service and starts nothing.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Settings == nil || deps.Orgs == nil {
		return nil, errors.New("identity: settings and orgs are required")
	}
	if deps.Clock == nil {
		deps.Clock = stage.SystemClock{}
	}
	s := &Service{
		settings:  deps.Settings,
		directory: directory.New(cfg.Directory, clients{deps.Orgs}, deps.Clock),
		stats:     &resolve.Stats{},
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Topics != nil {
		s.follower = follow.New(cfg.Changes, deps.Topics, s.directory, deps.Logger)
	}
	if err := observe(deps.Meter, s); err != nil {
		return nil, err
	}
	stageDeps := stage.Deps{
		Broker: deps.Broker, Logger: deps.Logger, Clock: deps.Clock, Tracer: deps.Tracer, Meter: deps.Meter,
		DeadLetter: deps.DeadLetter,
	}
	resolveDeps := resolve.Deps{Settings: deps.Settings, Directory: s.directory, Clock: deps.Clock, Stats: s.stats, Forget: s.directory.Forget}
	var err error
	s.resolve, err = stage.NewPipeline(cfg.Engagements, stageDeps, func(stage.Partition, *stage.Table) (stage.Processor, error) {
		return resolve.NewProcessor(cfg.Retry, resolveDeps), nil
	})
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	s.retry, err = stage.NewSink(cfg.Unresolved, stageDeps, func(_ stage.Partition, _ *stage.Table, port stage.Port) (stage.SinkHandler, error) {
		return resolve.NewRetrier(cfg.Retry, resolveDeps, port), nil
	})
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return s, nil
}

// Run works until ctx ends, and returns once everything in flight is settled.
func (s *Service) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	if s.follower != nil {
		following.Go(func() { s.follower.Run(ctx) })
	}
	retryDone := make(chan error, 1)
	go func() {
		defer cancel()
		retryDone <- s.retry.Run(ctx)
	}()
	err := s.resolve.Run(ctx)
	cancel()
	return errors.Join(err, <-retryDone)
}

// Ready returns nil when both stages work, or why one does not. An org in trouble does not make the service unready.
func (s *Service) Ready() error {
	if s.settings.View() == nil {
		return errors.New("identity: waiting for the first settings from config")
	}
	var following error
	if s.follower != nil {
		following = s.follower.Ready()
	}
	return errors.Join(s.resolve.Ready(), s.retry.Ready(), following)
}

// Stats is what the service did since it started. A batch that is repeated after a failure counts again.
type Stats struct {
	// Engagements counts the records of tl.engagements.v1, Retried those of the unresolved topic.
	Engagements, Retried stage.Stats
	// Resolved messages sent.
	Resolved int64
	// Unresolved engagements were put off, each time anew; GivenUp for good.
	Unresolved, GivenUp int64
	// Unclaimed visits ended without any integration that takes them.
	Unclaimed int64
	// Erased engagements went no further because their person was erased.
	Erased int64
	// Queries sent to Salesforce; Failures of a batch's questions to one org.
	Queries, Failures int64
	// CacheHits and CacheMisses count addresses.
	CacheHits, CacheMisses int64
	// Changes read from tl.changes.v1, Panicked of them failed by a defect; Stale answers were remembered and had changed since.
	Changes, Panicked, Stale int64
	// QueriesPerThousand engagements resolved.
	QueriesPerThousand float64
}

// Stats counts since the start.
func (s *Service) Stats() Stats {
	d := s.directory.Stats()
	stats := Stats{
		Engagements: s.resolve.Stats(),
		Retried:     s.retry.Stats(),
		Resolved:    s.stats.Resolved.Load(),
		Unresolved:  s.stats.Unresolved.Load(),
		GivenUp:     s.stats.GivenUp.Load(),
		Unclaimed:   s.stats.Unclaimed.Load(),
		Erased:      s.stats.Erased.Load(),
		Queries:     d.Queries.Load(),
		Failures:    d.Failures.Load(),
		CacheHits:   d.Hits.Load(),
		CacheMisses: d.Misses.Load(),
		Stale:       d.Stale.Load(),
	}
	if s.follower != nil {
		stats.Changes, stats.Panicked = s.follower.Changes().Load(), s.follower.Panicked().Load()
	}
	if stats.Resolved > 0 {
		stats.QueriesPerThousand = float64(stats.Queries) / float64(stats.Resolved) * 1000
	}
	return stats
}
