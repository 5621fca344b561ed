package writer_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	statev1 "github.com/throughline-dev/throughline/proto/throughline/state/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
)

// of is a write about a person, by key.
func (b *testBundle) of(person, connection, key string, revision int64) *streamv1.Write {
	b.t.Helper()
	w := b.write(connection, key, revision)
	w.PersonKey, w.EngagementId = person, "engagement-of-"+person
	return w
}

// suppress erases a person, by key, on top of what change does; lifted may be zero.
func (b *testBundle) suppress(person string, lifted time.Time, change ...func(*configv1.WorkspaceSnapshot)) {
	b.t.Helper()
	snapshot := b.build.Snapshot()
	s := &configv1.Suppression{PersonKey: person, Since: timestamppb.Now()}
	if !lifted.IsZero() {
		s.LiftedAt = timestamppb.New(lifted)
	}
	snapshot.Workspaces[0].Suppressions = append(snapshot.Workspaces[0].Suppressions, s)
	for _, c := range change {
		c(snapshot.Workspaces[0])
	}
	view, err := settings.NewView(snapshot, b.build.Installation())
	require.NoError(b.t, err)
	b.views.Store(view)
}

// told returns the newest outcome per write key.
func (b *testBundle) told(key string) *streamv1.Outcome {
	b.t.Helper()
	var newest *streamv1.Outcome
	for _, r := range b.broker.Records(topic.Outcomes) {
		o := new(streamv1.Outcome)
		require.NoError(b.t, proto.Unmarshal(r.Value, o))
		if o.GetWriteKey() == key {
			newest = o
		}
	}
	return newest
}

// history is what the main org's record under a key held, one after the other.
func (b *testBundle) history(key string) []float64 {
	b.t.Helper()
	for _, r := range b.orgs["main"].Records("Engagement__c") {
		if r.Fields["External_Id__c"] == key {
			return r.History
		}
	}
	return nil
}

const erased = "SKIPPED ERASED_SUBJECT"

func TestErased(t *testing.T) {
	t.Parallel()

	t.Run("WritesAreEndedUnopened", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.suppress("mia", time.Time{})
		s, stop := b.start()
		defer stop()
		hers := b.of("mia", "main", "a", 1)
		hers.SealedFields = []byte("never opened")
		b.send(hers, b.of("ren", "main", "b", 1), b.write("main", "c", 1))
		b.eventually(func() bool { return b.final()["b/1"] == "WRITTEN" && b.final()["c/1"] == "WRITTEN" }, "others are untouched")
		b.eventually(func() bool { return b.final()["a/1"] == erased }, "ended")
		require.NotContains(t, b.told("a").String(), "mia")
		require.Equal(t, "ren", b.told("b").GetPersonKey(), "so that an erasure finds it")
		require.Len(t, b.orgs["main"].Records("Engagement__c"), 2)
		require.Empty(t, b.broker.Records(topic.DeadLetters))
		b.eventually(func() bool { return s.Stats().Lag == 0 }, "settled")
	})

	t.Run("WhatIsInFlightEndsAndWhatWaitsBehindItDoesNotGoOut", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		arrived, release := make(chan struct{}), make(chan struct{})
		var requests atomic.Int64
		b.orgs["main"].Fault = func(orgtest.Request) *orgtest.Fault {
			if requests.Add(1) == 1 {
				close(arrived)
				<-release
			}
			return nil
		}
		_, stop := b.start()
		defer stop()
		letGo := sync.OnceFunc(func() { close(release) })
		defer letGo()
		b.send(b.of("mia", "main", "a", 1))
		<-arrived
		b.send(b.of("mia", "main", "a", 2), b.of("ren", "main", "b", 1))
		b.eventually(func() bool { return b.final()["b/1"] == "WRITTEN" }, "the lane has read so far")
		b.suppress("mia", time.Time{})
		letGo()
		b.eventually(func() bool { return b.final()["a/1"] == "WRITTEN" && b.final()["a/2"] == erased }, "ended")
		require.Equal(t, []float64{1}, b.history("a"))

		// What a replay brings back ends at the door, also what was written before.
		b.send(b.of("mia", "main", "a", 1), b.of("mia", "main", "a", 3))
		b.eventually(func() bool { return b.final()["a/1"] == erased && b.final()["a/3"] == erased }, "replayed")

		// Let in again: what happens from then on is written, and what was before still is not.
		lifted := time.Now().Add(time.Hour)
		b.suppress("mia", lifted)
		later := b.of("mia", "main", "a", 5)
		later.OccurredAt = timestamppb.New(lifted)
		b.send(b.of("mia", "main", "a", 4), later)
		b.eventually(func() bool { return b.final()["a/4"] == erased && b.final()["a/5"] == "WRITTEN" }, "lifted")
		require.Equal(t, []float64{1, 5}, b.history("a"))
	})

	t.Run("ParkedWritesEndAlthoughTheirOrgIsAway", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.views.Store(pausedView(b))
		s, stop := b.start()
		defer stop()
		once := b.of("mia", "main", "once", 1)
		once.Once = true
		b.send(b.of("mia", "main", "a", 1), once, b.of("ren", "main", "b", 1))
		b.eventually(func() bool { return s.Stats().Held == 3 }, "parked")
		pause := func(ws *configv1.WorkspaceSnapshot) {
			for _, c := range ws.GetConnections() {
				c.Paused = c.GetId() == "main"
			}
		}
		b.suppress("mia", time.Time{}, pause)
		b.eventually(func() bool { return b.final()["a/1"] == erased && b.final()["once/1"] == erased }, "ended")
		b.eventually(func() bool { return s.Stats().Held == 1 }, "ren's still waits")
		b.send(b.of("mia", "main", "d", 1))
		b.eventually(func() bool { return b.final()["d/1"] == erased }, "not parked any more")
		require.Empty(t, b.orgs["main"].Requests())

		// A record that is made once is not taken for made.
		lifted := time.Now().Add(time.Hour)
		b.suppress("mia", lifted)
		again := b.of("mia", "main", "once", 2)
		again.Once, again.OccurredAt = true, timestamppb.New(lifted)
		b.send(again)
		b.eventually(func() bool { return b.final()["once/2"] == "WRITTEN" && b.final()["b/1"] == "WRITTEN" }, "written")
	})

	t.Run("ALostAnswerStaysInDoubt", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.cfg.Lanes.RetryMin, b.cfg.Lanes.RetryMax = 300*time.Millisecond, 300*time.Millisecond
		var once sync.Once
		b.orgs["main"].Fault = func(orgtest.Request) (f *orgtest.Fault) {
			once.Do(func() {
				b.suppress("mia", time.Time{})
				f = &orgtest.Fault{AfterCommit: true}
			})
			return f
		}
		_, stop := b.start()
		defer stop()
		b.send(b.of("mia", "main", "a", 1))
		b.eventually(func() bool { return b.final()["a/1"] == erased }, "ended")
		entries := b.broker.Records(topic.Ledger)
		entry := new(statev1.LedgerEntry)
		require.NoError(t, proto.Unmarshal(entries[len(entries)-1].Value, entry))
		require.EqualValues(t, 1, entry.GetIntendedRevision(), "promise 4: nobody knows what the record says")
		require.Empty(t, entry.GetContentHash())
	})
}
