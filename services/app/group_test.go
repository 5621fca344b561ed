package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// journal records what happened, in order.
type journal struct {
	mu     sync.Mutex
	events []string
}

func (j *journal) add(event string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, event)
}

type fakeService struct {
	name    string
	journal *journal
	started chan struct{}
	fail    chan error
	ready   error
	hang    bool
}

func (s *fakeService) Run(ctx context.Context) error {
	close(s.started)
	select {
	case <-ctx.Done():
		if s.hang {
			select {}
		}
		s.journal.add("stop " + s.name)
		return nil
	case err := <-s.fail:
		return err
	}
}

func (s *fakeService) Ready() error { return s.ready }

type groupBundle struct {
	group    *group
	journal  *journal
	services map[string]*fakeService
}

func setupGroup(names ...string) *groupBundle {
	b := &groupBundle{
		journal: &journal{}, services: map[string]*fakeService{},
		group: &group{stopTimeout: time.Minute, logger: slog.New(slog.DiscardHandler)},
	}
	for _, name := range names {
		s := &fakeService{name: name, journal: b.journal, started: make(chan struct{}), fail: make(chan error, 1)}
		b.services[name] = s
		b.group.members = append(b.group.members, member{name, s})
	}
	return b
}

func TestGroup(t *testing.T) {
	t.Parallel()

	t.Run("StopsFromTheBeginningOfTheFlow", func(t *testing.T) {
		t.Parallel()
		b := setupGroup("writer", "mapping", "ingest")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.group.run(ctx) }()
		for _, s := range b.services {
			<-s.started
		}
		cancel()
		require.NoError(t, <-done)
		require.Equal(t, []string{"stop ingest", "stop mapping", "stop writer"}, b.journal.events)
	})

	t.Run("OneFailureStopsAllAndIsNamed", func(t *testing.T) {
		t.Parallel()
		b := setupGroup("writer", "ingest")
		b.services["writer"].fail <- errors.New("disk is gone")
		err := b.group.run(t.Context())
		require.ErrorContains(t, err, "writer: disk is gone")
		require.Equal(t, []string{"stop ingest"}, b.journal.events)
	})

	t.Run("AServiceThatDoesNotDrainIsNamed", func(t *testing.T) {
		t.Parallel()
		b := setupGroup("writer", "ingest")
		b.group.stopTimeout = time.Millisecond
		b.services["ingest"].hang = true
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorContains(t, b.group.run(ctx), "ingest did not drain")
	})

	t.Run("ReadyNamesEveryServiceThatIsNot", func(t *testing.T) {
		t.Parallel()
		b := setupGroup("writer", "mapping", "ingest")
		require.NoError(t, b.group.ready())
		b.services["mapping"].ready = errors.New("no settings yet")
		require.ErrorContains(t, b.group.ready(), "mapping: no settings yet")
	})
}
