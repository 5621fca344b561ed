package defaults_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/defaults"
)

const (
	anyOn       = configv1.CombinationRule_COMBINATION_RULE_ANY_ON
	highestRank = configv1.CombinationRule_COMBINATION_RULE_HIGHEST_RANK
	byChoice    = configv1.SwitchDecider_SWITCH_DECIDER_CHOICE
	byGroup     = configv1.SwitchDecider_SWITCH_DECIDER_GROUP
	byWorkspace = configv1.SwitchDecider_SWITCH_DECIDER_WORKSPACE
)

// sales is on and ranks third, legal is off and ranks second, staff says nothing and ranks first.
func rules(combination configv1.CombinationRule) defaults.Rules {
	return defaults.Rules{TrackByDefault: true, Defaults: &configv1.ContentDefaults{
		Combination: combination, Groups: map[string]*configv1.GroupDefaults{
			"sales": {Tracking: proto.Bool(true), RequireAddress: proto.Bool(true), Rank: 3},
			"legal": {Tracking: proto.Bool(false), Rank: 2},
			"staff": {Rank: 1},
		},
	}}
}

func TestPrecedenceOfDefaults(t *testing.T) {
	t.Parallel()
	all := []string{"staff", "sales", "legal"}
	off := &configv1.ContentChoice{Tracking: proto.Bool(false)}
	for name, c := range map[string]struct {
		rules   defaults.Rules
		groups  []string
		choice  *configv1.ContentChoice
		locked  bool
		on      bool
		decider configv1.SwitchDecider
		by      []string
	}{
		"nobody says anything":        {rules(anyOn), []string{"staff"}, nil, false, true, byWorkspace, nil},
		"no groups":                   {rules(anyOn), nil, nil, false, true, byWorkspace, nil},
		"a group that is gone":        {rules(anyOn), []string{"gone"}, nil, false, true, byWorkspace, nil},
		"one group":                   {rules(anyOn), []string{"legal"}, nil, false, false, byGroup, []string{"legal"}},
		"any is on":                   {rules(anyOn), all, nil, false, true, byGroup, []string{"sales"}},
		"unspecified is any":          {rules(0), all, nil, false, true, byGroup, []string{"sales"}},
		"the highest that says":       {rules(highestRank), all, nil, false, false, byGroup, []string{"legal"}},
		"a choice":                    {rules(anyOn), all, off, false, false, byChoice, nil},
		"a choice, but it is locked":  {rules(anyOn), all, off, true, true, byGroup, []string{"sales"}},
		"locked, and no group":        {rules(anyOn), nil, off, true, true, byWorkspace, nil},
		"a choice of something else":  {rules(anyOn), []string{"legal"}, &configv1.ContentChoice{RequireAddress: proto.Bool(true)}, false, false, byGroup, []string{"legal"}},
		"an empty choice says nought": {rules(anyOn), []string{"legal"}, &configv1.ContentChoice{}, false, false, byGroup, []string{"legal"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("requirement", "LOOM-37")
			c.rules.Defaults.Locked = c.locked
			got := c.rules.Decide(c.groups, c.choice)
			require.Equal(t, c.on, got.GetTracking().GetOn())
			require.Equal(t, c.decider, got.GetTracking().GetDecider())
			require.Equal(t, c.by, got.GetTracking().GetGroups())
			require.Equal(t, !c.locked, got.GetChoosable(), "the switch is shown unless it is locked")
		})
	}
	require.Equal(t, []string{"nobody"}, rules(anyOn).Unknown([]string{"sales", "nobody"}))
	require.False(t, defaults.Of(&configv1.Workspace{TrackByDefault: proto.Bool(false)}, nil).TrackByDefault)
	require.True(t, defaults.Of(&configv1.Workspace{}, nil).TrackByDefault, "as for contents that have no setting")
}

// A second telling of the rule, by what must follow from it, over any groups, ranks, choices and locks.
func TestPrecedenceHoldsForAnyGroups(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "LOOM-37")
	rapid.Check(t, func(t *rapid.T) {
		maybe := rapid.SampledFrom([]*bool{nil, proto.Bool(true), proto.Bool(false)})
		d := &configv1.ContentDefaults{
			Combination: rapid.SampledFrom([]configv1.CombinationRule{anyOn, highestRank}).Draw(t, "rule"),
			Locked:      rapid.Bool().Draw(t, "locked"), Groups: map[string]*configv1.GroupDefaults{},
		}
		ranks := rapid.Permutation([]int32{1, 2, 3, 4, 5, 6}).Draw(t, "ranks")
		for i, rank := range ranks {
			d.Groups[fmt.Sprint("g", i)] = &configv1.GroupDefaults{Tracking: maybe.Draw(t, "tracking"), Rank: rank}
		}
		groups := rapid.SliceOfNDistinct(rapid.SampledFrom(append(slices.Sorted(maps.Keys(d.GetGroups())), "gone")), 0, 7, rapid.ID).Draw(t, "groups")
		chosen := maybe.Draw(t, "chosen")
		workspace := rapid.Bool().Draw(t, "workspace")
		got := defaults.Rules{Defaults: d, TrackByDefault: workspace}.Decide(groups, &configv1.ContentChoice{Tracking: chosen}).GetTracking()

		var say []*configv1.GroupDefaults
		for _, id := range groups {
			if g := d.GetGroups()[id]; g != nil && g.Tracking != nil {
				say = append(say, g)
			}
		}
		slices.SortFunc(say, func(a, b *configv1.GroupDefaults) int { return int(a.GetRank() - b.GetRank()) })
		want := workspace
		switch {
		case chosen != nil && !d.GetLocked():
			want = *chosen
		case len(say) > 0 && d.GetCombination() == highestRank:
			want = say[0].GetTracking()
		case len(say) > 0:
			want = slices.ContainsFunc(say, func(g *configv1.GroupDefaults) bool { return g.GetTracking() })
		}
		require.Equal(t, want, got.GetOn())
		shuffled := rapid.Permutation(groups).Draw(t, "shuffled")
		again := defaults.Rules{Defaults: d, TrackByDefault: workspace}.Decide(shuffled, &configv1.ContentChoice{Tracking: chosen}).GetTracking()
		require.True(t, proto.Equal(got, again), "the order in which groups are named does not matter")
	})
}

func TestEqualRanksAreNamed(t *testing.T) {
	t.Parallel()
	d := rules(anyOn).Defaults
	require.Empty(t, defaults.EqualRanks(d))
	d.Groups["sales"].Rank = 1
	require.Equal(t, map[string]string{"staff": `rank 1 is that of group "sales"; no two groups may have the same`}, defaults.EqualRanks(d))
}
