package writer_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/internal/replay"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/internal/trace"
	"github.com/throughline-dev/throughline/services/simulator"
)

// Scan lets a replay read the dead letters of the broker in memory.
func (b *simBundle) Scan(_ context.Context, s trace.Scan) error {
	records := b.broker.Records(s.Topic)
	if s.Began != nil {
		ranges := map[int]stage.OffsetRange{}
		for _, r := range records {
			ranges[r.Partition] = stage.OffsetRange{End: r.Offset + 1}
		}
		s.Began(ranges)
	}
	for _, r := range records {
		if !s.Visit(r) {
			break
		}
	}
	return nil
}

// Publish takes what is replayed.
func (b *simBundle) Publish(ctx context.Context, messages ...stage.Message) error {
	return b.broker.Produce(ctx, stage.ProduceBatch{Source: "replay", Messages: messages})
}

func (b *simBundle) replay(out replay.Publisher) *replay.Report {
	b.t.Helper()
	r := &replay.Replayer{Log: b, Opener: b.build.Installation(), Publisher: out, Rate: 1e9}
	report, err := r.Run(b.t.Context(), replay.Filter{Workspace: "acme", Connection: "main", Stage: "writer", Reason: "SF_VALIDATION"})
	require.NoError(b.t, err)
	return report
}

func (b *simBundle) tasks() int {
	b.t.Helper()
	found, err := b.org.Query(b.t.Context(), "SELECT Id FROM Task")
	require.NoError(b.t, err)
	return len(found)
}

// settledWrites waits until the writer has done with the first n records of its topic.
func (b *simBundle) settledWrites(n int64) {
	b.t.Helper()
	b.eventually(func() bool { return b.broker.Committed("tl-writer") >= n }, "the writer has read everything")
}

// Promise 3: a failed write that is replayed is attempted anew, one that has succeeded is not.
func TestAReplayedWriteHappensOnce(t *testing.T) {
	t.Parallel()
	b := setupSimulator(t)
	_, stop := b.start()
	defer stop()
	_, err := b.sim.AddFaults(simulator.Fault{
		Org: "main", Object: "Task", Action: "row_error", Code: "FIELD_CUSTOM_VALIDATION_EXCEPTION", Message: "a Task needs a due date",
	})
	require.NoError(t, err)
	row := b.row("row", 1)
	b.send(b.task("a", b.leads[0]), b.task("b", b.leads[1]), row)
	b.ended(3)
	require.Equal(t, map[string]string{"a/1": "FAILED SF_VALIDATION", "b/1": "FAILED SF_VALIDATION", "row/1": "WRITTEN"}, b.final())
	b.settledWrites(3)
	require.Zero(t, b.tasks())

	dry := b.replay(nil)
	require.Equal(t, []replay.Count{{Stage: "writer", Reason: "SF_VALIDATION", Count: 2}}, dry.Counts)
	require.Len(t, b.broker.Records(topic.Writes), 3, "a dry run changes nothing")

	b.sim.RemoveFaults("")
	require.Equal(t, 2, b.replay(b).Replayed)
	b.settledWrites(5)
	require.Equal(t, 2, b.tasks())
	require.Equal(t, map[string]string{"a/1": "WRITTEN", "b/1": "WRITTEN", "row/1": "WRITTEN"}, b.final())

	require.Equal(t, 2, b.replay(b).Replayed, "dead letters stay where they are")
	b.settledWrites(7)
	require.Equal(t, 2, b.tasks(), "the ledger knows them")
	require.Len(t, b.broker.Records(topic.DeadLetters), 2)
}
