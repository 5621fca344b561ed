package accumulate_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
)

// A visit of an unknown viewer is an engagement of its own: it adds up with nothing and leaves nothing behind (IMM-36).
func TestAVisitOfAnUnknownViewerStandsAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	unknown := func(id string) *streamv1.Visit {
		return sitting(id, 5, watched(0, 10), func(v *streamv1.Visit) {
			v.Subject, v.ToldUnknown, v.State = nil, true, streamv1.VisitState_VISIT_STATE_CLOSED
		})
	}
	batch := b.records(unknown("v1"), unknown("v2"))
	out := b.process(batch)
	require.Empty(t, out.DeadLetters())
	require.Len(t, out.Messages(), 2)
	seen := map[string]bool{}
	for i, m := range out.Messages() {
		e := new(streamv1.Engagement)
		require.NoError(t, proto.Unmarshal(m.Value, e))
		id := e.GetVisit().GetVisitId()
		require.Equal(t, "acme/anonymous-"+id, string(m.Key))
		require.Equal(t, ids.EngagementID("acme", "anonymous-"+id, "c"), e.GetEngagementId())
		require.Nil(t, e.GetSubject())
		require.EqualValues(t, 1, e.GetVisits())
		require.Equal(t, batch[i].Offset+1, e.GetRevision())
		require.EqualValues(t, 10, e.GetWatchedSeconds())
		seen[e.GetEngagementId()] = true
	}
	require.Len(t, seen, 2)
	b.state.Range(func(key string, _ []byte) bool {
		t.Errorf("state %q was kept", key)
		return true
	})
	require.Equal(t, out.Messages(), b.process(batch).Messages(), "a repetition comes to the same")

	nobody := sitting("v3", 5, func(v *streamv1.Visit) { v.Subject = nil })
	require.Len(t, b.process(b.records(nobody)).DeadLetters(), 1, "a visit that should have a person")
}
