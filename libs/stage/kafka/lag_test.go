package kafka_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
)

// Whoever puts a record off writes it to its topic again, and settles it then. However that falls between the questions for an end and
// for what is settled, the record is behind.
func TestARecordThatIsPutOffMeanwhileIsBehind(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	client, err := kafka.New(kafka.DefaultConfig(cluster.ListenAddrs()...), kafka.Deps{})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	again := stage.Message{Topic: "t", Key: []byte("k"), Value: []byte("waits")}
	require.NoError(t, client.Publish(t.Context(), again))

	waiting, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.DisableAutoCommit())
	require.NoError(t, err)
	t.Cleanup(waiting.Close)
	taken := waiting.PollRecords(t.Context(), 1).Records()
	require.Len(t, taken, 1)
	putOff := func() {
		require.NoError(t, waiting.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: again.Value}).FirstErr())
		require.NoError(t, waiting.CommitRecords(t.Context(), taken...))
	}
	first, between := int16(-1), false
	for _, question := range []kmsg.Request{kmsg.NewPtrListOffsetsRequest(), kmsg.NewPtrOffsetFetchRequest()} {
		cluster.ControlKey(question.Key(), func(r kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			if first < 0 {
				first = r.Key()
			}
			if r.Key() != first && !between {
				between = true
				cluster.SleepControl(putOff)
			}
			return nil, nil, false
		})
	}
	lags, err := client.Lag(t.Context(), "g", "t")
	require.NoError(t, err)
	require.True(t, between)
	require.Positive(t, lags[0].Records())
}
