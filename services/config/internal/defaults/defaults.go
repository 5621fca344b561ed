package defaults

import (
	"fmt"
	"maps"
	"slices"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// Rules are what decides in one workspace.
type Rules struct {
	// Defaults are those by user group.
	Defaults *configv1.ContentDefaults
	// TrackByDefault is the workspace's value for tracking.
	TrackByDefault bool
}

// Of returns a workspace's rules.
func Of(ws *configv1.Workspace, d *configv1.ContentDefaults) Rules {
	return Rules{Defaults: d, TrackByDefault: ws.TrackByDefault == nil || ws.GetTrackByDefault()}
}

// Unknown returns those of the groups that the rules do not name, in their order.
func (r Rules) Unknown(groups []string) []string {
	return slices.DeleteFunc(slices.Clone(groups), func(id string) bool { return r.Defaults.GetGroups()[id] != nil })
}

// Decide says what holds for a content of a creator in the groups who made a choice, which may be nil. Groups that the rules do
// not name say nothing.
func (r Rules) Decide(groups []string, choice *configv1.ContentChoice) *configv1.DecidedContent {
	return &configv1.DecidedContent{
		Tracking: r.decide(groups, choice.GetTracking(), choice != nil && choice.Tracking != nil, tracking, r.TrackByDefault),
		RequireAddress: r.decide(groups, choice.GetRequireAddress(), choice != nil && choice.RequireAddress != nil, requireAddress,
			r.Defaults.GetRequireAddress()),
		Choosable: !r.Defaults.GetLocked(),
	}
}

// says reads a switch of a group; ok is false when the group says nothing of it.
type says func(*configv1.GroupDefaults) (on, ok bool)

func tracking(g *configv1.GroupDefaults) (on, ok bool) { return g.GetTracking(), g.Tracking != nil }

func requireAddress(g *configv1.GroupDefaults) (on, ok bool) {
	return g.GetRequireAddress(), g.RequireAddress != nil
}

func (r Rules) decide(groups []string, chosen, chose bool, of says, workspace bool) *configv1.DecidedSwitch {
	if chose && !r.Defaults.GetLocked() {
		return &configv1.DecidedSwitch{On: chosen, Decider: configv1.SwitchDecider_SWITCH_DECIDER_CHOICE}
	}
	if decided := r.byGroups(groups, of); decided != nil {
		return decided
	}
	return &configv1.DecidedSwitch{On: workspace, Decider: configv1.SwitchDecider_SWITCH_DECIDER_WORKSPACE}
}

// byGroups returns what the groups say together, nil when none says anything.
func (r Rules) byGroups(groups []string, of says) *configv1.DecidedSwitch {
	var on, off []string
	for _, id := range groups {
		g := r.Defaults.GetGroups()[id]
		if g == nil {
			continue
		}
		switch is, ok := of(g); {
		case !ok:
		case is:
			on = append(on, id)
		default:
			off = append(off, id)
		}
	}
	decided := &configv1.DecidedSwitch{Decider: configv1.SwitchDecider_SWITCH_DECIDER_GROUP}
	switch all := slices.Concat(on, off); {
	case len(all) == 0:
		return nil
	case r.Defaults.GetCombination() == configv1.CombinationRule_COMBINATION_RULE_HIGHEST_RANK:
		highest := slices.MinFunc(all, func(a, b string) int { return int(r.rank(a)) - int(r.rank(b)) })
		decided.On, decided.Groups = slices.Contains(on, highest), []string{highest}
	case len(on) > 0:
		decided.On, decided.Groups = true, on
	default:
		decided.Groups = off
	}
	slices.Sort(decided.GetGroups())
	return decided
}

func (r Rules) rank(group string) int32 { return r.Defaults.GetGroups()[group].GetRank() }

// EqualRanks names, for each group whose rank a group earlier in the order of ids has, that rank and the other group.
func EqualRanks(d *configv1.ContentDefaults) map[string]string {
	holder, out := map[int32]string{}, map[string]string{}
	for _, id := range slices.Sorted(maps.Keys(d.GetGroups())) {
		rank := d.GetGroups()[id].GetRank()
		if other, taken := holder[rank]; taken {
			out[id] = fmt.Sprintf("rank %d is that of group %q; no two groups may have the same", rank, other)
			continue
		}
		holder[rank] = id
	}
	return out
}
