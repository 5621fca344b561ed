package reports

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

func TestEachRowCountsOnce(t *testing.T) {
	t.Attr("requirement", "WALK-33")
	t.Parallel()
	for name, c := range map[string]struct {
		kept store.RunCounts
		want *configv1.ReportRunCounts
	}{
		"a run under way": {
			store.RunCounts{Rows: 10, Handed: 6, Unchanged: 1, Unmatched: 1, Failed: 1, WroteDone: 2, WroteUnchanged: 1, WroteFailed: 1, WroteSkipped: 1},
			&configv1.ReportRunCounts{Rows: 10, Written: 2, Unchanged: 2, Unmatched: 1, Failed: 2, Skipped: 1, Pending: 1},
		},
		"answers to a worker that went away before its chunk was recorded": {
			store.RunCounts{Rows: 4, Handed: 1, Unchanged: 3, WroteDone: 3},
			&configv1.ReportRunCounts{Rows: 4, Written: 3, Unchanged: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Message(store.ReportRun{Status: store.RunRunning, Counts: c.kept, StartedAt: time.Unix(0, 0)}, time.Unix(9, 0))
			require.NoError(t, err)
			require.True(t, proto.Equal(c.want, got.GetCounts()), "%v", got.GetCounts())
			require.Equal(t, 9*time.Second, got.GetRunTime().AsDuration())
		})
	}
}
