package push

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
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

// changing are settings that a test replaces.
type changing struct{ view *settings.View }

func (c *changing) View() *settings.View { return c.view }

func TestARunIsAboutOneOrg(t *testing.T) {
	t.Attr("requirement", "LOOM-14")
	t.Parallel()
	with := func(change func(c *configv1.Connection)) *settings.View {
		return settingstest.New(t).Workspace("acme").Connection("main", change).View()
	}
	source := &changing{with(func(c *configv1.Connection) { c.Org = &configv1.Org{Id: "00D000000000001AAA"} })}
	o := &org{deps: &Deps{Settings: source}, run: &configv1.ReportRun{Workspace: "acme", Connection: "main"}}
	wait, err := o.isSame()
	require.NoError(t, err)
	require.Empty(t, wait)
	require.Empty(t, o.orgName(), "the first org has no name")

	source.view = with(func(c *configv1.Connection) { c.FirstOrg, c.Org = "00D000000000001AAA", nil })
	wait, err = o.isSame()
	require.NoError(t, err)
	require.Contains(t, wait, "not known yet")

	source.view = with(func(c *configv1.Connection) {
		c.FirstOrg, c.Org = "00D000000000001AAA", &configv1.Org{Id: "00D000000000002AAA"}
	})
	_, err = o.isSame()
	require.ErrorContains(t, err, "another org while the run was under way")

	next := &org{deps: &Deps{Settings: source}, run: o.run}
	_, err = next.isSame()
	require.NoError(t, err)
	require.Equal(t, "00D000000000002AAA", next.orgName())
}
