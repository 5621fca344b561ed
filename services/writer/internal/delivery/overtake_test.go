package delivery_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
)

// What the ledger must say before, and after, an older revision could go over a newer one (promise 4). The process may die at
// any of these moments, and the older revision come first.
func TestOlderRevisionsStayOut(t *testing.T) {
	t.Parallel()

	superseded := func(b *testBundle, w *streamv1.Write) bool {
		v, err := ledger.Decide(b.table, w)
		return err == nil && v.Step == ledger.Skip && v.Reason == streamv1.Reason_REASON_SUPERSEDED
	}

	t.Run("OfOneThatWasPendingWhenTheyCame", func(t *testing.T) {
		t.Parallel()
		b := setup(t, patient(200))
		older, newer := b.upsert(write{key: "k"}), b.upsert(write{key: "k", revision: 2})
		keptOut := make(chan bool, 1)
		b.org.Fault = func(orgtest.Request) *orgtest.Fault {
			keptOut <- superseded(b, older)
			return nil
		}
		b.accept(newer, older)
		b.clock.jump(b.cfg.Linger)
		b.accept(older)
		b.settled(3)
		require.True(t, <-keptOut, "before the newer one is sent")
		require.Equal(t, map[string]string{"k/1": "SKIPPED SUPERSEDED", "k/2": "WRITTEN"}, b.outcomes())
		require.Len(t, b.org.Requests(), 1)
	})

	t.Run("OfOneThatWasParkedInDoubt", func(t *testing.T) {
		t.Parallel()
		b := setup(t, hasty)
		b.org.Fault = first(1, orgtest.Fault{AfterCommit: true})
		older, newer, newest := b.upsert(write{key: "k"}), b.upsert(write{key: "k", revision: 2}), b.upsert(write{key: "k", revision: 3})
		b.accept(newer)
		b.settled(1)
		require.Equal(t, map[string]string{"k/2": "PARKED SF_UNAVAILABLE"}, b.outcomes())
		require.True(t, superseded(b, older), "the call may have come through")
		require.True(t, ledger.Awaited(b.table, newest), "it comes back")

		b.accept(newer)
		b.settled(2)
		require.Equal(t, "WRITTEN", b.outcomes()["k/2"], "the doubt does not keep itself out")
	})
}
