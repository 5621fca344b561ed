package stagetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
)

// DrainCheck describes a stage to check with VerifyDrain.
type DrainCheck struct {
	// Broker holds Topic with records to handle.
	Broker *Broker
	Topic  string
	// Group is the stage's consumer group.
	Group string
	// New builds the stage. It is called for every run.
	New func() (*stage.Stage, error)
}

// VerifyDrain stops a stage in the middle of its work and starts it again, several times, until all records are handled.
// After every stop, what the stage has counted must be what it has committed: nothing handled was left behind, nothing
// was committed that was not handled. In the end every record was handled exactly once.
func VerifyDrain(t testing.TB, c DrainCheck) {
	t.Helper()
	total := int64(len(c.Broker.Records(c.Topic)))
	require.Positive(t, total, "no records to handle")
	var handled int64
	for handled < total {
		s, err := c.New()
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		goal := min(total-handled, max(1, total/5))
		require.Eventually(t, func() bool { return s.Stats().In >= goal }, 2*time.Minute, time.Millisecond,
			"the stage makes no progress")
		stop()
		require.NoError(t, <-done)
		handled += s.Stats().In
		require.Equal(t, handled, c.Broker.Committed(c.Group), "handled and committed records differ after a stop")
	}
	require.Equal(t, total, handled, "records were handled more than once though every stop was clean")
}
