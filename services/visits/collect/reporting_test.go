package collect_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
)

func TestReporting(t *testing.T) {
	t.Parallel()

	t.Run("TellsOfAVisitAtOnceAndThenByCadence", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "LOOM-32")
		b := setup(t)

		first := b.take(act("e1", 0, mia))
		require.Len(t, first, 1)
		require.Equal(t, streamv1.VisitState_VISIT_STATE_OPEN, first[0].GetState())
		require.Equal(t, ids.VisitID("acme", "s", "c"), first[0].GetVisitId())
		require.EqualValues(t, 2, first[0].GetRevision())

		require.Empty(t, b.take(act("e2", 5, mia, watched(0, 5))))
		require.Empty(t, b.take(act("e3", 10, mia, watched(5, 10))))
		require.Empty(t, b.after(59*time.Second), "the cadence is 60 s")
		second := visits(t, b.after(time.Second))
		require.Len(t, second, 1)
		require.EqualValues(t, 6, second[0].GetRevision())
		require.InDelta(t, 10, second[0].GetPercentWatched(), 0)
		require.Empty(t, b.after(10*time.Minute), "nothing new, nothing sent")
	})

	t.Run("TellsOfAVisitWhenItsPersonBecomesKnown", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "LOOM-23")
		b := setup(t)
		require.Empty(t, b.take(act("e1", 0), act("e2", 5, watched(0, 5))))
		got := b.take(act("e3", 10, mia, watched(5, 9)))
		require.Len(t, got, 1, "at the moment the viewer is known")
		require.Equal(t, noon, got[0].GetStartedAt().AsTime(), "the opening time is kept")
		require.InDelta(t, 9, got[0].GetWatchedSeconds(), 1e-9, "what was seen before counts too")
		require.Equal(t, "e1", got[0].GetFirstEventId())
		require.Equal(t, "e3", got[0].GetLastEventId())
	})

	t.Run("ClosesOnceAtTheCloseWhenNothingMustSettle", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "LOOM-32")
		b := setup(t, settle(0))
		got := b.take(act("e1", 0, mia), act("e2", 5, mia, watched(0, 5)), act("e3", 6, mia, ended), act("e4", 9, mia, watched(5, 8)))
		require.Len(t, got, 1, "what follows the close does not change what the close said, and waits for the cadence")
		require.Equal(t, streamv1.VisitState_VISIT_STATE_CLOSED, got[0].GetState())
		require.Equal(t, streamv1.CloseCause_CLOSE_CAUSE_EXPLICIT, got[0].GetCloseCause())
		require.EqualValues(t, 2*3+1, got[0].GetRevision())
		require.InDelta(t, 5, got[0].GetWatchedSeconds(), 1e-9)
		require.Equal(t, noon.Add(6*time.Second), got[0].GetLastActivityAt().AsTime())

		reopened := visits(t, b.after(time.Minute))
		require.Len(t, reopened, 1)
		require.Equal(t, streamv1.VisitState_VISIT_STATE_OPEN, reopened[0].GetState())
		require.InDelta(t, 8, reopened[0].GetWatchedSeconds(), 1e-9)
	})

	t.Run("WaitsForTheSettlingDelay", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-18")
		b := setup(t)
		b.take(act("e1", 0, mia, page(1, 10)))
		require.Empty(t, b.take(act("e2", 11, mia, left(3))))
		require.Empty(t, b.after(time.Minute+59*time.Second), "the close is not told before 2 min are over")
		b.now = b.now.Add(-time.Second)
		for _, v := range append(b.take(act("e3", 100, mia, page(5, 4))), visits(t, b.after(2*time.Minute))...) {
			require.Equal(t, streamv1.VisitState_VISIT_STATE_OPEN, v.GetState(), "the visit goes on")
		}
		require.Empty(t, b.take(act("e4", 300, mia, left(6))))
		got := visits(t, b.after(2*time.Minute))
		require.Len(t, got, 1, "exactly one closed trigger")
		require.Equal(t, streamv1.VisitState_VISIT_STATE_CLOSED, got[0].GetState())
		require.EqualValues(t, 6, got[0].GetExitPage())
		require.InDelta(t, 14, got[0].GetDwellSeconds(), 1e-9)
		require.Equal(t, noon.Add(300*time.Second), got[0].GetLastActivityAt().AsTime())
	})

	t.Run("ClosesAfterSilence", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-18")
		t.Attr("requirement", "LOOM-32")
		b := setup(t)
		b.take(act("e1", 0, mia, page(2, 30)))
		require.Empty(t, b.after(29*time.Minute))
		got := visits(t, b.after(time.Minute))
		require.Len(t, got, 1)
		require.Equal(t, streamv1.CloseCause_CLOSE_CAUSE_SILENCE, got[0].GetCloseCause())
		require.Equal(t, noon, got[0].GetLastActivityAt().AsTime(), "the closing time is that of the last activity")
		require.EqualValues(t, 2, got[0].GetExitPage())
		require.Empty(t, b.after(time.Hour), "closed once")
	})

	t.Run("ALateActivityReopensAndRecloses", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "LOOM-32")
		t.Attr("requirement", "XC-6")
		b := setup(t, settle(0))
		closed := b.take(act("e1", 0, mia), act("e3", 20, mia, ended))
		require.Len(t, closed, 1)
		b.now = b.now.Add(3 * time.Hour)
		got := b.take(act("e2", 10, mia, watched(0, 10)))
		require.Len(t, got, 1, "it happened before the close, so the visit is closed again at once")
		require.Equal(t, streamv1.VisitState_VISIT_STATE_CLOSED, got[0].GetState())
		require.Greater(t, got[0].GetRevision(), closed[0].GetRevision())
		require.InDelta(t, 10, got[0].GetWatchedSeconds(), 1e-9)
		require.Equal(t, noon.Add(20*time.Second), got[0].GetLastActivityAt().AsTime())
	})

	t.Run("SaysThatNobodyWasKnown", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "LOOM-26")
		b := setup(t, settle(0))
		messages := b.process(b.records(act("e1", 0), act("e2", 4, ended)))
		require.Len(t, messages, 1)
		got := outcomes(t, messages)[0]
		require.Equal(t, streamv1.Status_STATUS_SKIPPED, got.GetStatus())
		require.Equal(t, streamv1.Reason_REASON_IDENTITY_UNKNOWN, got.GetReason())
		require.Equal(t, "e1", got.GetEventId())
		require.Equal(t, ids.VisitID("acme", "s", "c"), got.GetVisitId())

		require.Empty(t, b.process(b.records(act("e3", 2, watched(0, 2)))), "said once")
		require.Len(t, b.take(act("e4", 3, mia, watched(2, 3))), 1, "an address still counts")
	})

	t.Run("SendsAVisitBelowTheViewThresholdWithAClick", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "LOOM-30")
		b := setup(t, settle(0))
		got := b.take(act("e1", 0, mia, watched(0, 2)), act("e2", 3, mia, clicked("book")), act("e3", 4, mia, ended))
		require.Len(t, got, 1)
		require.False(t, got[0].GetCountsAsView())
		require.EqualValues(t, 1, got[0].GetCallToAction().GetClicks())
		require.Equal(t, "book", got[0].GetCallToAction().GetLastLabel())
	})
}

func TestMoving(t *testing.T) {
	t.Parallel()
	signedIn := by("noa", streamv1.Evidence_EVIDENCE_SIGNED_IN)

	t.Run("StrongerEvidenceTakesTheVisitToTheRightPerson", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first := b.take(act("e1", 0, mia, watched(0, 30)))
		require.Equal(t, "mia", first[0].GetSubject().GetPersonKey())

		got := b.take(act("e2", 31, signedIn))
		require.Len(t, got, 2)
		require.True(t, got[0].GetWithdrawn())
		require.Equal(t, "mia", got[0].GetSubject().GetPersonKey())
		require.Greater(t, got[0].GetRevision(), first[0].GetRevision())
		require.False(t, got[1].GetWithdrawn())
		require.Equal(t, "noa", got[1].GetSubject().GetPersonKey())
		require.InDelta(t, 30, got[1].GetWatchedSeconds(), 1e-9)

		require.Empty(t, b.take(act("e3", 40, mia)), "weaker evidence does not take it back")
	})

	t.Run("WithdrawsEvenWhatTheStateDoesNotKnowWasSent", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		batch := b.records(act("e1", 0, mia), act("e2", 31, signedIn))
		require.Len(t, b.attempt(batch[:1]).Messages(), 1)
		b.state.Rollback() // The process died after it had sent, before it saved.
		got := visits(t, b.process(batch))
		require.Len(t, got, 2)
		require.True(t, got[0].GetWithdrawn())
		require.Equal(t, "noa", got[1].GetSubject().GetPersonKey())
	})

	t.Run("WithinOneKindTheLatestWins", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.take(act("e1", 10, by("a", streamv1.Evidence_EVIDENCE_LINK)))
		require.Empty(t, b.take(act("e2", 5, by("b", streamv1.Evidence_EVIDENCE_LINK))), "older evidence of the same kind")
		got := b.take(act("e3", 20, by("c", streamv1.Evidence_EVIDENCE_LINK)))
		require.Len(t, got, 2)
		require.Equal(t, "c", got[1].GetSubject().GetPersonKey())
	})
}
