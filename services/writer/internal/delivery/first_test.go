package delivery_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	statev1 "github.com/throughline-dev/throughline/proto/throughline/state/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/delivery"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
)

func once(w *streamv1.Write) { w.Once = true }

// hasty parks a write after the first request that met passing trouble.
func hasty(c *delivery.Config) { c.Attempts = 1 }

func TestTheFirstRevisionOfARecordThatIsMadeOnceWins(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(b *testBundle, revision int64) *streamv1.Write{
		"Insert": func(b *testBundle, revision int64) *streamv1.Write {
			return b.insert(write{key: "k", who: "1", revision: revision})
		},
		"Upsert": func(b *testBundle, revision int64) *streamv1.Write {
			return b.upsert(write{key: "k", revision: revision, change: once})
		},
	} {
		t.Run(name+"AlsoWhenItWasParked", func(t *testing.T) {
			t.Parallel()
			t.Attr("requirement", "XC-3")
			b := setup(t, hasty)
			var calls atomic.Int64
			b.org.Fault = func(orgtest.Request) *orgtest.Fault {
				if calls.Add(1) == 1 {
					return &orgtest.Fault{Status: 403, Body: apiError("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded.")}
				}
				return nil
			}
			b.accept(make(b, 3))
			b.settled(1)
			require.Contains(t, b.outcomes()["k/3"], "PARKED")
			b.accept(make(b, 5))
			b.settled(2)
			require.Equal(t, "SKIPPED DUPLICATE_EVENT", b.outcomes()["k/5"])
			b.accept(make(b, 3))
			b.settled(3)
			require.Equal(t, "WRITTEN", b.outcomes()["k/3"])
			require.Equal(t, 1, b.table.Len(), "the reservation is given back")
			b.accept(make(b, 7))
			b.settled(4)
			require.Equal(t, "SKIPPED DUPLICATE_EVENT", b.outcomes()["k/7"])
		})
	}

	t.Run("ButNotAfterItHasFailed", func(t *testing.T) {
		t.Parallel()
		b := setup(t, hasty)
		var calls atomic.Int64
		b.org.Fault = func(orgtest.Request) *orgtest.Fault {
			if calls.Add(1) == 1 {
				return &orgtest.Fault{Status: 403, Body: apiError("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded.")}
			}
			return nil
		}
		b.org.Refuse = func(r map[string]any) (string, string) {
			if r["Rev__c"] == 3.0 {
				return "FIELD_CUSTOM_VALIDATION_EXCEPTION", "no"
			}
			return "", ""
		}
		b.accept(b.insert(write{key: "k", who: "1", revision: 3}))
		b.settled(1)
		b.accept(b.insert(write{key: "k", who: "1", revision: 3}))
		b.settled(2)
		require.Equal(t, "FAILED SF_VALIDATION", b.outcomes()["k/3"])
		require.Zero(t, b.table.Len())
		b.accept(b.insert(write{key: "k", who: "1", revision: 5}))
		b.settled(3)
		require.Equal(t, "WRITTEN", b.outcomes()["k/5"])
	})
}

func TestARevisionIsNotTakenForUnchangedAfterALostAnswer(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-3")
	b := setup(t, hasty)
	var lose atomic.Bool
	b.org.Fault = func(orgtest.Request) *orgtest.Fault {
		if lose.Load() {
			return &orgtest.Fault{AfterCommit: true}
		}
		return nil
	}
	hash := func(content string) func(*streamv1.Write) {
		return func(w *streamv1.Write) { w.ContentHash = []byte(content) }
	}
	b.accept(b.upsert(write{key: "k", revision: 4, change: hash("a")}))
	b.settled(1)
	lose.Store(true)
	b.accept(b.upsert(write{key: "k", revision: 5, change: hash("b")}))
	b.settled(2)
	require.Contains(t, b.outcomes()["k/5"], "PARKED")
	lose.Store(false)
	b.accept(b.upsert(write{key: "k", revision: 6, change: hash("a")}))
	b.settled(3)
	require.Equal(t, "WRITTEN", b.outcomes()["k/6"])
	require.Equal(t, []float64{4, 5, 6}, b.org.Records("Engagement__c")[0].History)
}

func TestALookWaitsForACreateThatADeadProcessSent(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-4")
	b := setup(t, func(c *delivery.Config) { c.LookAfter = time.Hour })
	w := b.insert(write{key: "k", who: "1"})
	b.intend(w)
	// The org is still at the dead process's request when its successor takes over.
	b.accept(w, b.upsert(write{key: "later"}))
	b.settled(1)
	require.Equal(t, map[string]string{"later/1": "WRITTEN"}, b.outcomes())
	require.Empty(t, b.org.Queries())
	b.org.Add("Task", time.Now(), map[string]any{"WhoId": "0031", "Description": "seen\nThroughline: k"})
	b.clock.jump(b.cfg.LookAfter)
	b.accept(b.upsert(write{key: "much later"}))
	b.settled(3)
	require.Len(t, b.org.Queries(), 1)
	require.Len(t, b.org.Records("Task"), 1)
	require.Equal(t, "WRITTEN", b.outcomes()["k/1"])
}

// intend puts an intent into the ledger, as a process leaves it that dies after sending.
func (b *testBundle) intend(w *streamv1.Write) {
	b.t.Helper()
	entry, err := ledger.Intend(w, nil, time.Now())
	require.NoError(b.t, err)
	b.table.Apply(entry)
}

func TestAReservationThatCannotBeReadHoldsUpNoParking(t *testing.T) {
	t.Parallel()
	b := setup(t)
	newer, err := proto.Marshal(&statev1.LedgerEntry{Version: 99})
	require.NoError(t, err)
	b.table.Apply(stage.Entry{Key: "acme/paused/new/first", Value: newer})
	b.accept(
		b.upsert(write{key: "new", connection: "paused", change: once}),
		b.upsert(write{key: "known", connection: "paused", change: once}),
	)
	b.settled(2)
	require.Len(t, b.parked(), 2)
	kept, _ := b.table.Get("acme/paused/new/first")
	require.Equal(t, newer, kept, "what a newer program wrote stays")
}
