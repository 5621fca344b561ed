package accumulate_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/visits/accumulate"
	"github.com/throughline-dev/throughline/services/visits/totals"
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

// sent splits what came out.
func sent(t *testing.T, out *stage.Outbox) (engagements []*streamv1.Engagement, told []*streamv1.Outcome) {
	t.Helper()
	for _, m := range out.Messages() {
		if m.Topic == topic.Outcomes {
			o := new(streamv1.Outcome)
			require.NoError(t, proto.Unmarshal(m.Value, o))
			told = append(told, o)
			continue
		}
		e := new(streamv1.Engagement)
		require.NoError(t, proto.Unmarshal(m.Value, e))
		engagements = append(engagements, e)
	}
	return engagements, told
}

func TestTotalsForgetTheErased(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := &erased{people: map[string]time.Time{}}
	p := accumulate.New(totals.DefaultLimits(), b.stats, b.state).Erasing(e, noon)
	process := func(visits ...*streamv1.Visit) ([]*streamv1.Engagement, []*streamv1.Outcome) {
		out := new(stage.Outbox)
		require.NoError(t, p.Process(t.Context(), b.records(visits...), out))
		b.state.Commit()
		return sent(t, out)
	}
	tick := func() {
		require.NoError(t, p.Tick(t.Context(), noon, new(stage.Outbox)))
		b.state.Commit()
	}
	of := func(person string) func(*streamv1.Visit) {
		return func(v *streamv1.Visit) { v.Subject.PersonKey = person }
	}
	process(sitting("v1", 2, watched(0, 40), closed), sitting("v2", 2, watched(0, 40), closed, of("ren")))
	require.Equal(t, 2, b.state.Len())
	tick()
	require.Equal(t, 2, b.state.Len())

	e.people["mia"], e.mark = time.Time{}, 1
	engagements, told := process(sitting("v3", 4, watched(0, 50), closed), sitting("v4", 4, watched(0, 50), closed, of("ren")))
	require.Len(t, engagements, 1, "others are untouched")
	require.Equal(t, "ren", engagements[0].GetSubject().GetPersonKey())
	require.Len(t, told, 1)
	require.Equal(t, streamv1.Status_STATUS_SKIPPED, told[0].GetStatus())
	require.Equal(t, streamv1.Reason_REASON_ERASED_SUBJECT, told[0].GetReason())
	require.Equal(t, "v3", told[0].GetVisitId())
	require.NotContains(t, told[0].String(), "mia")

	require.NoError(t, p.Tick(t.Context(), noon, new(stage.Outbox)))
	b.state.Rollback() // the tick did not take effect
	require.Equal(t, 2, b.state.Len())
	tick()
	require.Equal(t, 1, b.state.Len())
	tick()

	// Let in again: she begins anew.
	e.people["mia"], e.mark = noon.Add(time.Hour), 2
	later := func(v *streamv1.Visit) {
		v.StartedAt, v.LastActivityAt = timestamppb.New(noon.Add(time.Hour)), timestamppb.New(noon.Add(2*time.Hour))
	}
	engagements, told = process(sitting("v1", 2, watched(0, 40), closed), sitting("v5", 6, watched(0, 10), closed, later))
	require.Len(t, told, 1, "what a replay brings back stays out")
	require.Len(t, engagements, 1)
	require.EqualValues(t, 1, engagements[0].GetVisits())
	require.InDelta(t, 10, engagements[0].GetPercentWatched(), 0)
	tick()
	require.Equal(t, 2, b.state.Len())
}

func TestTotalsFromBeforeTheLiftAreNotTakenUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.take(sitting("v1", 2, watched(0, 40), closed))
	e := &erased{people: map[string]time.Time{"mia": noon.Add(time.Hour)}, mark: 1}
	p := accumulate.New(totals.DefaultLimits(), b.stats, b.state).Erasing(e, noon)
	out := new(stage.Outbox)
	require.NoError(t, p.Process(t.Context(), b.records(sitting("v5", 6, watched(0, 10), closed, func(v *streamv1.Visit) {
		v.LastActivityAt = timestamppb.New(noon.Add(2 * time.Hour))
	})), out))
	engagements, _ := sent(t, out)
	require.Len(t, engagements, 1)
	require.EqualValues(t, 1, engagements[0].GetVisits())
}

func TestWithoutSettingsNoTotalsAreKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := &erased{err: errors.New("no settings yet")}
	p := accumulate.New(totals.DefaultLimits(), b.stats, b.state).Erasing(e, noon)
	require.ErrorIs(t, p.Process(t.Context(), b.records(sitting("v1", 2)), new(stage.Outbox)), e.err)
	require.ErrorIs(t, p.Tick(t.Context(), noon, new(stage.Outbox)), e.err)
}
