package delivery_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// replay hands over what a replay feeds: the write as it was, and the class that it is to be sent in.
func (b *testBundle) replay(w *streamv1.Write) {
	b.t.Helper()
	value, err := proto.Marshal(w)
	require.NoError(b.t, err)
	require.NoError(b.t, b.handler.Accept(b.t.Context(), stage.Record{
		Topic: topic.Writes, Offset: b.offset, Time: time.Now(), Value: value,
		Key:     topic.ConnectionKey(w.GetWorkspace(), w.GetConnection()),
		Headers: []stage.Header{{Key: topic.HeaderClass, Value: []byte(topic.ClassBulk)}},
	}))
	b.offset++
}

// TestAReplayTakesNoCallsFromWhatHappensNow gives the org 80 calls a day, of which 40 are the connection's: 12 are bulk's, and it
// borrows 14.
func TestAReplayTakesNoCallsFromWhatHappensNow(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-7")
	t.Attr("requirement", "XC-10")
	b := setup(t, alone)
	b.org.SetUsage(0, 80)
	for i := range 40 { // to-dos of the real-time class, given up once
		b.replay(b.upsert(write{key: fmt.Sprint("again", i)}))
		b.settled(i + 1)
	}
	ended := map[string]int{}
	for _, outcome := range b.outcomes() {
		ended[outcome]++
	}
	require.Equal(t, map[string]int{"WRITTEN": 26, "PARKED BUDGET_EXHAUSTED": 14}, ended)
	for i := range 12 {
		b.accept(b.upsert(write{key: fmt.Sprint("now", i)}))
		b.settled(41 + i)
	}
	for i := range 12 {
		require.Equal(t, "WRITTEN", b.outcomes()[fmt.Sprintf("now%d/1", i)], "there are calls for what happens now")
	}
	for _, m := range b.parked() {
		parked := stage.Record{Headers: m.Headers}
		require.Equal(t, topic.ClassBulk, string(parked.Header(topic.HeaderClass)), "it comes back in the same class")
	}
}
