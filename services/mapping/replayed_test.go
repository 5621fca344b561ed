package mapping

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

func TestWritesOfAReplayAreOfTheClassThatItAsksFor(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-7")
	b := setup(t)
	rec := b.record(t, integrationtest.Document())
	rec.Headers = append(rec.Headers, stage.Header{Key: topic.HeaderClass, Value: []byte(topic.ClassBulk)})
	out := b.driver.Process(rec)
	writes := 0
	for _, m := range out.Messages() {
		if m.Topic == topic.Writes {
			writes++
			sent := stage.Record{Headers: m.Headers}
			require.Equal(t, topic.ClassBulk, string(sent.Header(topic.HeaderClass)))
		}
	}
	require.Positive(t, writes)
}
