package delivery_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/delivery"
	"github.com/throughline-dev/throughline/services/writer/internal/parking"
)

// alone sends every write in a request of its own, one after the other.
func alone(c *delivery.Config) {
	c.BatchRecords, c.MinBatchRecords, c.Linger, c.Parallelism = 1, 1, 0, 1
}

// TestBudget gives the org 80 calls a day, of which half are the connection's ceiling: 40.
func TestBudget(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-10")
	b := setup(t, alone)
	b.org.SetUsage(0, 80)
	sent := 0
	send := func(class streamv1.Priority, n int) (written, parked int) {
		t.Helper()
		before := b.outcomes()
		for range n {
			b.accept(b.upsert(write{key: fmt.Sprint("k", sent), change: func(w *streamv1.Write) { w.Priority = class }}))
			sent++
			b.settled(sent)
		}
		for key, outcome := range b.outcomes() {
			if before[key] != "" {
				continue
			}
			switch outcome {
			case "WRITTEN":
				written++
			case "PARKED BUDGET_EXHAUSTED":
				parked++
			default:
				t.Fatalf("%s ended as %s", key, outcome)
			}
		}
		return written, parked
	}

	written, parked := send(streamv1.Priority_PRIORITY_BULK, 40)
	require.Equal(t, 26, written, "its 12, and what others lend: half of interactive's 8 and of real time's 20 stay")
	require.Equal(t, 14, parked)
	written, parked = send(streamv1.Priority_PRIORITY_REAL_TIME, 15)
	require.Equal(t, 12, written, "what is left, but for the last 2 of interactive")
	require.Equal(t, 3, parked)
	written, parked = send(streamv1.Priority_PRIORITY_INTERACTIVE, 2)
	require.Equal(t, 2, written)
	require.Zero(t, parked)

	for _, m := range b.parked() {
		ticket, ok := parking.Of(&stage.Record{Headers: m.Headers})
		require.True(t, ok)
		require.Contains(t, []streamv1.Priority{streamv1.Priority_PRIORITY_BULK, streamv1.Priority_PRIORITY_REAL_TIME}, ticket.Class,
			"what is parked comes back when its class has calls again")
	}
}
