package oracle_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/oracle"
)

// What waited for an org that was away may be overtaken: still one to-do a visit, of a close that happened.
func TestAToDoOfALaterCloseCountsOnlyWhereAnyDoes(t *testing.T) {
	t.Parallel()
	c := setupComparison(t)
	with := 0
	for i := range c.want.Tasks {
		if c.want.Tasks[i].Owner == "" {
			continue
		}
		first := &c.want.Tasks[i]
		later := *first
		later.Page, later.Dwell, later.Due = first.Page+1, first.Dwell+600, noon.AddDate(1, 0, i).Format(time.DateOnly)
		first.Later, with = []oracle.Task{later}, i
	}
	later := todo(c.want.Tasks[with].Later[0], "")
	n := len(c.have) - len(c.want.Tasks) + with // where setup has put it
	c.have[n] = later
	require.False(t, oracle.Compare(c.want, c.have).OK())
	c.want.AnyClose = true
	report := oracle.Compare(c.want, c.have)
	require.True(t, report.OK(), report.String())

	doubled := oracle.Compare(c.want, append(c.have, later))
	require.False(t, doubled.OK(), "two of one visit are one too many")
	never := later
	never.Fields = map[string]any{}
	for field, value := range later.Fields {
		never.Fields[field] = value
	}
	never.Fields["ActivityDate"] = "1999-01-01"
	c.have[n] = never
	require.False(t, oracle.Compare(c.want, c.have).OK(), "a close that never happened")
}
