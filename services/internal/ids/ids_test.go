package ids_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/services/internal/ids"
)

func TestIDs(t *testing.T) {
	t.Parallel()

	t.Run("StayTheSameForever", func(t *testing.T) {
		t.Parallel()
		// These values are stored in orgs and topics: a change here orphans every record written so far.
		require.Equal(t, "zcZaj_PpGSWYLGShWNVmU0t9", ids.VisitID("acme", "s-1", "c-1"))
		require.Equal(t, "-v1o4u1gixMJP8LgmdYu9ZiB", ids.EngagementID("acme", "person", "c-1"))
		require.Equal(t, "gqqHnx2fdnnUKVe2zJgj5nfb", ids.WriteKey("acme", "rule", "task", "visit"))
		require.Equal(t, "Kc1ul1p8VCj6rOtAwQ52ft9x", ids.OutcomeID(ids.OutcomeOf{Stage: "visits", Workspace: "acme", About: "v", Revision: 7}))
	})

	t.Run("KindsNeverMeet", func(t *testing.T) {
		t.Parallel()
		require.NotEqual(t, ids.VisitID("a", "b", "c"), ids.EngagementID("a", "b", "c"))
	})

	t.Run("DifferentPartsGiveDifferentIDs", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-3")
		rapid.Check(t, func(t *rapid.T) {
			part := rapid.StringMatching(`[ab/]{0,3}`)
			a := [3]string{part.Draw(t, "a0"), part.Draw(t, "a1"), part.Draw(t, "a2")}
			b := [3]string{part.Draw(t, "b0"), part.Draw(t, "b1"), part.Draw(t, "b2")}
			idA, idB := ids.VisitID(a[0], a[1], a[2]), ids.VisitID(b[0], b[1], b[2])
			require.Len(t, idA, ids.Length)
			require.Equal(t, a == b, idA == idB)
		})
	})

	t.Run("EveryPartOfAnOutcomeCounts", func(t *testing.T) {
		t.Parallel()
		base := ids.OutcomeOf{Stage: "s", Workspace: "w", About: "a", Connection: "c", Integration: "i", Revision: 1}
		seen := map[string]bool{ids.OutcomeID(base): true}
		for _, change := range []func(*ids.OutcomeOf){
			func(o *ids.OutcomeOf) { o.Stage = "x" },
			func(o *ids.OutcomeOf) { o.Workspace = "x" },
			func(o *ids.OutcomeOf) { o.About = "x" },
			func(o *ids.OutcomeOf) { o.Connection = "x" },
			func(o *ids.OutcomeOf) { o.Integration = "x" },
			func(o *ids.OutcomeOf) { o.Revision = 2 },
		} {
			of := base
			change(&of)
			id := ids.OutcomeID(of)
			require.False(t, seen[id])
			seen[id] = true
		}
	})
}

func BenchmarkVisitID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ids.VisitID("acme", "0190b6c1-7e5f-7d6a-9a43-3f0a5d9a4c11", "content-000123")
	}
}
