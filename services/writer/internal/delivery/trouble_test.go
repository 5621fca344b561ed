package delivery_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/delivery"
	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
)

// first makes the first n requests meet a fault.
func first(n int64, f orgtest.Fault) func(orgtest.Request) *orgtest.Fault {
	var calls atomic.Int64
	return func(orgtest.Request) *orgtest.Fault {
		if calls.Add(1) <= n {
			return &f
		}
		return nil
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()

	t.Run("PassingTroubleIsRetriedAndToldOf", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-8")
		for name, fault := range map[string]orgtest.Fault{
			"500":        {Status: 500, Body: apiError("UNKNOWN_EXCEPTION", "An unexpected error occurred")},
			"503":        {Status: 503, Body: apiError("SERVER_UNAVAILABLE", "Server Unavailable")},
			"html":       {Status: 503, Body: "<html>Down for maintenance</html>"},
			"concurrent": {Status: 403, Body: apiError("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded.")},
			"lost":       {AfterCommit: true},
			"read-only":  {Status: 400, Body: apiError("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", "read-only")},
		} {
			b := setup(t)
			b.org.Fault = first(2, fault)
			b.accept(b.upsert(write{key: "k"}))
			b.settled(1)
			require.Equal(t, map[string]string{"k/1": "WRITTEN"}, b.outcomes(), name)
			require.Equal(t, streamv1.Status_STATUS_RETRYING, b.all()[0].GetStatus(), name)
			require.Len(t, b.org.Records("Engagement__c"), 1, name)
			require.Equal(t, []int64{0}, b.port.Settled(), name)
		}
	})

	t.Run("LockedRowsComeAgainInSmallerRequests", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-11")
		b := setup(t, patient(200), func(c *delivery.Config) { c.Attempts = 50 })
		var locks atomic.Int64
		b.org.Refuse = func(map[string]any) (string, string) {
			n := locks.Add(1)
			if n == 1 {
				b.clock.jump(b.cfg.Linger) // what is left waits for nothing
			}
			if n <= 250 {
				return "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record or 1 records: 001SM000000kLmN"
			}
			return "", ""
		}
		for i := range 200 {
			b.accept(b.upsert(write{key: fmt.Sprint("k", i)}))
		}
		b.settled(200)
		require.EqualValues(t, 200, b.tally.Counts().Written)
		requests := b.org.Requests()
		require.Len(t, requests[0].Records, 200)
		for _, r := range requests[1:] {
			require.LessOrEqual(t, len(r.Records), 110)
		}
		require.Equal(t, "SF_LOCKED", b.all()[0].GetReason().String()[len("REASON_"):])
	})

	t.Run("AnAnswerNobodyKnowsIsTriedThreeTimes", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-8")
		b := setup(t)
		b.org.Refuse = func(map[string]any) (string, string) { return "BRAND_NEW_CODE", "who knows" }
		b.accept(b.upsert(write{key: "k"}))
		b.settled(1)
		require.Equal(t, map[string]string{"k/1": "FAILED SF_REJECTED"}, b.outcomes())
		all := b.all()
		require.Equal(t, "BRAND_NEW_CODE", all[len(all)-1].GetSalesforceCode())
		require.Len(t, b.org.Requests(), 3)
	})

	t.Run("TwoUpsertsRacingForANewKeyConverge", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var calls atomic.Int64
		b.org.Refuse = func(map[string]any) (string, string) {
			if calls.Add(1) == 1 {
				return "DUPLICATE_VALUE", "duplicate value found: External_Id__c duplicates value on record with id: 00TSM000000tUvW"
			}
			return "", ""
		}
		b.accept(b.upsert(write{key: "k"}))
		b.settled(1)
		require.Equal(t, map[string]string{"k/1": "WRITTEN"}, b.outcomes())
	})

	t.Run("AlreadyAMemberIsASuccessWithANote", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-39")
		b := setup(t)
		b.org.Refuse = func(map[string]any) (string, string) { return "DUPLICATE_VALUE", "Already a campaign member." }
		w := b.insert(write{key: "k", who: "1"})
		w.Object = "CampaignMember"
		b.accept(w)
		b.settled(1)
		require.Equal(t, map[string]string{"k/1": "WRITTEN"}, b.outcomes())
		require.Contains(t, b.all()[0].GetNotes(), "SF_ALREADY_MEMBER")
	})

	t.Run("AnOrgThatLocksUsOutParksItsWrites", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-13")
		b := setup(t)
		b.org.Fault = func(orgtest.Request) *orgtest.Fault {
			return &orgtest.Fault{Status: 401, Body: apiError("INVALID_SESSION_ID", "Session expired or invalid")}
		}
		b.org.SetLimitsStatus(401)
		b.accept(b.upsert(write{key: "a"}), b.insert(write{key: "b", who: "1"}))
		b.settled(2)
		b.accept(b.upsert(write{key: "c"}))
		b.settled(3)
		require.Equal(t, map[string]string{
			"a/1": "PARKED SF_AUTH_REVOKED", "b/1": "PARKED SF_AUTH_REVOKED", "c/1": "PARKED SF_AUTH_REVOKED",
		}, b.outcomes())
		require.Len(t, b.parked(), 3)
		require.LessOrEqual(t, len(b.org.Requests()), 4)
	})

	t.Run("AUsedUpAllocationParksWrites", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-9")
		b := setup(t)
		b.org.Fault = func(orgtest.Request) *orgtest.Fault {
			return &orgtest.Fault{Status: 403, Body: apiError("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")}
		}
		b.accept(b.upsert(write{key: "a"}))
		b.settled(1)
		require.Equal(t, map[string]string{"a/1": "PARKED SF_LIMIT"}, b.outcomes())
	})

	t.Run("WeGiveWayBeforeOthersUseUpTheAllocation", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-9")
		b := setup(t)
		b.org.SetUsage(89_000, 100_000)
		b.accept(b.upsert(write{key: "a"}))
		b.settled(1)
		b.org.SetUsage(91_000, 100_000)
		b.accept(b.upsert(write{key: "b"}))
		b.settled(2)
		b.accept(b.upsert(write{key: "c"}))
		b.settled(3)
		require.Equal(t, map[string]string{"a/1": "WRITTEN", "b/1": "WRITTEN", "c/1": "PARKED SF_LIMIT"}, b.outcomes())
	})

	t.Run("OurOwnShareOfTheAllocationIsACeiling", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-9")
		b := setup(t)
		b.org.SetUsage(0, 20) // the connection allows us 50 %
		n := 0
		for len(b.parked()) == 0 && n < 50 {
			n++
			class := streamv1.Priority(1 + n%3) // whatever the class
			b.accept(b.upsert(write{key: fmt.Sprint("k", n), change: func(w *streamv1.Write) { w.Priority = class }}))
			b.settled(n)
		}
		require.Equal(t, 11, n)
		require.Len(t, b.org.Requests(), 10)
		require.Equal(t, "PARKED SF_LIMIT", b.outcomes()["k11/1"])
	})

	t.Run("APausedOrUnknownConnectionParksItsWrites", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-13")
		b := setup(t)
		b.accept(b.upsert(write{key: "a", connection: "paused"}), b.upsert(write{key: "b", connection: "nowhere"}))
		b.settled(2)
		require.Len(t, b.parked(), 2)
		require.Empty(t, b.org.Requests())
		require.Contains(t, b.outcomes()["a/1"], "PARKED")
		require.Contains(t, b.outcomes()["b/1"], "PARKED")
	})

	t.Run("ADeadOrgDoesNotHoldUpAHealthyOneInTheSamePartition", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-13")
		b := setup(t, func(c *delivery.Config) {
			c.LaneRecords, c.BatchRecords, c.MinBatchRecords = 200, 50, 1
		})
		b.org.Fault = func(orgtest.Request) *orgtest.Fault { return &orgtest.Fault{Hang: true} }
		for i := range 2000 { // if one waited for the dead org, it would wait for ten minutes
			b.accept(b.upsert(write{key: fmt.Sprint("dead", i)}), b.upsert(write{key: fmt.Sprint("well", i), connection: "other"}))
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		require.NoError(t, b.port.Await(ctx, func(*stagetest.Port) bool {
			return len(b.other.Records("Engagement__c")) == 2000
		}))
		// What the dead lane could not take is parked; what it could is still in flight there.
		require.Greater(t, len(b.parked()), 1500)
		for _, m := range b.parked() {
			require.Contains(t, string(m.Key), "acme/")
		}
	})

	t.Run("RetriesNeverOvertakeANewerRevision", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-5")
		b := setup(t, func(c *delivery.Config) {
			c.RetryMin, c.RetryMax, c.Attempts = time.Millisecond, 3*time.Millisecond, 100
		})
		var n atomic.Int64
		b.org.Refuse = func(map[string]any) (string, string) {
			if n.Add(1)%3 != 0 {
				return "UNABLE_TO_LOCK_ROW", "locked"
			}
			return "", ""
		}
		for i := range 200 {
			b.accept(b.upsert(write{key: fmt.Sprint("k", i%5), revision: int64(i + 1)}))
		}
		b.settled(200)
		for _, r := range b.org.Records("Engagement__c") {
			require.IsIncreasing(t, append([]float64{0}, r.History...))
			require.GreaterOrEqual(t, r.History[len(r.History)-1], 196.0)
		}
	})
}
