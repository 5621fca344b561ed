package push

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

func TestQueriesShrinkWhileAnswersAreSlowAndGrowAgain(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-37")
	cfg := DefaultConfig()
	o := &org{cfg: &cfg}
	require.Equal(t, cfg.QueryKeys, o.pace())
	for range 20 {
		o.paced(cfg.SlowQuery)
	}
	require.Equal(t, cfg.QueryKeysMin, o.pace(), "never below the least")
	o.paced(cfg.SlowQuery / 2)
	require.Equal(t, cfg.QueryKeysMin, o.pace(), "neither slow nor quick changes nothing")
	for range 40 {
		o.paced(time.Millisecond)
	}
	require.Equal(t, cfg.QueryKeys, o.pace())
}

func TestAQueryIsAsLongAsItsAddressMayBeAndNoLonger(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-37")
	cfg := DefaultConfig()
	o := &org{cfg: &cfg}
	for _, fields := range []int{1, 100} {
		m := &matcher{object: "Contact", key: salesforce.FieldDescribe{Name: "Guid__c", Type: "string", Filterable: true}}
		for range fields {
			m.fields = append(m.fields, "A_Field_With_A_Long_Name_"+strings.Repeat("x", 12)+"__c")
		}
		var literals []string
		for range cfg.QueryKeys {
			literals = append(literals, salesforce.Quote(strings.Repeat("鍵", 9)))
		}
		n := o.fitting(m, literals)
		require.Greater(t, n, 10)
		require.True(t, salesforce.QueryFits(m.statement(literals[:n])))
		require.False(t, salesforce.QueryFits(m.statement(literals[:n+2])), "as many as fit")
	}
	require.Equal(t, 1, o.fitting(&matcher{fields: []string{strings.Repeat("x", salesforce.MaxQueryBytes)}}, []string{"'k'"}), "it says itself that it is too long")
}
