package mapping

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// suppress erases people, by key; lifted may be zero.
func (b *testBundle) suppress(t *testing.T, lifted time.Time, personKeys ...string) {
	t.Helper()
	snapshot := b.builder.Snapshot()
	for _, key := range personKeys {
		s := &configv1.Suppression{PersonKey: key, Since: timestamppb.New(integrationtest.Left)}
		if !lifted.IsZero() {
			s.LiftedAt = timestamppb.New(lifted)
		}
		snapshot.Workspaces[0].Suppressions = append(snapshot.Workspaces[0].Suppressions, s)
	}
	view, err := settings.NewView(snapshot, b.builder.Installation())
	require.NoError(t, err)
	b.view = view
}

func TestNothingIsMadeOfTheErased(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := integrationtest.Document()
	person := in.Resolved.GetEngagement().GetSubject().GetPersonKey()
	rec := b.record(t, in)
	writes, _ := sent(t, b.driver.Process(rec))
	require.Len(t, writes, 2)
	for _, w := range writes {
		require.Equal(t, person, w.GetPersonKey())
	}

	b.suppress(t, time.Time{}, person)
	in.Resolved.Engagement.Subject.Sealed = []byte("never opened")
	// A replay that maps by the newest rules makes nothing of them either.
	again := b.record(t, in)
	again.Headers = append(again.Headers, stage.Header{Key: topic.HeaderRemap, Value: []byte((&topic.Remap{WriteKey: writes[0].GetWriteKey()}).String())})
	for _, r := range []stage.Record{b.record(t, in), again} {
		out := b.driver.Process(r)
		writes, outcomes := sent(t, out)
		require.Empty(t, writes)
		require.Empty(t, out.DeadLetters())
		require.Len(t, outcomes, 1)
		require.Equal(t, streamv1.Status_STATUS_SKIPPED, outcomes[0].GetStatus())
		require.Equal(t, streamv1.Reason_REASON_ERASED_SUBJECT, outcomes[0].GetReason())
		require.Equal(t, "mapping", outcomes[0].GetStage())
		require.NotContains(t, outcomes[0].String(), person)
	}
	require.EqualValues(t, 2, b.tally.stats().Refused["ERASED_SUBJECT"])

	b.suppress(t, integrationtest.Left, person)
	writes, _ = sent(t, b.driver.Process(rec))
	require.Len(t, writes, 2, "let in again")
}

func TestAnErasedOwnerIsNotOpened(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := integrationtest.Document()
	owner := "owner-key"
	in.Resolved.Engagement.Content.OwnerKey = owner
	rec := b.record(t, in)
	b.suppress(t, time.Time{}, owner)
	writes, _ := sent(t, b.driver.Process(rec))
	require.NotEmpty(t, writes)
	ws, _ := b.view.Workspace("acme")
	for _, w := range writes {
		plain, err := ws.Keys().Open(w.GetSealedFields())
		require.NoError(t, err)
		require.NotContains(t, string(plain), in.Owner.GetEmail())
	}
}
