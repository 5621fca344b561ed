package collect_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	statev1 "github.com/throughline-dev/throughline/proto/throughline/state/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/visits/collect"
)

// erased are the people who were erased in acme, with the time from which they count again; zero for never.
type erased struct {
	people map[string]time.Time
	mark   uint64
	err    error
}

func (e *erased) Mark() (uint64, error) { return e.mark, e.err }

func (e *erased) Erased(workspace, person string, at time.Time) bool {
	lifted, ok := e.people[person]
	return ok && workspace == "acme" && (lifted.IsZero() || at.Before(lifted))
}

func (e *erased) erase(person string) { e.people[person], e.mark = time.Time{}, e.mark+1 }

// erasing is a partition whose processor heeds erasures.
func erasing(t *testing.T, change ...func(*bundle)) (*bundle, *erased) {
	t.Helper()
	b := setup(t, change...)
	e := &erased{people: map[string]time.Time{}}
	b.heed(e)
	return b, e
}

// heed builds the processor anew, with erasures.
func (b *bundle) heed(e *erased) {
	b.Helper()
	var err error
	b.proc, err = collect.New(b.cfg, collect.Deps{Rules: fixedRules(b.rules), Erasures: e, Stats: b.stats, Now: b.now}, b.state)
	require.NoError(b, err)
}

// requireErased checks that an outcome says why and does not say of whom.
func requireErased(t *testing.T, o *streamv1.Outcome) {
	t.Helper()
	require.Equal(t, streamv1.Status_STATUS_SKIPPED, o.GetStatus())
	require.Equal(t, streamv1.Reason_REASON_ERASED_SUBJECT, o.GetReason())
	require.Equal(t, "visits", o.GetStage())
	require.NotContains(t, o.String(), "mia")
}

func TestActivitiesOfTheErasedGoNoFurther(t *testing.T) {
	t.Parallel()
	b, e := erasing(t)
	e.erase("mia")
	out := b.process(b.records(act("e1", 0, mia), act("e2", 5, by("ren", streamv1.Evidence_EVIDENCE_ASKED), func(a *streamv1.Activity) { a.Session = "other" })))
	told := outcomes(t, out)
	require.Len(t, told, 1)
	requireErased(t, told[0])
	require.Equal(t, "e1", told[0].GetEventId())
	require.Len(t, visits(t, out), 1, "others are untouched")
	require.Equal(t, 1, b.state.Len())
	require.EqualValues(t, 1, b.stats.Erased.Load())

	// Let in again: what happens from then on counts, what a replay brings back does not.
	e.people["mia"], e.mark = noon.Add(time.Minute), e.mark+1
	out = b.process(b.records(act("e3", 30, mia), act("e4", 61, mia)))
	told = outcomes(t, out)
	require.Len(t, told, 1)
	require.Equal(t, "e3", told[0].GetEventId())
	got := visits(t, out)
	require.Len(t, got, 1)
	require.EqualValues(t, 1, got[0].GetActivities())
}

func TestOpenVisitsOfTheErasedAreDropped(t *testing.T) {
	t.Parallel()
	b, e := erasing(t)
	b.take(act("e1", 0, mia), act("e2", 5, mia, watched(0, 40)))
	b.take(act("e3", 0, by("ren", streamv1.Evidence_EVIDENCE_ASKED), func(a *streamv1.Activity) { a.Session = "other" }))
	require.Equal(t, 2, b.state.Len())
	require.Empty(t, outcomes(t, b.after(time.Second)))

	e.erase("mia")
	// A tick whose effects are lost is repeated.
	lost := new(stage.Outbox)
	require.NoError(t, b.proc.Tick(t.Context(), b.now, lost))
	b.state.Rollback()
	require.Len(t, outcomes(t, lost.Messages()), 1)
	told := outcomes(t, b.after(time.Second))
	require.Len(t, told, 1)
	requireErased(t, told[0])
	require.NotEmpty(t, told[0].GetVisitId())
	require.Equal(t, 1, b.state.Len())
	b.state.Range(func(_ string, value []byte) bool {
		require.NotContains(t, string(value), "mia")
		return true
	})
	require.Empty(t, outcomes(t, b.after(time.Second)), "told once")

	// The session goes on with nobody known: it is somebody's no more.
	require.Empty(t, b.take(act("e4", 10)))
	require.Nil(t, b.savedState().GetVisit().GetSubject())
	require.EqualValues(t, 1, b.savedState().GetVisit().GetActivities())
}

func TestAnErasureWhileTheProcessWasAwayIsFoundAtTheStart(t *testing.T) {
	t.Parallel()
	b, e := erasing(t)
	b.take(act("e1", 0, mia))
	e.erase("mia")
	b.heed(e)
	require.Len(t, outcomes(t, b.after(time.Second)), 1)
	require.Zero(t, b.state.Len())
}

func TestAnActivityThatComesBeforeTheTickMeetsNothingOfTheErased(t *testing.T) {
	t.Parallel()
	b, e := erasing(t)
	b.take(act("e1", 0, mia, watched(0, 40)))
	e.erase("mia")
	out := b.process(b.records(act("e2", 5))) // of the same session, with nobody named
	require.Empty(t, visits(t, out))
	told := outcomes(t, out)
	require.Len(t, told, 1)
	requireErased(t, told[0])
	require.Nil(t, b.savedState().GetVisit().GetSubject())
	require.Empty(t, b.savedState().GetVisit().GetRanges())
}

func TestAnErasedOwnerIsTakenOut(t *testing.T) {
	t.Parallel()
	owned := func(a *streamv1.Activity) { a.Content.OwnerKey, a.Content.OwnerSealed = "boss", []byte("sealed boss") }
	b, e := erasing(t)
	b.take(act("e1", 0, mia, owned))
	e.erase("boss")
	require.Empty(t, outcomes(t, b.after(time.Second)), "the viewer's visit goes on")
	require.Empty(t, b.savedState().GetVisit().GetContent().GetOwnerKey())
	b.take(act("e2", 5, mia, owned))
	b.state.Range(func(_ string, value []byte) bool {
		state := new(statev1.OpenVisit)
		require.NoError(t, proto.Unmarshal(value, state))
		require.Empty(t, state.GetVisit().GetContent().GetOwnerSealed())
		require.EqualValues(t, 2, state.GetVisit().GetActivities())
		return true
	})
}

func TestManyVisitsAreDroppedSomeAtATime(t *testing.T) {
	t.Parallel()
	b, e := erasing(t, func(b *bundle) { b.cfg.TickVisits = 2 })
	for _, session := range []string{"a", "b", "c", "d", "e"} {
		b.take(act("e-"+session, 0, mia, func(a *streamv1.Activity) { a.Session = session }))
	}
	e.erase("mia")
	require.Len(t, outcomes(t, b.after(time.Second)), 5)
	require.Zero(t, b.state.Len())
}

func TestWithoutSettingsNothingIsDecided(t *testing.T) {
	t.Parallel()
	b, e := erasing(t)
	e.err = errors.New("no settings yet")
	out := new(stage.Outbox)
	require.ErrorIs(t, b.proc.Process(t.Context(), b.records(act("e1", 0, mia)), out), e.err)
	require.ErrorIs(t, b.proc.Tick(t.Context(), b.now, out), e.err)
	require.Empty(t, out.Messages())
}
