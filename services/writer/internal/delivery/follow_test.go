package delivery_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
)

// follower is one revision of a write whose later revisions change the record that the first one made.
func (b *testBundle) follower(key string, revision int64) *streamv1.Write {
	b.t.Helper()
	w := b.insert(write{key: key, who: "1", revision: revision})
	w.Follows = true
	return w
}

// one returns the only record.
func (b *testBundle) one() orgtest.Record {
	b.t.Helper()
	records := b.org.Records("Task")
	require.Len(b.t, records, 1)
	return records[0]
}

func TestLaterRevisionsChangeTheRecordThatWasMade(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "HOPIN-14")

	t.Run("InOrderAndNeverBack", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.accept(b.follower("k", 5))
		b.settled(1)
		made := b.one()
		b.accept(b.follower("k", 7))
		b.settled(2)
		require.Equal(t, made.ID, b.one().ID)
		require.InDelta(t, 7, b.one().Fields["Rev__c"], 0)
		b.accept(b.follower("k", 6), b.follower("k", 7))
		b.settled(4)
		require.InDelta(t, 7, b.one().Fields["Rev__c"], 0, "promise 4")
		require.Equal(t, map[string]string{"k/5": "WRITTEN", "k/6": "SKIPPED SUPERSEDED", "k/7": "WRITTEN"}, b.outcomes())
		require.Empty(t, b.org.Queries())
	})

	t.Run("TheMarkerIsWrittenOnce", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.accept(b.follower("k", 1))
		b.settled(1)
		b.accept(b.follower("k", 2))
		b.settled(2)
		last := b.org.Requests()[len(b.org.Requests())-1]
		require.NotContains(t, last.Records[0], "Description", "what people wrote beside it since stays")
		require.Equal(t, "seen\nThroughline: k", b.one().Fields["Description"])
	})

	t.Run("AfterALostAnswerTheRecordIsFoundAndGetsTheNewestRevision", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var calls atomic.Int64
		b.org.Fault = func(orgtest.Request) *orgtest.Fault {
			if calls.Add(1) == 1 {
				return &orgtest.Fault{AfterCommit: true}
			}
			return nil
		}
		b.accept(b.follower("k", 1))
		require.Eventually(t, func() bool { return calls.Load() > 0 }, patience, time.Millisecond)
		b.accept(b.follower("k", 2))
		b.settled(2)
		require.InDelta(t, 2, b.one().Fields["Rev__c"], 0)
		require.NotEmpty(t, b.org.Queries())
	})

	t.Run("AfterACrashWhateverRevisionMadeItIsNotTakenForThisOne", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		intent, err := ledger.Intend(b.follower("k", 1), nil, time.Now())
		require.NoError(t, err)
		b.table.Apply(intent)
		b.org.Add("Task", time.Now(), map[string]any{"WhoId": "0031", "Description": "seen\nThroughline: k", "Rev__c": 1.0})
		b.accept(b.follower("k", 2))
		b.settled(1)
		require.InDelta(t, 2, b.one().Fields["Rev__c"], 0)
		b.accept(b.follower("k", 1))
		b.settled(2)
		require.InDelta(t, 2, b.one().Fields["Rev__c"], 0, "promise 4")
	})

	t.Run("AnOlderOneWaitsForNothingWhileANewerMayHaveMadeIt", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		intent, err := ledger.Intend(b.follower("k", 3), nil, time.Now())
		require.NoError(t, err)
		b.table.Apply(intent)
		b.accept(b.follower("k", 2))
		b.settled(1)
		require.Equal(t, map[string]string{"k/2": "SKIPPED SUPERSEDED"}, b.outcomes())
		require.Empty(t, b.org.Requests())
	})
}
