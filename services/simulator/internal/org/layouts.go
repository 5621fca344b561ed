package org

import (
	"context"
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/scenario"
)

// Layouts are the org's page layouts. Lead and Contact have one even if the scenario names none, and the package brings an
// example for each that nobody uses.
func (o *Org) Layouts() []scenario.Layout {
	out := slices.Clone(o.Spec.Layouts)
	for _, object := range []string{"Contact", "Lead"} {
		if !slices.ContainsFunc(out, func(l scenario.Layout) bool { return l.Object == object }) {
			out = append(out, scenario.Layout{Object: object, Name: object + " Layout"})
		}
		if o.Spec.Package {
			out = append(out, scenario.Layout{
				Object: object, Name: "Throughline Example", RelatedLists: []string{"Engagement__c." + object + "__c"}, Unassigned: true,
			})
		}
	}
	return out
}

// Uses reports whether users of a profile see a layout.
func Uses(profile string, l scenario.Layout) bool {
	if l.Unassigned {
		return false
	}
	return len(l.Profiles) == 0 || slices.ContainsFunc(l.Profiles, func(p string) bool { return strings.EqualFold(p, profile) })
}

// Profile is a profile as layouts are assigned to it.
type Profile struct{ ID, Name string }

// Profiles returns the org's profiles in the order of creation.
func (o *Org) Profiles(context.Context) []Profile {
	object, _ := o.Schema.Object("Profile")
	o.mu.RLock()
	defer o.mu.RUnlock()
	var out []Profile
	o.tables[object].All(func(r *record.Record) bool {
		out = append(out, Profile{ID: r.ID(), Name: r.Text(object.Slot("Name"))})
		return true
	})
	return out
}
