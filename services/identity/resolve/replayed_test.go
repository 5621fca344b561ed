package resolve_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// A replay's wishes go along with what it feeds: those for later stages to them, that for this one back to it.
func TestWhatAReplayAsksGoesAlong(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-7")
	b := setup(t)
	rec := b.record()
	rec.Headers = append(rec.Headers,
		stage.Header{Key: topic.HeaderRemap, Value: []byte("=task/k")}, stage.Header{Key: topic.HeaderClass, Value: []byte(topic.ClassBulk)},
		stage.Header{Key: topic.HeaderAnew, Value: []byte("1")})
	for _, m := range b.process(rec).Messages() {
		sent := stage.Record{Headers: m.Headers}
		require.Equal(t, "=task/k", string(sent.Header(topic.HeaderRemap)), m.Topic)
		require.Equal(t, topic.ClassBulk, string(sent.Header(topic.HeaderClass)), m.Topic)
		require.Equal(t, m.Topic == topic.Unresolved, sent.Header(topic.HeaderAnew) != nil, m.Topic)
	}
	for _, m := range b.process(b.record()).Messages() {
		require.Empty(t, m.Headers)
	}
}
