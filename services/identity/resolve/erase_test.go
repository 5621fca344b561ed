package resolve_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/identity/directory"
	"github.com/throughline-dev/throughline/services/identity/resolve"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// suppress erases a person, by key; lifted may be zero.
func (b *bundle) suppress(personKey string, lifted time.Time) {
	b.Helper()
	snapshot := b.build.Snapshot()
	s := &configv1.Suppression{PersonKey: personKey, Since: timestamppb.New(noon)}
	if !lifted.IsZero() {
		s.LiftedAt = timestamppb.New(lifted)
	}
	snapshot.Workspaces[0].Suppressions = append(snapshot.Workspaces[0].Suppressions, s)
	view, err := settings.NewView(snapshot, b.build.Installation())
	require.NoError(b, err)
	b.source = settings.Static(view)
}

func requireErased(t *testing.T, messages []stage.Message) {
	t.Helper()
	require.Empty(t, resolvedOf(t, messages))
	told := outcomesOf(t, messages)
	require.Len(t, told, 1)
	require.Equal(t, streamv1.Status_STATUS_SKIPPED, told[0].GetStatus())
	require.Equal(t, streamv1.Reason_REASON_ERASED_SUBJECT, told[0].GetReason())
	require.Equal(t, "identity", told[0].GetStage())
	require.NotContains(t, told[0].String(), "mia")
	require.Empty(t, told[0].GetEngagementId())
}

func TestTheErasedAreNotLookedFor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Len(t, resolvedOf(t, b.process(b.record()).Messages()), 2)
	b.dir.asked = nil
	b.suppress("mia", time.Time{})
	out := b.process(b.record(func(e *streamv1.Engagement) { e.Subject.Sealed = []byte("never opened") }))
	require.Empty(t, out.DeadLetters())
	requireErased(t, out.Messages())
	require.Empty(t, b.dir.asked)
	require.EqualValues(t, 1, b.stats.Erased.Load())

	b.suppress("mia", noon.Add(time.Nanosecond))
	requireErased(t, b.process(b.record()).Messages())
	b.suppress("mia", noon)
	require.Len(t, resolvedOf(t, b.process(b.record()).Messages()), 2, "let in again")
}

func TestWhatWaitedForAnOrgEndsWhenItsPersonIsErased(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.dir.set("prod", directory.Answer{Err: &salesforce.Error{Class: salesforce.ClassTransient, Reason: "SF_LOCKED"}})
	m := b.process(b.record()).Messages()[0]
	require.Equal(t, topic.Unresolved, m.Topic)
	b.dir.set("prod", mia())
	b.suppress("mia", time.Time{})
	b.dir.asked = nil
	port := stagetest.NewPort(nil)
	r := resolve.NewRetrier(b.cfg, b.deps(), port)
	require.NoError(t, r.Accept(t.Context(), stage.Record{
		Topic: topic.Unresolved, Offset: 3, Time: noon, Key: m.Key, Value: m.Value,
		Headers: append(m.Headers, stage.Header{Key: stage.HeaderTraceParent, Value: []byte("trace")}),
	}))
	b.clock.Advance(b.cfg.RetryMin)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, port.Await(ctx, func(p *stagetest.Port) bool { return len(p.Settled()) == 1 }))
	require.NoError(t, r.Drain(context.Background()))
	requireErased(t, port.Published())
	require.Empty(t, b.dir.asked)
	require.Empty(t, port.DeadLetters())
}

func TestAnErasedOwnerIsNotLookedFor(t *testing.T) {
	t.Parallel()
	asked := &askedOwners{}
	for _, erase := range []bool{false, true} {
		b := setup(t)
		if erase {
			b.suppress("boss", time.Time{})
		}
		deps := b.deps()
		deps.Directory = asked
		rec := b.record(func(e *streamv1.Engagement) { e.Content.OwnerKey, e.Content.OwnerSealed = "boss", []byte("sealed") })
		require.NoError(t, resolve.NewProcessor(b.cfg, deps).Process(t.Context(), []stage.Record{rec}, new(stage.Outbox)))
	}
	require.Equal(t, []string{"boss", "boss", "", ""}, asked.owners)
}

// askedOwners answers nothing and notes which owners it was asked for.
type askedOwners struct{ owners []string }

func (a *askedOwners) Look(_ context.Context, asks []directory.Ask) []directory.Answer {
	for _, ask := range asks {
		a.owners = append(a.owners, ask.Owner.Key)
	}
	return make([]directory.Answer, len(asks))
}

func TestTheDirectoryIsToldWhomToForget(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *settingstest.Builder) { s.Workspace("globex") })
	var told []bool
	deps := b.deps()
	deps.Forget = func(erased func(workspace, personKey string) bool) {
		told = append(told, erased("acme", "mia"), erased("acme", "ren"), erased("globex", "mia"))
	}
	p := resolve.NewProcessor(b.cfg, deps)
	require.NoError(t, p.Process(t.Context(), []stage.Record{b.record()}, new(stage.Outbox)))
	require.Empty(t, told, "nobody was erased")
	b.suppress("mia", time.Time{})
	deps.Settings = b.source
	p = resolve.NewProcessor(b.cfg, deps)
	for range 2 {
		require.NoError(t, p.Process(t.Context(), []stage.Record{b.record()}, new(stage.Outbox)))
	}
	require.Equal(t, []bool{true, false, false}, told, "once")
}
