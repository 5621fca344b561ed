package accumulate_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

func TestARegistrationIsAnEngagementByItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	registration := func(visit string, revision int64) *streamv1.Visit {
		return &streamv1.Visit{
			VisitId: visit, Workspace: "acme", Session: visit, Revision: revision, State: streamv1.VisitState_VISIT_STATE_CLOSED,
			Content:        &streamv1.Content{ContentId: "summit", Kind: streamv1.ContentKind_CONTENT_KIND_EVENT},
			Subject:        &streamv1.Subject{PersonKey: "mia"},
			LastActivityAt: timestamppb.New(noon), LastEventId: "e", Registration: &streamv1.Registration{RegistrationId: visit},
		}
	}
	got := b.take(registration("one", 900), registration("two", 800), registration("one", 700), registration("one", 900))
	require.Len(t, got, 4, "none holds another back: whoever writes goes by the revision")
	require.NotEqual(t, got[0].GetEngagementId(), got[1].GetEngagementId(), "two tickets of one person")
	require.Equal(t, got[0].GetEngagementId(), got[2].GetEngagementId())
	for n, revision := range []int64{900, 800, 700, 900} {
		require.Equal(t, revision, got[n].GetRevision())
		require.Zero(t, got[n].GetVisits())
	}
	require.Zero(t, b.state.Len())
}
