package stage

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/throughline-dev/throughline/libs/stage/internal/fault"
)

// Stage is one step of a pipeline, built by NewPipeline or NewSink and run by Run. One process may run many.
type Stage struct {
	cfg     Config
	deps    Deps
	tel     *telemetry
	newWork func(p *part) worker

	mu      sync.Mutex
	running bool
	// joined is why there is no assignment, nil while there is one.
	joined error
	parts  map[int]*part
	totals counters
}

// worker handles the records of one partition for as long as it is assigned.
type worker interface {
	// start builds the handler on the restored state.
	start() error
	// run handles records until the assignment ends, and drains.
	run(ctx context.Context, f *fetcher)
}

// NewPipeline returns a stage that gives batches to a Processor per partition. It checks the configuration and starts
// nothing.
func NewPipeline(cfg Config, deps Deps, newProcessor NewProcessor) (*Stage, error) {
	return newStage(cfg, deps, func(p *part) worker { return &pipeline{part: p, newProcessor: newProcessor} })
}

// NewSink returns a stage whose SinkHandler settles records in any order. It checks the configuration and starts nothing.
func NewSink(cfg Config, deps Deps, newHandler NewSinkHandler) (*Stage, error) {
	return newStage(cfg, deps, func(p *part) worker { return &sink{part: p, newHandler: newHandler} })
}

func newStage(cfg Config, deps Deps, newWork func(*part) worker) (*Stage, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Broker == nil {
		return nil, fmt.Errorf("stage %q: no broker given", cfg.Name)
	}
	if deps.DeadLetter == nil && cfg.DeadLetterTopic == "" {
		return nil, fmt.Errorf("stage %q: dead_letter_topic is missing", cfg.Name)
	}
	s := &Stage{
		cfg:     cfg,
		deps:    deps.withDefaults(cfg),
		newWork: newWork,
		parts:   map[int]*part{},
		joined:  errors.New("not running"),
	}
	var err error
	if s.tel, err = newTelemetry(s); err != nil {
		return nil, fmt.Errorf("stage %q: metrics: %w", cfg.Name, err)
	}
	return s, nil
}

// Run works until ctx ends, then drains: batches in flight are finished, handlers drained, offsets committed, the group
// left, all within Config.DrainTimeout. It returns an error only for settings that can never work. Trouble with a broker
// or a record never ends it. Run may be called again after it has returned, not before.
func (s *Stage) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.running {
		s.mu.Unlock()
		return fmt.Errorf("stage %q is already running", s.cfg.Name)
	}
	s.running, s.joined = true, errors.New("waiting for the consumer group")
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running, s.joined = false, errors.New("not running")
		s.mu.Unlock()
	}()

	unregister, err := s.tel.observe(s)
	if err != nil {
		return fmt.Errorf("stage %q: metrics: %w", s.cfg.Name, err)
	}
	defer unregister()
	m := Membership{
		Group:            s.cfg.GroupID(),
		Topic:            s.cfg.Topic,
		SessionTimeout:   s.cfg.SessionTimeout,
		RebalanceTimeout: s.cfg.DrainTimeout + s.cfg.SessionTimeout,
		State:            s.setJoined,
	}
	if s.cfg.StateTopic != "" {
		m.CoPartitioned = []string{s.cfg.StateTopic}
	}
	if err := s.deps.Broker.Consume(ctx, m, s.serve); err != nil {
		return fmt.Errorf("stage %q: %w", s.cfg.Name, err)
	}
	return nil
}

func (s *Stage) setJoined(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && (s.joined == nil || s.joined.Error() != err.Error()) {
		s.deps.Logger.Warn("waiting for the broker", "error", err)
	}
	s.joined = err
}

// serve works on one generation: a worker per partition, one committer for all.
func (s *Stage) serve(ctx context.Context, gen Generation) {
	ctx, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	c := newCommitter(gen, s, lose)
	assigned := gen.Assigned()
	parts := make([]*part, len(assigned))
	s.mu.Lock()
	for i, a := range assigned {
		parts[i] = newPart(s, a, c)
		parts[i].hook = fault.From(ctx)
		s.parts[a.Partition] = parts[i]
	}
	s.mu.Unlock()
	s.deps.Logger.Debug("partitions assigned", "partitions", len(assigned))

	var committing, working sync.WaitGroup
	committing.Go(func() { c.run(ctx) })
	for _, p := range parts {
		working.Go(func() { p.run(ctx) })
	}
	working.Wait()
	c.stop()
	committing.Wait()

	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range parts {
		delete(s.parts, p.id)
		s.totals.add(&p.counters)
	}
	if s.joined == nil {
		s.joined = errors.New("rebalancing")
	}
}
