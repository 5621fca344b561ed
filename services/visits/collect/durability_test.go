package collect_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	statev1 "github.com/throughline-dev/throughline/proto/throughline/state/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
)

func TestDurability(t *testing.T) {
	t.Parallel()

	t.Run("TheSameEventAgainHasNoEffect", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-3")
		b := setup(t, settle(0))
		b.take(act("e1", 0, mia), act("e2", 5, mia, watched(0, 5)), act("e3", 6, mia, clicked("x")), act("e4", 9, mia, ended))
		before := b.savedState()
		b.now = b.now.Add(6 * 24 * time.Hour)
		b.restart()
		require.Empty(t, b.take(act("e2", 5, mia, watched(0, 5)), act("e3", 6, mia, clicked("x")), act("e4", 9, mia, ended)))
		require.Empty(t, b.take(act("e2", 5, mia, watched(50, 90))), "the first body wins")
		require.True(t, proto.Equal(before, b.savedState()))
	})

	t.Run("ARepeatedBatchSendsTheSameRevisions", func(t *testing.T) {
		t.Parallel()
		b := setup(t, settle(0))
		batch := b.records(act("e1", 0, mia), act("e2", 5, mia, watched(0, 5)), act("e3", 9, mia, ended))
		lost := b.attempt(batch).Messages()
		b.state.Rollback()
		b.restart()
		require.Equal(t, lost, b.process(batch))
		require.Empty(t, b.process(batch), "what the state has is not told again")
	})

	t.Run("AVisitIsStillClosedWhenATickWasRolledBack", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.take(act("e1", 0, mia))
		b.after(time.Minute)
		b.now = b.now.Add(time.Hour)
		for range 3 {
			out := new(stage.Outbox)
			require.NoError(t, b.proc.Tick(t.Context(), b.now, out))
			require.Len(t, visits(t, out.Messages()), 1)
			b.state.Rollback()
		}
		require.Len(t, visits(t, b.after(0)), 1)
		require.Empty(t, b.after(time.Minute))
	})

	t.Run("OpenVisitsSurviveARestart", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "LOOM-32")
		b := setup(t)
		b.take(act("e1", 0, mia, watched(0, 5)))
		b.restart()
		require.Empty(t, b.take(act("e2", 5, mia, watched(5, 10))))
		b.restart()
		got := visits(t, b.after(31*time.Minute))
		require.NotEmpty(t, got)
		last := got[len(got)-1]
		require.InDelta(t, 10, last.GetWatchedSeconds(), 1e-9)
		require.Equal(t, streamv1.CloseCause_CLOSE_CAUSE_SILENCE, last.GetCloseCause())
	})

	t.Run("AServiceThatWasDownClosesNothingThatGoesOnInItsBacklog", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.take(act("e1", 0, mia))
		arrived := b.now
		b.restart()
		b.now = b.now.Add(2 * time.Hour) // the service comes back two hours later …
		out := new(stage.Outbox)
		require.NoError(t, b.proc.Tick(t.Context(), b.now, out))
		require.Empty(t, out.Messages())
		backlog := b.records(act("e2", 60, mia, watched(0, 50))) // … and the next record came after one minute.
		backlog[0].Time = arrived.Add(time.Minute)
		b.process(backlog)
		require.NoError(t, b.proc.Tick(t.Context(), b.now, out))
		b.state.Commit()
		for _, v := range visits(t, out.Messages()) {
			require.Equal(t, streamv1.VisitState_VISIT_STATE_OPEN, v.GetState())
		}
		got := visits(t, b.after(time.Minute))
		require.Len(t, got, 1, "read to its end, the partition shows who is silent")
		require.Equal(t, streamv1.VisitState_VISIT_STATE_CLOSED, got[0].GetState())
		require.InDelta(t, 50, got[0].GetWatchedSeconds(), 1e-9)
	})

	t.Run("SilenceWithinABatchClosesBeforeWhatFollows", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		batch := b.records(act("e1", 0, mia, watched(0, 10)), act("e2", 7200, mia, watched(10, 20)))
		batch[1].Time = batch[1].Time.Add(2 * time.Hour)
		got := visits(t, b.process(batch))
		require.NotEmpty(t, got)
		require.Equal(t, streamv1.CloseCause_CLOSE_CAUSE_SILENCE, got[0].GetCloseCause())
		require.InDelta(t, 10, got[0].GetWatchedSeconds(), 1e-9)
	})

	t.Run("AClosedVisitIsForgottenInTheEnd", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-3")
		b := setup(t, settle(0))
		b.take(act("e1", 0, mia), act("e2", 1, mia, ended))
		b.after(7*24*time.Hour - time.Second)
		require.Equal(t, 1, b.state.Len())
		b.after(time.Second)
		require.Zero(t, b.state.Len())
	})

	t.Run("AClockThatJumpedAheadClosesNothingAfterItIsSetBack", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.take(act("e1", 0, mia))
		out := new(stage.Outbox)
		require.NoError(t, b.proc.Tick(t.Context(), b.now.AddDate(1, 0, 0), out))
		b.state.Commit()

		for _, v := range visits(t, b.after(time.Minute)) {
			require.Equal(t, streamv1.VisitState_VISIT_STATE_OPEN, v.GetState())
		}
		closed := visits(t, b.after(time.Hour))
		require.Len(t, closed, 1, "its real end is not missed")
		require.Equal(t, streamv1.VisitState_VISIT_STATE_CLOSED, closed[0].GetState())
	})

	t.Run("ATickIsBounded", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(b *bundle) { b.cfg.TickVisits = 2 })
		for i := range 5 {
			b.take(act(fmt.Sprint("e", i), 0, mia, func(a *streamv1.Activity) { a.Session = fmt.Sprint("s", i) }))
		}
		b.after(time.Minute)
		b.now = b.now.Add(time.Hour)
		for _, want := range []int{2, 2, 1} {
			out := new(stage.Outbox)
			require.NoError(t, b.proc.Tick(t.Context(), b.now, out))
			b.state.Commit()
			require.Len(t, out.Messages(), want)
		}
	})
}

func TestTrouble(t *testing.T) {
	t.Parallel()

	t.Run("WhatIsNoActivityIsGivenUpAndTheRestGoesOn", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		batch := b.records(act("e1", 0, mia), act("e2", 1, mia))
		batch[0].Value = []byte("\xffgarbage")
		out := b.attempt(batch)
		require.Len(t, out.DeadLetters(), 1)
		require.Equal(t, "BAD_SCHEMA", out.DeadLetters()[0].Reason)
		require.Len(t, out.Messages(), 1)
	})

	t.Run("AStateEntryFromANewerProgramIsLeftAlone", func(t *testing.T) {
		t.Parallel()
		id := ids.VisitID("acme", "s", "c")
		newer, err := proto.Marshal(&statev1.OpenVisit{Version: 99})
		require.NoError(t, err)
		for name, entry := range map[string][]byte{"newer": newer, "garbage": []byte("\xff\xff")} {
			b := setup(t, func(b *bundle) { b.state.Apply(stage.Entry{Key: id, Value: entry}) })
			require.EqualValues(t, 1, b.stats.Unreadable.Load())
			out := b.attempt(b.records(act("e1", 0, mia), act("e2", 0, mia, func(a *streamv1.Activity) { a.Session = "other" })))
			require.Len(t, out.DeadLetters(), 1, name)
			require.Contains(t, out.DeadLetters()[0].Detail, id)
			require.Len(t, out.Messages(), 1, "other visits go on")
			b.state.Commit()
			value, _ := b.state.Get(id)
			require.Equal(t, entry, value)
		}
	})
}

func TestAnOpenVisitStaysWithinOneKibibyte(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sealed := make([]byte, 80) // an address and a name of 44 bytes under AES-GCM
	rich := func(a *streamv1.Activity) {
		a.Session = "0190b6c1-7e5f-7d6a-9a43-3f0a5d9a4c12"
		a.Content.ContentId, a.Content.Url = "content-000123", "https://video.example/v/content-000123"
		a.Content.Title, a.Content.OwnerKey, a.Content.OwnerSealed = "新しいお客様を一週間で迎える方法", "abcdefghijklmnopqrstuv", sealed
		a.Content.LengthSeconds = 612
		a.Subject = b.subject(sealed)
	}
	var all []*streamv1.Activity
	for i := range 32 {
		from := float64(i*10 + i/9*40) // three seeks
		all = append(all, act(fmt.Sprintf("0190b6c1-7e5f-7d6a-9a43-%012d", i), i*10, watched(from, from+10), rich))
	}
	all = append(all, act("0190b6c1-7e5f-7d6a-9a43-3f0a5d9a4c99", 400, clicked("Book a meeting"), rich))
	for batch := range slices.Chunk(all, 10) {
		b.take(batch...)
	}
	value, ok := b.state.Get(ids.VisitID("acme", "0190b6c1-7e5f-7d6a-9a43-3f0a5d9a4c12", "content-000123"))
	require.True(t, ok)
	t.Logf("%d activities: %d bytes", len(all), len(value))
	require.LessOrEqual(t, len(value), 1024)
}

func (b *bundle) subject(sealed []byte) *streamv1.Subject {
	return &streamv1.Subject{PersonKey: "vutsrqponmlkjihgfedcba", Sealed: sealed, Evidence: streamv1.Evidence_EVIDENCE_ASKED}
}
