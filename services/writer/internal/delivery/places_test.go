package delivery_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/writer/internal/delivery"
)

// heldPort publishes nothing before release is closed, and tells of every attempt.
type heldPort struct {
	stage.Port
	entered chan struct{}
	release chan struct{}
}

func (p *heldPort) Publish(ctx context.Context, messages ...stage.Message) error {
	p.entered <- struct{}{}
	<-p.release
	return p.Port.Publish(ctx, messages...)
}

func TestSavingOutcomesHoldsNoPlaceForRequestsButIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *delivery.Config) { c.BatchRecords, c.MinBatchRecords = 1, 1 })
	held := &heldPort{entered: make(chan struct{}, 8), release: make(chan struct{})}
	release := sync.OnceFunc(func() { close(held.release) })
	b.wrap = func(p stage.Port) stage.Port { held.Port = p; return held }
	b.restart()
	t.Cleanup(release) // before the handler is drained
	for _, key := range []string{"a", "b", "c", "d"} {
		b.accept(b.upsert(write{key: key, connection: "narrow"}))
	}
	<-held.entered
	<-held.entered // the second was sent, and answered, while the outcome of the first is not out
	require.Len(t, b.org.Requests(), 2, "a third waits until one is saved (promise 7)")
	require.Empty(t, b.port.Settled(), "promise 2")
	release()
	b.settled(4)
	require.Equal(t, 1, b.org.Peak())
	require.Empty(t, b.org.Problems())
}
