package delivery_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/services/writer/internal/delivery"
	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
)

// fate is what an org does with a record.
type fate string

const (
	taken   fate = "WRITTEN"
	refused fate = "FAILED SF_VALIDATION"
	// poison makes the org refuse whatever request it is in.
	poison fate = "FAILED TYPE_MISMATCH"
)

// Whatever the records, however they are grouped, each ends as the org decided about it and none as it decided about its
// neighbour: answers are read in the order of the request, a bad record fails alone, and a group that is refused as a whole is
// bisected down to the one that it is refused for.
func TestEachRecordOfAGroupHasItsOwnEnd(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-12")
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(1, 12).Draw(rt, "records in a request")
		fates := rapid.SliceOfN(rapid.SampledFrom([]fate{taken, taken, taken, refused, poison}), 1, 30).Draw(rt, "fates")
		b := setup(t, func(c *delivery.Config) { c.BatchRecords, c.MinBatchRecords = size, 1 })
		b.pauses.LeastWrites = 1000
		b.restart()
		of := map[string]fate{}
		for i, f := range fates {
			of[fmt.Sprint("k", i)] = f
		}
		b.org.Refuse = func(r map[string]any) (string, string) {
			if key, _ := r["External_Id__c"].(string); of[key] == refused {
				return "FIELD_CUSTOM_VALIDATION_EXCEPTION", "refused is " + key
			}
			return "", ""
		}
		b.org.Fault = func(r orgtest.Request) *orgtest.Fault {
			if len(r.Records) > size {
				return &orgtest.Fault{Status: 500, Body: apiError("UNKNOWN_EXCEPTION", "more than a request may carry")}
			}
			for _, rec := range r.Records {
				if key, _ := rec["External_Id__c"].(string); of[key] == poison {
					return &orgtest.Fault{Status: 400, Body: apiError("JSON_PARSER_ERROR", "Unexpected character")}
				}
			}
			return nil
		}
		for i := range fates {
			b.accept(b.upsert(write{key: fmt.Sprint("k", i), parent: rapid.SampledFrom([]string{"", "p", "q"}).Draw(rt, "parent")}))
		}
		b.settled(len(fates))

		ids := map[string]string{}
		for _, r := range b.org.Records("Engagement__c") {
			require.Len(rt, r.History, 1, "written once")
			ids[r.Key] = r.ID
		}
		outcomes := b.outcomes()
		for key, f := range of {
			require.Equal(rt, string(f), outcomes[key+"/1"], key)
		}
		for _, o := range b.all() {
			switch key := o.GetWriteKey(); of[key] {
			case taken:
				require.Equal(rt, ids[key], o.GetRecordId(), "the answer of another record")
			case refused:
				require.Contains(rt, o.GetDetail(), "refused is "+key)
			}
		}
		require.Empty(rt, b.org.Problems())
	})
}

func TestSeveralWritesOfOneRecordAreMergedOrGoInOrder(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-12")
	rapid.Check(t, func(rt *rapid.T) {
		revisions := rapid.SliceOfN(rapid.Int64Range(1, 40), 1, 25).Draw(rt, "revisions")
		b := setup(t, func(c *delivery.Config) {
			c.BatchRecords, c.MinBatchRecords = rapid.IntRange(1, 5).Draw(rt, "records in a request"), 1
		})
		newest := int64(0)
		for _, revision := range revisions {
			newest = max(newest, revision)
			b.accept(b.upsert(write{key: "k", revision: revision}))
		}
		b.settled(len(revisions))
		record := b.org.Records("Engagement__c")[0]
		require.IsIncreasing(rt, append([]float64{0}, record.History...), "in order")
		require.InDelta(rt, newest, record.History[len(record.History)-1], 0, "the newest came last")
		for _, r := range b.org.Requests() {
			require.Len(rt, r.Records, 1, "never twice in one request")
		}
	})
}
