package sync_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/sync"
	"github.com/throughline-dev/throughline/services/sync/changes"
	"github.com/throughline-dev/throughline/services/sync/reports"
)

// nobody is an Orgs without any.
type nobody struct{ changes.Orgs }

func (nobody) Tokens(string, string) (salesforce.TokenSource, error) { return nil, context.Canceled }

// nowhere takes what nobody publishes.
type nowhere struct{}

func (nowhere) Publish(context.Context, ...stage.Message) error { return nil }

// noRuns is a config service without anything to run.
type noRuns struct {
	configv1.ReportRunServiceClient
}

func (noRuns) ClaimReportRun(context.Context, *configv1.ClaimReportRunRequest, ...grpc.CallOption) (*configv1.ClaimReportRunResponse, error) {
	return &configv1.ClaimReportRunResponse{}, nil
}

func TestServiceRunsItsComponents(t *testing.T) {
	t.Parallel()
	broker := stagetest.NewBroker()
	for _, name := range []string{topic.Changes, topic.ChangesState, topic.Rows, topic.RowsState, topic.DeadLetters} {
		broker.Create(name, 1)
	}
	cfg := sync.DefaultConfig()
	require.NoError(t, cfg.Validate())
	settings := settingstest.New(t).Workspace("acme").Source()
	s, err := sync.New(cfg, sync.Deps{
		Changes: changes.Deps{Broker: broker, Partitioner: broker, Settings: settings, Orgs: nobody{}},
		Reports: reports.Deps{
			Broker: broker, Publisher: nowhere{}, Settings: settings, Orgs: nobody{}, Runs: noRuns{},
			Behind: func(context.Context, string, string) (int64, error) { return 0, nil },
		},
	})
	require.NoError(t, err)
	require.Error(t, s.Ready(), "it does not run yet")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	require.Eventually(t, func() bool { return s.Ready() == nil }, time.Minute, time.Millisecond)
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
