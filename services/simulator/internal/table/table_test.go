package table_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/table"
)

// TestRollbackRestoresRowsAndIndexes makes random changes, takes some back, and compares with the state at the mark.
func TestRollbackRestoresRowsAndIndexes(t *testing.T) {
	t.Parallel()
	spec, err := schema.ParseSpec([]byte(`objects: [{name: T__c, fields: [{name: Email__c, type: email}]}]`))
	require.NoError(t, err)
	s, err := schema.Build(spec)
	require.NoError(t, err)
	o := s.Objects()[0]
	email := o.Slot("Email__c")
	rapid.Check(t, func(t *rapid.T) {
		tb, tx := table.New(o, "S00"), &table.Tx{}
		change := func() {
			num, _ := tb.NextID()
			if num > 1 && rapid.Bool().Draw(t, "again") {
				num = rapid.Uint64Range(1, num-1).Draw(t, "num")
			}
			rec := &record.Record{Num: num, Values: make([]record.Value, len(o.Fields))}
			rec.Values[record.SlotID] = fmt.Sprintf("id-%d", num)
			rec.Values[record.SlotIsDeleted] = rapid.IntRange(0, 3).Draw(t, "deleted") == 0
			rec.Values[email] = rapid.SampledFrom([]string{"a@x.y", "B@x.y", "b@X.y"}).Draw(t, "email")
			tx.Put(tb, rec)
		}
		for range rapid.IntRange(0, 6).Draw(t, "before") {
			change()
		}
		mark, before := tx.Mark(), dump(tb, email)
		for range rapid.IntRange(0, 6).Draw(t, "after") {
			change()
		}
		tx.RollbackTo(mark)
		if after := dump(tb, email); after != before {
			t.Fatalf("before\n%s\nafter\n%s", before, after)
		}
	})
}

func dump(tb *table.Table, email int) string {
	var out strings.Builder
	fmt.Fprintln(&out, tb.Live())
	tb.All(func(r *record.Record) bool {
		_, found := tb.Get(r.ID())
		fmt.Fprintln(&out, r.Num, r.ID(), r.Deleted(), r.Text(email), found)
		return true
	})
	for _, key := range []string{"a@x.y", "b@x.y"} {
		for _, r := range tb.Find(email, key) {
			fmt.Fprintln(&out, key, r.Num)
		}
	}
	return out.String()
}
