package collect_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
)

func tellsUnknown(b *bundle) { b.curious = true }

// IMM-36: a document that nobody known has read is told of when somebody wants to hear of it.
func TestUnknownViewers(t *testing.T) {
	t.Parallel()

	t.Run("AClosedDocumentGoesOnWithoutAPersonOnce", func(t *testing.T) {
		t.Parallel()
		b := setup(t, settle(0), tellsUnknown)
		messages := b.process(b.records(act("e1", 0, page(2, 7)), act("e2", 9, left(2))))
		require.Empty(t, outcomes(t, messages), "what becomes of it is said further on")
		sent := visits(t, messages)
		require.Len(t, sent, 1)
		require.Equal(t, "acme/anonymous-"+ids.VisitID("acme", "s", "c"), string(messages[0].Key))
		require.Nil(t, sent[0].GetSubject())
		require.True(t, sent[0].GetToldUnknown())
		require.Equal(t, streamv1.VisitState_VISIT_STATE_CLOSED, sent[0].GetState())
		require.EqualValues(t, 2, sent[0].GetExitPage())
		require.EqualValues(t, 7, sent[0].GetDwellSeconds())

		b.restart()
		require.Empty(t, b.process(b.records(act("e3", 11, page(3, 1)), act("e4", 12, left(3)))), "told once")
		require.EqualValues(t, 1, b.stats.Anonymous.Load())
	})

	t.Run("APersonWhoBecomesKnownGetsTheWholeVisit", func(t *testing.T) {
		t.Parallel()
		b := setup(t, settle(0), tellsUnknown)
		unknown := b.take(act("e1", 0, page(2, 7)), act("e2", 9, left(2)))
		b.restart()
		known := b.take(act("e3", 11, mia, page(3, 1)), act("e4", 12, mia, left(3)))
		require.NotEmpty(t, known)
		for _, v := range known {
			require.Equal(t, "mia", v.GetSubject().GetPersonKey())
			require.Equal(t, unknown[0].GetVisitId(), v.GetVisitId(), "the same visit")
			require.True(t, v.GetToldUnknown())
			require.False(t, v.GetWithdrawn())
			require.EqualValues(t, 8, v.GetDwellSeconds())
			require.Equal(t, unknown[0].GetFirstClosedAt().AsTime(), v.GetFirstClosedAt().AsTime())
		}
	})

	t.Run("NobodyWantsToHearOfItThenItIsSkipped", func(t *testing.T) {
		t.Parallel()
		for name, activities := range map[string][]*streamv1.Activity{
			"a video":                       {act("e1", 0, watched(0, 9)), act("e2", 9, ended)},
			"before anybody wanted to hear": {act("e1", -60, page(2, 7)), act("e2", -9, left(2))},
		} {
			b := setup(t, settle(0), tellsUnknown)
			messages := b.process(b.records(activities...))
			require.Empty(t, visits(t, messages), name)
			told := outcomes(t, messages)
			require.Len(t, told, 1, name)
			require.Equal(t, streamv1.Reason_REASON_IDENTITY_UNKNOWN, told[0].GetReason())
		}
		b := setup(t, settle(0))
		require.Len(t, outcomes(t, b.process(b.records(act("e1", 0, page(2, 7)), act("e2", 9, left(2))))), 1, "off by default")
	})

	t.Run("SilenceClosesItToo", func(t *testing.T) {
		t.Parallel()
		b := setup(t, tellsUnknown)
		require.Empty(t, b.take(act("e1", 0, page(2, 7))))
		sent := visits(t, b.after(31*time.Minute))
		require.Len(t, sent, 1)
		require.True(t, sent[0].GetToldUnknown())
		require.Equal(t, streamv1.CloseCause_CLOSE_CAUSE_SILENCE, sent[0].GetCloseCause())
	})
}

// The day of a visit is that of its first close, however often it is closed (IMM-21).
func TestTheFirstCloseIsRemembered(t *testing.T) {
	t.Parallel()
	b := setup(t, settle(0))
	b.take(act("e1", 0, mia, page(2, 7)))
	first := b.take(act("e2", 9, mia, left(2)))
	require.Equal(t, noon.Add(9*time.Second), first[len(first)-1].GetFirstClosedAt().AsTime())
	b.restart()
	again := b.take(act("e3", 80000, mia, page(3, 7)), act("e4", 80001, mia, left(3)))
	last := again[len(again)-1]
	require.Equal(t, noon.Add(80001*time.Second), last.GetLastActivityAt().AsTime())
	require.Equal(t, noon.Add(9*time.Second), last.GetFirstClosedAt().AsTime())
}
