package delivery_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/delivery"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
)

func TestUpsert(t *testing.T) {
	t.Parallel()

	t.Run("ANewerRevisionIsNotedBeforeItIsSentAfterAnOlderOneFailed", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var refused atomic.Bool
		b.org.Refuse = func(map[string]any) (string, string) {
			if refused.CompareAndSwap(false, true) {
				return "FIELD_CUSTOM_VALIDATION_EXCEPTION", "not today"
			}
			return "", ""
		}
		older, newer := b.upsert(write{key: "k"}), b.upsert(write{key: "k", revision: 2})
		b.accept(older)
		b.settled(1)
		require.Equal(t, map[string]string{"k/1": "FAILED SF_VALIDATION"}, b.outcomes())
		v, err := ledger.Decide(b.table, older)
		require.NoError(t, err)
		require.Equal(t, ledger.Send, v.Step, "a replay may try it again")

		// What failed comes again too, by a replay, or because its offset was not committed when the process died.
		noted := make(chan ledger.Verdict, 1)
		b.org.Fault = func(orgtest.Request) *orgtest.Fault {
			v, err := ledger.Decide(b.table, older)
			require.NoError(t, err)
			noted <- v
			return nil
		}
		b.accept(newer)
		b.settled(2)
		require.Equal(t, ledger.Skip, (<-noted).Step, "an older revision must not go over it")
		entries := 0
		b.table.Range(func(string, []byte) bool { entries++; return true })
		require.Equal(t, 1, entries, "nothing but what is confirmed stays")
	})

	t.Run("ANewerRevisionIsNotedBeforeItIsSentWhileAnOlderOneIsParked", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-5")
		b := setup(t, hasty)
		var locked atomic.Bool
		b.org.Refuse = func(map[string]any) (string, string) {
			if locked.CompareAndSwap(false, true) {
				return "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record"
			}
			return "", ""
		}
		older, newer := b.upsert(write{key: "k"}), b.upsert(write{key: "k", revision: 2})
		b.accept(older)
		b.settled(1)
		require.Equal(t, map[string]string{"k/1": "PARKED SF_LOCKED"}, b.outcomes())

		// The process dies after the newer one was sent and before the ledger says so. The older one then comes back first.
		noted := make(chan ledger.Verdict, 1)
		b.org.Fault = func(orgtest.Request) *orgtest.Fault {
			v, err := ledger.Decide(b.table, older)
			require.NoError(t, err)
			noted <- v
			return nil
		}
		b.accept(newer)
		b.settled(2)
		v := <-noted
		require.Equal(t, ledger.Skip, v.Step, "an older revision must not go over it")
		require.Equal(t, streamv1.Reason_REASON_SUPERSEDED, v.Reason)
		b.org.Fault = nil
		require.Equal(t, "WRITTEN", b.outcomes()["k/2"])
		entries := 0
		b.table.Range(func(string, []byte) bool { entries++; return true })
		require.Equal(t, 1, entries, "nothing but what is confirmed stays")
	})

	t.Run("FullRequestsCarryTwoHundredRecordsEach", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-12")
		b := setup(t, patient(200))
		for i := range 1000 {
			b.accept(b.upsert(write{key: fmt.Sprint("k", i)}))
		}
		b.settled(1000)
		require.Len(t, b.org.Requests(), 5)
		require.Len(t, b.org.Records("Engagement__c"), 1000)
		require.EqualValues(t, 1000, b.tally.Counts().Written)
		o := b.all()[0]
		require.Equal(t, streamv1.Status_STATUS_WRITTEN, o.GetStatus())
		require.NotEmpty(t, o.GetRecordId())
		require.True(t, o.GetCreated())
		require.Equal(t, "collections", o.GetRequest().GetApi())
		require.EqualValues(t, 200, o.GetRequest().GetBatchSize())
		require.Empty(t, b.org.Problems())
	})

	t.Run("TheNewestRevisionWinsHoweverTheyArrive", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-5")
		b := setup(t, patient(200))
		b.accept(b.upsert(write{key: "k", revision: 3}), b.upsert(write{key: "k", revision: 7}), b.upsert(write{key: "k", revision: 5}))
		b.clock.jump(b.cfg.Linger)
		b.accept(b.upsert(write{key: "k", revision: 4}))
		b.settled(4)
		b.accept(b.upsert(write{key: "k", revision: 6}))
		b.clock.jump(b.cfg.Linger)
		b.accept(b.upsert(write{key: "k", revision: 4}))
		b.settled(6)
		require.Equal(t, map[string]string{
			"k/4": "SKIPPED SUPERSEDED",
			"k/3": "SKIPPED SUPERSEDED", "k/5": "SKIPPED SUPERSEDED", "k/6": "SKIPPED SUPERSEDED", "k/7": "WRITTEN",
		}, b.outcomes())
		require.Equal(t, []float64{7}, b.org.Records("Engagement__c")[0].History)
	})

	t.Run("AnUnchangedWriteMakesNoCallButCountsAsSeen", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.accept(b.upsert(write{key: "k", revision: 5}))
		b.settled(1)
		same := b.upsert(write{key: "k", revision: 5})
		same.Revision = 9
		older := b.upsert(write{key: "k", revision: 7})
		b.accept(same)
		b.settled(2)
		b.accept(older)
		b.settled(3)
		require.Equal(t, map[string]string{
			"k/5": "WRITTEN", "k/9": "SKIPPED UNCHANGED", "k/7": "SKIPPED SUPERSEDED",
		}, b.outcomes())
		require.Len(t, b.org.Requests(), 1)
	})

	t.Run("ARepeatedWriteTellsTheSameOutcomeWithoutACall", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-3")
		b := setup(t)
		w := b.upsert(write{key: "k"})
		b.accept(w)
		b.settled(1)
		first := b.all()[0]
		b.drain()
		b.accept(w)
		b.settled(1)
		again := b.all()[0]
		require.Equal(t, first.GetOutcomeId(), again.GetOutcomeId())
		require.Equal(t, first.GetRecordId(), again.GetRecordId())
		require.Equal(t, streamv1.Status_STATUS_WRITTEN, again.GetStatus())
		require.Len(t, b.org.Requests(), 1)
	})

	t.Run("ARecordMadeOnceIsNotTouchedAgain", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-21")
		b := setup(t)
		once := func(w *streamv1.Write) { w.Once = true }
		b.accept(
			b.upsert(write{key: "k", revision: 4, change: once}), b.upsert(write{key: "k", revision: 8, change: once}),
		)
		b.settled(2)
		require.Equal(t, map[string]string{"k/4": "WRITTEN", "k/8": "SKIPPED DUPLICATE_EVENT"}, b.outcomes())
		require.Equal(t, []float64{4}, b.org.Records("Engagement__c")[0].History)
	})

	t.Run("OneBadRecordFailsAlone", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-12")
		b := setup(t)
		b.org.Refuse = func(r map[string]any) (string, string) {
			if r["External_Id__c"] == "bad" {
				return "FIELD_CUSTOM_VALIDATION_EXCEPTION", "Call taro@example.com on 03-1234-5678 first"
			}
			return "", ""
		}
		b.accept(b.upsert(write{key: "good"}), b.upsert(write{key: "bad"}), b.upsert(write{key: "fine"}))
		b.settled(3)
		require.Equal(t, map[string]string{"good/1": "WRITTEN", "bad/1": "FAILED SF_VALIDATION", "fine/1": "WRITTEN"}, b.outcomes())
		dead := b.port.DeadLetters()
		require.Len(t, dead, 1)
		require.Equal(t, "SF_VALIDATION", dead[0].Reason)
		require.Contains(t, dead[0].Detail, "Call [address] on [number] first")
		require.Contains(t, dead[0].Detail, "replay")
	})

	t.Run("ARequestRefusedAsAWholeIsBisected", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-12")
		b := setup(t, patient(128))
		b.org.Fault = func(r orgtest.Request) *orgtest.Fault {
			for _, rec := range r.Records {
				if rec["External_Id__c"] == "k77" {
					return &orgtest.Fault{Status: 400, Body: apiError("JSON_PARSER_ERROR", "Unexpected character")}
				}
			}
			return nil
		}
		for i := range 128 {
			b.accept(b.upsert(write{key: fmt.Sprint("k", i)}))
		}
		b.settled(128)
		require.Equal(t, "FAILED TYPE_MISMATCH", b.outcomes()["k77/1"])
		require.EqualValues(t, 127, b.tally.Counts().Written)
		require.LessOrEqual(t, len(b.org.Requests()), 15)
	})

	t.Run("AnUnknownFieldFailsOnlyItsRecordsAndWithFewCalls", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-12")
		b := setup(t, patient(100))
		b.org.Fault = func(r orgtest.Request) *orgtest.Fault {
			for _, rec := range r.Records {
				if rec["Gone__c"] != nil {
					return &orgtest.Fault{Status: 400, Body: apiError("INVALID_FIELD", "No such column 'Gone__c' on sobject of type Engagement__c")}
				}
			}
			return nil
		}
		for i := range 100 {
			w := write{key: fmt.Sprint("k", i)}
			if i%2 == 0 {
				w.fields = map[string]any{"Gone__c": "x"}
			}
			b.accept(b.upsert(w))
		}
		b.settled(100)
		require.EqualValues(t, 50, b.tally.Counts().Written)
		require.EqualValues(t, 50, b.tally.Counts().Failed[streamv1.Reason_REASON_SF_FIELD_GONE])
		require.Len(t, b.org.Requests(), 2)
	})

	t.Run("ALockParentIsInOneRequestAtATime", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-11")
		b := setup(t, func(c *delivery.Config) { c.BatchRecords, c.MinBatchRecords = 10, 1 })
		for i := range 400 {
			b.accept(b.upsert(write{key: fmt.Sprint("k", i), parent: fmt.Sprint("account", i%7)}))
		}
		b.settled(400)
		require.Empty(t, b.org.Problems())
		require.LessOrEqual(t, b.org.Peak(), 4)
	})

	t.Run("ARecordIsInOneRequestAtATime", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-12")
		b := setup(t, func(c *delivery.Config) { c.BatchRecords, c.MinBatchRecords = 5, 1; c.Linger = time.Millisecond })
		for i := range 300 {
			b.accept(b.upsert(write{key: fmt.Sprint("k", i%11), revision: int64(i + 1)}))
		}
		b.settled(300)
		require.Empty(t, b.org.Problems())
		for _, r := range b.org.Records("Engagement__c") {
			require.IsIncreasing(t, r.History)
		}
	})

	t.Run("WhatIsNotAWriteIsADeadLetter", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for _, change := range []func(*streamv1.Write){
			func(w *streamv1.Write) { w.Workspace = "" },
			func(w *streamv1.Write) { w.ExternalId = "" },
			func(w *streamv1.Write) { w.Operation = 0 },
			func(w *streamv1.Write) { w.Revision = 0 },
			func(w *streamv1.Write) { w.Object = "" },
			func(w *streamv1.Write) { w.Operation = streamv1.Operation_OPERATION_INSERT },
			func(w *streamv1.Write) { w.Operation = streamv1.Operation_OPERATION_UPDATE },
		} {
			b.refuses(b.upsert(write{key: "k", change: change}))
		}
	})

	t.Run("FieldsThatDoNotOpenFailTheWrite", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.accept(b.upsert(write{key: "k", change: func(w *streamv1.Write) { w.SealedFields = []byte("garbage") }}))
		b.settled(1)
		require.Equal(t, map[string]string{"k/1": "FAILED BAD_SCHEMA"}, b.outcomes())
		require.Len(t, b.port.DeadLetters(), 1)
	})

	t.Run("ADrainSendsWhatIsPendingAtOnce", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(c *delivery.Config) { c.Linger = 2 * time.Second })
		for i := range 50 {
			b.accept(b.upsert(write{key: fmt.Sprint("k", i)}))
		}
		port := b.port
		b.drain()
		require.Len(t, port.Settled(), 50)
		require.Len(t, b.org.Records("Engagement__c"), 50)
	})
}
