package config_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/outcome"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

const deadLetters = "dead"

// setupRunLog runs a service that reads outcomes from a broker in memory.
func setupRunLog(t *testing.T) (*testBundle, *stagetest.Broker) {
	t.Helper()
	broker := stagetest.NewBroker()
	broker.Create(topic.Outcomes, 2)
	broker.Create(deadLetters, 1)
	b := prepare(t)
	b.deps.Broker = broker
	b.cfg.RunLog.Stage.BatchWait = 5 * time.Millisecond
	b.cfg.RunLog.Stage.DeadLetterTopic = deadLetters
	b.start(t)
	return b, broker
}

// setupOutcomes is setupRunLog with the workspaces that outcomes are of.
func setupOutcomes(t *testing.T) (*testBundle, *stagetest.Broker) {
	t.Helper()
	b, broker := setupRunLog(t)
	for _, id := range []string{"acme", "globex"} {
		b.workspace(t, id)
	}
	return b, broker
}

func written(workspace string, n int) *streamv1.Outcome {
	return &streamv1.Outcome{
		Workspace: workspace, Status: streamv1.Status_STATUS_WRITTEN, Stage: "writer",
		EventId: fmt.Sprintf("event-%d", n), VisitId: "visit", EngagementId: "engagement", WriteKey: fmt.Sprintf("write-%d", n),
		RecordId: fmt.Sprintf("00T%015d", n), DecidedAt: timestamppb.New(epoch.Add(time.Duration(n) * time.Second)),
	}
}

func record(t *testing.T, o *streamv1.Outcome) stage.Record {
	t.Helper()
	m, err := outcome.Message(o, "")
	require.NoError(t, err)
	return stage.Record{Topic: m.Topic, Key: m.Key, Value: m.Value, Time: m.Time}
}

// awaitCount waits until the workspace has n outcomes.
func (b *testBundle) awaitCount(t *testing.T, workspace string, n int64) {
	t.Helper()
	require.Eventually(t, func() bool {
		resp, err := b.service.CountOutcomes(t.Context(), &configv1.CountOutcomesRequest{Workspace: workspace})
		require.NoError(t, err)
		var total int64
		for _, c := range resp.GetCounts() {
			total += c.GetCount()
		}
		return total == n
	}, time.Minute, 5*time.Millisecond)
}

func TestOutcomes(t *testing.T) {
	t.Parallel()

	t.Run("AreFoundByWhatTheyAreAbout", func(t *testing.T) {
		t.Parallel()
		b, broker := setupOutcomes(t)
		for n := range 10 {
			broker.Append(topic.Outcomes, n%2, record(t, written("acme", n)), record(t, written("globex", n)))
		}
		b.awaitCount(t, "acme", 10)
		b.awaitCount(t, "globex", 10)
		resp, err := b.service.ListOutcomes(t.Context(), &configv1.ListOutcomesRequest{Workspace: "acme", EventId: "event-3"})
		require.NoError(t, err)
		require.Len(t, resp.GetOutcomes(), 1)
		want := written("acme", 3)
		want.OutcomeId = resp.GetOutcomes()[0].GetOutcomeId()
		require.True(t, proto.Equal(want, resp.GetOutcomes()[0]))
		resp, err = b.service.ListOutcomes(t.Context(), &configv1.ListOutcomesRequest{
			Workspace: "acme", From: timestamppb.New(epoch.Add(8 * time.Second)),
		})
		require.NoError(t, err)
		require.Len(t, resp.GetOutcomes(), 2)
	})

	t.Run("CountOnceHoweverOftenTheyCome", func(t *testing.T) {
		t.Parallel()
		b, broker := setupOutcomes(t)
		for range 3 {
			for n := range 5 {
				broker.Append(topic.Outcomes, 0, record(t, written("acme", n)))
			}
		}
		broker.Append(topic.Outcomes, 0, record(t, written("acme", 99)))
		b.awaitCount(t, "acme", 6)
	})

	t.Run("ComeInPages", func(t *testing.T) {
		t.Parallel()
		b, broker := setupOutcomes(t)
		for n := range 25 {
			broker.Append(topic.Outcomes, 0, record(t, written("acme", n)))
		}
		b.awaitCount(t, "acme", 25)
		req := &configv1.ListOutcomesRequest{Workspace: "acme", VisitId: "visit", PageSize: 10}
		var seen []string
		for {
			resp, err := b.service.ListOutcomes(t.Context(), req)
			require.NoError(t, err)
			for _, o := range resp.GetOutcomes() {
				seen = append(seen, o.GetEventId())
			}
			if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
				break
			}
			other := proto.CloneOf(req)
			other.VisitId = "another"
			_, err = b.service.ListOutcomes(t.Context(), other)
			require.Equal(t, []string{"page_token"}, fieldsOf(t, err))
		}
		require.Len(t, seen, 25)
		require.Equal(t, "event-24", seen[0])
		require.Equal(t, "event-0", seen[24])
	})

	t.Run("NeedAFilter", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.workspace(t, "acme")
		for _, req := range []*configv1.ListOutcomesRequest{
			{Workspace: "acme"},
			{Workspace: "acme", PageSize: 5},
			{Workspace: "acme", EventId: "x", PageSize: 1001},
			{Workspace: "acme", EventId: "x", PageToken: "zzz"},
		} {
			_, err := b.service.ListOutcomes(t.Context(), req)
			require.Equal(t, codes.InvalidArgument, status.Code(err))
		}
	})

	t.Run("ThatAreNoneBecomeDeadLetters", func(t *testing.T) {
		t.Parallel()
		b, broker := setupOutcomes(t)
		broker.Append(topic.Outcomes, 0, stage.Record{Value: []byte("garbage")}, record(t, written("acme", 1)))
		b.awaitCount(t, "acme", 1)
		require.Eventually(t, func() bool { return len(broker.Records(deadLetters)) == 1 }, time.Minute, time.Millisecond)
		require.Equal(t, "garbage", string(broker.Records(deadLetters)[0].Value))
	})
}
