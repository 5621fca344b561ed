package sync_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/sync"
	"github.com/throughline-dev/throughline/services/sync/changes"
)

// nobody is an Orgs without any.
type nobody struct{ changes.Orgs }

func (nobody) Tokens(string, string) (salesforce.TokenSource, error) { return nil, context.Canceled }

func TestServiceRunsItsComponents(t *testing.T) {
	t.Parallel()
	broker := stagetest.NewBroker()
	for _, name := range []string{topic.Changes, topic.ChangesState, topic.DeadLetters} {
		broker.Create(name, 1)
	}
	cfg := sync.DefaultConfig()
	require.NoError(t, cfg.Validate())
	s, err := sync.New(cfg, sync.Deps{Changes: changes.Deps{
		Broker: broker, Partitioner: broker, Settings: settingstest.New(t).Workspace("acme").Source(), Orgs: nobody{},
	}})
	require.NoError(t, err)
	require.Error(t, s.Ready(), "it does not run yet")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	require.Eventually(t, func() bool { return s.Ready() == nil }, 20*time.Second, time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}

func TestConfigNamesTheKey(t *testing.T) {
	t.Parallel()
	cfg := sync.DefaultConfig()
	cfg.Changes.Refresh = 0
	require.ErrorContains(t, cfg.Validate(), "changes: refresh")
	_, err := sync.New(cfg, sync.Deps{})
	require.ErrorContains(t, err, "refresh")
}
