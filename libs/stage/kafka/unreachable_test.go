package kafka_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/addrtest"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/libs/stage/kafka/kafkatest"
)

func TestThatNoBrokerAnswersIsSaidWithItsAddress(t *testing.T) {
	t.Parallel()
	address := addrtest.Free(t)
	client, err := kafka.New(kafkatest.Patient(address), kafka.Deps{})
	require.NoError(t, err)
	t.Cleanup(client.Close)

	for name, err := range map[string]error{
		"looking up": func() error { _, err := client.Lag(t.Context(), "group", "topic"); return err }(),
		"creating":   client.EnsureTopics(t.Context(), kafka.TopicSpec{Name: "topic", Partitions: 1, ReplicationFactor: 1}),
		"deleting":   client.DeleteTopics(t.Context(), "topic"),
		"letting":    client.EnsureACLs(t.Context(), kafka.ACL{Principal: "User:x", Operation: "Read", ResourceType: "Topic", Name: "t"}),
	} {
		require.ErrorContains(t, err, "no broker answers at "+address, name)
		require.NotContains(t, err.Error(), "kafka.(*Client)", name)
		require.NotContains(t, err.Error(), "not a client facing error", name)
	}
}
