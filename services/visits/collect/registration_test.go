package collect_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

func registered(change streamv1.RegistrationChange, at time.Time) *streamv1.Activity {
	return &streamv1.Activity{
		EventId: change.String(), Workspace: "acme", Session: "r-1", OccurredAt: timestamppb.New(at), SettingsRevision: 3,
		Content: &streamv1.Content{ContentId: "summit", Kind: streamv1.ContentKind_CONTENT_KIND_EVENT, Title: "Summit"},
		Subject: &streamv1.Subject{PersonKey: "mia", Sealed: []byte("who"), Evidence: streamv1.Evidence_EVIDENCE_ASKED},
		Detail: &streamv1.Activity_Registration{Registration: &streamv1.Registration{
			RegistrationId: "r-1", Change: change, TicketName: "Early", Sealed: []byte("what"),
		}},
	}
}

const (
	made      = streamv1.RegistrationChange_REGISTRATION_CHANGE_CREATED
	changed   = streamv1.RegistrationChange_REGISTRATION_CHANGE_CHANGED
	cancelled = streamv1.RegistrationChange_REGISTRATION_CHANGE_CANCELLED
)

func TestARegistrationIsPassedOnAndNothingIsRemembered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := registered(made, noon)
	messages := b.process(b.records(a, a))
	require.Len(t, messages, 2)
	require.Equal(t, messages[0].Value, messages[1].Value, "a repetition is the same, whatever its offset")
	require.Equal(t, messages[0].ID, messages[1].ID)
	require.Equal(t, topic.PersonKey("acme", "mia"), messages[0].Key)
	v := visits(t, messages)[0]
	require.True(t, proto.Equal(a.GetRegistration(), v.GetRegistration()))
	require.Equal(t, streamv1.VisitState_VISIT_STATE_CLOSED, v.GetState())
	require.Equal(t, []string{"r-1", "summit", "Summit", made.String()},
		[]string{v.GetSession(), v.GetContent().GetContentId(), v.GetContent().GetTitle(), v.GetLastEventId()})
	require.Equal(t, "who", string(v.GetSubject().GetSealed()))
	require.Zero(t, b.state.Len())
	require.False(t, v.GetBulk())

	replayed := b.records(a)
	replayed[0].Headers = append(replayed[0].Headers, stage.Header{Key: topic.HeaderClass, Value: []byte(topic.ClassBulk)})
	require.True(t, visits(t, b.process(replayed))[0].GetBulk())
}

func TestTheRevisionOfARegistrationIsItsTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	late := b.take(registered(changed, noon.Add(time.Microsecond)), registered(cancelled, noon), registered(changed, noon), registered(made, noon))
	for n := 1; n < len(late); n++ {
		require.Equal(t, late[0].GetVisitId(), late[n].GetVisitId())
		require.Greater(t, late[n-1].GetRevision(), late[n].GetRevision(), "they came in the reverse order")
	}
}

func TestARegistrationWithoutAPersonIsGivenUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, change := range []func(*streamv1.Activity){
		func(a *streamv1.Activity) { a.Subject = nil },
		func(a *streamv1.Activity) { a.GetRegistration().RegistrationId = "" },
	} {
		a := registered(made, noon)
		change(a)
		out := b.attempt(b.records(a))
		require.Empty(t, out.Messages())
		require.Len(t, out.DeadLetters(), 1)
	}
}

func TestRegistrationsOfTheErasedGoNoFurther(t *testing.T) {
	t.Parallel()
	b, e := erasing(t)
	e.erase("mia")
	messages := b.process(b.records(registered(made, noon)))
	require.Len(t, messages, 1)
	o := &streamv1.Outcome{}
	require.NoError(t, proto.Unmarshal(messages[0].Value, o))
	requireErased(t, o)
}
