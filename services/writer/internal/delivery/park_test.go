package delivery_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// narrowPort takes small messages to the parked topic only.
type narrowPort struct{ stage.Port }

func (p narrowPort) Publish(ctx context.Context, messages ...stage.Message) error {
	for _, m := range messages {
		if m.Topic == topic.Parked && len(m.Value) > 2000 {
			return stage.Permanent(stage.ReasonTooLarge, errors.New("a message is larger than the topic accepts"))
		}
	}
	return p.Port.Publish(ctx, messages...)
}

func TestAWriteThatIsTooLargeToBeParkedFailsAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.wrap = func(p stage.Port) stage.Port { return narrowPort{p} }
	b.restart()
	large := map[string]any{"Note__c": strings.Repeat("x", 3000)}
	b.accept(
		b.upsert(write{key: "a", connection: "paused"}), b.upsert(write{key: "b", connection: "paused"}),
		b.upsert(write{key: "large", connection: "paused", fields: large}), b.upsert(write{key: "c", connection: "paused"}),
	)
	b.settled(4)
	require.Equal(t, map[string]string{
		"a/1": "PARKED SF_UNAVAILABLE", "b/1": "PARKED SF_UNAVAILABLE", "c/1": "PARKED SF_UNAVAILABLE", "large/1": "FAILED TOO_LARGE",
	}, b.outcomes())
	require.Len(t, b.port.DeadLetters(), 1)
	require.EqualValues(t, 2, b.port.DeadLetters()[0].Record.Offset)
}
