package delivery_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	statev1 "github.com/throughline-dev/throughline/proto/throughline/state/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
)

func TestInsert(t *testing.T) {
	t.Parallel()

	t.Run("TheIntentIsSavedBeforeTheCallAndTheResultAfterIt", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-4")
		b := setup(t)
		var before atomic.Int64
		b.org.Committed = func(orgtest.Request) { before.Store(int64(len(b.port.Saved()))) }
		w := b.insert(write{key: "k", who: "1"})
		b.accept(w)
		b.settled(1)
		require.EqualValues(t, 1, before.Load())
		saved := b.port.Saved()
		require.Len(t, saved, 2)
		intent, result := new(statev1.LedgerEntry), new(statev1.LedgerEntry)
		require.NoError(t, proto.Unmarshal(saved[0].Value, intent))
		require.NoError(t, proto.Unmarshal(saved[1].Value, result))
		require.EqualValues(t, 1, intent.GetIntendedRevision())
		require.Zero(t, intent.GetConfirmedRevision())
		require.EqualValues(t, 1, result.GetConfirmedRevision())
		require.Equal(t, b.org.Records("Task")[0].ID, result.GetRecordId())
		require.Empty(t, b.org.Queries())
	})

	t.Run("ALostAnswerIsFollowedByALookAndNotByASecondRecord", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-4")
		t.Attr("requirement", "IMM-21")
		for name, fault := range map[string]orgtest.Fault{
			"connection lost": {AfterCommit: true},
			"502 page":        {AfterCommit: true, Status: 502, Body: "<html>Bad Gateway</html>"},
			"unreadable":      {AfterCommit: true, Status: 200, Body: "<html>maintenance</html>"},
		} {
			b := setup(t, patient(3))
			var calls atomic.Int64
			b.org.Fault = func(orgtest.Request) *orgtest.Fault {
				if calls.Add(1) == 1 {
					return &fault
				}
				return nil
			}
			b.accept(b.insert(write{key: "a", who: "1"}), b.insert(write{key: "b", who: "2"}), b.insert(write{key: "c", who: "1"}))
			b.settled(3)
			require.Equal(t, map[string]string{"a/1": "WRITTEN", "b/1": "WRITTEN", "c/1": "WRITTEN"}, b.outcomes(), name)
			require.Len(t, b.org.Records("Task"), 3, name)
			require.Len(t, b.org.Requests(), 1, name)
			require.Len(t, b.org.Queries(), 1, name)
		}
	})

	t.Run("ACallThatNeverArrivedIsMadeAfterALook", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var calls atomic.Int64
		b.org.Fault = func(orgtest.Request) *orgtest.Fault {
			if calls.Add(1) == 1 {
				return &orgtest.Fault{} // nothing written, no answer
			}
			return nil
		}
		b.accept(b.insert(write{key: "a", who: "1"}))
		b.settled(1)
		require.Len(t, b.org.Records("Task"), 1)
		require.Len(t, b.org.Queries(), 1)
		require.Equal(t, map[string]string{"a/1": "WRITTEN"}, b.outcomes())
	})

	t.Run("AfterACrashBetweenIntentAndResultTheOrgIsAsked", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-4")
		for name, made := range map[string]bool{"before the call": false, "after the call": true} {
			b := setup(t)
			w := b.insert(write{key: "k", who: "1"})
			intent, err := ledger.Intend(w, nil, time.Now())
			require.NoError(t, err)
			b.table.Apply(intent)
			if made {
				b.org.Add("Task", time.Now(), map[string]any{"WhoId": "0031", "Description": "seen\nThroughline: k"})
				b.org.Add("Task", time.Now(), map[string]any{"WhoId": "0031", "Description": "seen\nThroughline: other"})
			}
			b.accept(w)
			b.settled(1)
			require.Equal(t, map[string]string{"k/1": "WRITTEN"}, b.outcomes(), name)
			require.Len(t, b.org.Queries(), 1, name)
			if made {
				require.Empty(t, b.org.Requests(), name)
				require.Contains(t, b.all()[0].GetNotes(), "FOUND_BY_MARKER", name)
			} else {
				require.Len(t, b.org.Records("Task"), 1, name)
			}
		}
	})

	t.Run("ARecordMadeWhileOurClockWasAheadIsFound", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-4")
		for name, noted := range map[string]time.Duration{"and is still": -time.Minute, "and was set back": time.Hour} {
			b := setup(t)
			w := b.insert(write{key: "k", who: "1"})
			intent, err := ledger.Intend(w, nil, time.Now().Add(noted))
			require.NoError(t, err)
			b.table.Apply(intent)
			b.org.Add("Task", time.Now().Add(-time.Hour), map[string]any{"WhoId": "0031", "Description": "seen\nThroughline: k"})
			b.acceptFrom(time.Now().Add(-2*time.Hour), w)
			b.settled(1)
			require.Equal(t, map[string]string{"k/1": "WRITTEN"}, b.outcomes(), name)
			require.Empty(t, b.org.Requests(), name)
		}
	})

	t.Run("OfSeveralRecordsWithTheMarkerTheOldestIsTaken", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		w := b.insert(write{key: "k", who: "1"})
		intent, err := ledger.Intend(w, nil, time.Now())
		require.NoError(t, err)
		b.table.Apply(intent)
		fields := map[string]any{"WhoId": "0031", "Description": "Throughline: k\nseen"}
		b.org.Add("Task", time.Now().Add(2*time.Second), fields)
		oldest := b.org.Add("Task", time.Now(), fields)
		b.accept(w)
		b.settled(1)
		require.Equal(t, oldest.ID, b.all()[0].GetRecordId())
		require.Contains(t, b.all()[0].GetNotes(), "MARKER_ON_SEVERAL_RECORDS")
	})

	t.Run("ARecordThatSomebodyDeletedIsNotMadeAgain", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-4")
		b := setup(t)
		w := b.insert(write{key: "k", who: "1"})
		intent, err := ledger.Intend(w, nil, time.Now())
		require.NoError(t, err)
		b.table.Apply(intent)
		b.org.Add("Task", time.Now(), map[string]any{"WhoId": "0031", "Description": "Throughline: k", "IsDeleted": true})
		b.accept(w)
		b.settled(1)
		require.Equal(t, map[string]string{"k/1": "FAILED SF_RECORD_GONE"}, b.outcomes())
		require.Empty(t, b.org.Requests())
	})

	t.Run("WhatCannotBeLookedForIsNotCreatedBlindly", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-4")
		b := setup(t)
		w := b.insert(write{key: "k", who: "1", change: func(w *streamv1.Write) { w.MarkerField = "Hidden__c" }})
		w.MarkerField = "Hidden__c"
		intent, err := ledger.Intend(w, nil, time.Now())
		require.NoError(t, err)
		b.table.Apply(intent)
		b.org.QueryFault = func(string) *orgtest.Fault {
			return &orgtest.Fault{Status: 400, Body: apiError("INVALID_FIELD", "No such column 'Hidden__c' on entity 'Task'")}
		}
		b.accept(w)
		b.settled(1)
		require.Equal(t, map[string]string{"k/1": "FAILED SF_FIELD_GONE"}, b.outcomes())
		require.Contains(t, b.all()[0].GetDetail(), "needs a look")
		require.Empty(t, b.org.Records("Task"))
	})

	t.Run("ALookThatMeetsAnAnswerNobodyKnowsIsRepeated", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		w := b.insert(write{key: "k", who: "1"})
		intent, err := ledger.Intend(w, nil, time.Now())
		require.NoError(t, err)
		b.table.Apply(intent)
		var looks atomic.Int64
		b.org.QueryFault = func(string) *orgtest.Fault {
			if looks.Add(1) > 1 {
				return nil
			}
			return &orgtest.Fault{Status: 400, Body: apiError("NEW_IN_THIS_RELEASE", "Something nobody has seen yet")}
		}
		b.accept(w)
		b.settled(1)
		require.Equal(t, map[string]string{"k/1": "WRITTEN"}, b.outcomes())
		require.EqualValues(t, 2, looks.Load())
		require.Len(t, b.org.Records("Task"), 1)
	})

	t.Run("LaterRevisionsChangeNothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.accept(b.insert(write{key: "k", who: "1", revision: 3}), b.insert(write{key: "k", who: "1", revision: 5}))
		b.settled(2)
		require.Equal(t, map[string]string{"k/3": "WRITTEN", "k/5": "SKIPPED DUPLICATE_EVENT"}, b.outcomes())
		require.Len(t, b.org.Records("Task"), 1)
	})

	t.Run("ARefusedOwnerIsLeftOutOnceForARecordWithAPerson", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-30")
		b := setup(t)
		b.org.Refuse = func(r map[string]any) (string, string) {
			if r["OwnerId"] != nil {
				return "INACTIVE_OWNER_OR_USER", "operation performed with inactive user [005X] as owner of task"
			}
			return "", ""
		}
		b.accept(b.insert(write{key: "k", who: "1"}))
		b.settled(1)
		require.Equal(t, map[string]string{"k/1": "WRITTEN"}, b.outcomes())
		require.NotContains(t, b.org.Records("Task")[0].Fields, "OwnerId")
		all := b.all()
		require.Contains(t, all[len(all)-1].GetNotes(), "OWNER_REFUSED")
	})

	t.Run("ADefiniteRefusalTakesTheIntentBack", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.org.Refuse = func(map[string]any) (string, string) {
			return "REQUIRED_FIELD_MISSING", "Required fields are missing: [Subject]"
		}
		b.accept(b.insert(write{key: "k", who: "1", revision: 3}))
		b.settled(1)
		require.Equal(t, map[string]string{"k/3": "FAILED REQUIRED_FIELD_MISSING"}, b.outcomes())
		require.Zero(t, b.table.Len())
		b.org.Refuse = nil
		b.accept(b.insert(write{key: "k", who: "1", revision: 5}))
		b.settled(2)
		require.Equal(t, "WRITTEN", b.outcomes()["k/5"])
		require.Empty(t, b.org.Queries())
	})

	t.Run("WithoutASavedIntentNothingIsSent", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.port.Fail(errors.New("broker away"))
		b.accept(b.insert(write{key: "k", who: "1"}))
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		require.NoError(t, b.handler.Drain(ctx))
		require.Empty(t, b.org.Requests())
		require.Empty(t, b.port.Settled())
		b.restart()
	})
}
