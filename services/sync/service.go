package sync

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/throughline-dev/throughline/services/sync/changes"
	"github.com/throughline-dev/throughline/services/sync/reports"
)

// Deps is what code passes in: to each component its own.
type Deps struct {
	Changes changes.Deps
	Reports reports.Deps
}

// component is one part of the service.
type component interface {
	// Run works until ctx ends, and returns once everything in flight is settled.
	Run(ctx context.Context) error
	// Ready returns nil when the component works, or why it does not.
	Ready() error
}

// Service is the sync service.
type Service struct{ components []component }

// New builds the service and starts nothing.
func New(cfg Config, deps Deps) (*Service, error) {
	watch, err := changes.New(cfg.Changes, deps.Changes)
	if err != nil {
		return nil, fmt.Errorf("sync: %w", err)
	}
	pushing, err := reports.New(cfg.Reports, deps.Reports)
	if err != nil {
		return nil, fmt.Errorf("sync: %w", err)
	}
	return &Service{components: []component{watch, pushing}}, nil
}

// Run works until ctx ends, or until a component cannot work at all.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, c := range s.components {
		g.Go(func() error { return c.Run(ctx) })
	}
	return g.Wait()
}

// Ready returns nil when every component works.
func (s *Service) Ready() error {
	var errs []error
	for _, c := range s.components {
		errs = append(errs, c.Ready())
	}
	return errors.Join(errs...)
}
