package plan

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// maxPlans bounds how many plans of one source are recorded (promise 7); the oldest go first. No event is late enough to need
// more.
const maxPlans = 50

// Add records a plan, which has its time, and returns all of them by source and time. What was recorded of the source for its time or later is
// replaced: whoever changes a plan has not kept in mind what was to come after it.
func Add(plans []*configv1.Plan, next *configv1.Plan) []*configv1.Plan {
	kept := slices.DeleteFunc(slices.Clone(plans), func(p *configv1.Plan) bool {
		return p.GetSource() == next.GetSource() && !starts(p).Before(starts(next))
	})
	kept = append(kept, next)
	sortPlans(kept)
	own := Of(kept, next.GetSource())
	if len(own) <= maxPlans {
		return kept
	}
	oldest := own[0]
	return slices.DeleteFunc(kept, func(p *configv1.Plan) bool { return p == oldest })
}

func sortPlans(plans []*configv1.Plan) {
	slices.SortStableFunc(plans, func(a, b *configv1.Plan) int {
		if a.GetSource() != b.GetSource() {
			return int(a.GetSource()) - int(b.GetSource())
		}
		return starts(a).Compare(starts(b))
	})
}

func starts(p *configv1.Plan) time.Time { return p.GetEffectiveFrom().AsTime() }

// Of returns the plans of one source, by time.
func Of(plans []*configv1.Plan, source Source) []*configv1.Plan {
	var own []*configv1.Plan
	for _, p := range plans {
		if p.GetSource() == source {
			own = append(own, p)
		}
	}
	sortPlans(own)
	return own
}

// At returns the plan of a source that is in force at t, nil if there is none.
func At(plans []*configv1.Plan, source Source, t time.Time) *configv1.Plan {
	var at *configv1.Plan
	for _, p := range Of(plans, source) {
		if !starts(p).After(t) {
			at = p
		}
	}
	return at
}

// Lapses returns the times in which a workspace with the plans is not entitled to what the sources include, by source and
// time.
func (r Rules) Lapses(plans []*configv1.Plan) []*configv1.Lapse {
	if r.EnforceFrom.IsZero() {
		return nil
	}
	var all []*configv1.Lapse
	for _, source := range Sources() {
		all = append(all, r.lapsesOf(plans, source)...)
	}
	return all
}

func (r Rules) lapsesOf(plans []*configv1.Plan, source Source) []*configv1.Lapse {
	needed := r.Needed(source)
	if len(needed) == 0 {
		return nil
	}
	since := func(t time.Time) *configv1.Lapse {
		if t.Before(r.EnforceFrom) {
			t = r.EnforceFrom
		}
		return &configv1.Lapse{Source: source, From: timestamppb.New(t), Needed: needed}
	}
	open := since(r.EnforceFrom) // nothing was recorded before the first plan
	var out []*configv1.Lapse
	for _, p := range Of(plans, source) {
		switch in := r.includes(p); {
		case in && open != nil:
			open.Until = p.GetEffectiveFrom()
			if starts(p).After(open.GetFrom().AsTime()) {
				out = append(out, open)
			}
			open = nil
		case !in && open == nil:
			open = since(starts(p))
		}
	}
	if open != nil {
		out = append(out, open)
	}
	return out
}

// ForConnection returns, of the lapses of a workspace, the times in which a connection is not included. One that serves a
// source shares its lapses; one that serves any is out only while all are.
func (r Rules) ForConnection(lapses []*configv1.Lapse, source Source) []*configv1.Lapse {
	if source != General {
		return slices.DeleteFunc(slices.Clone(lapses), func(l *configv1.Lapse) bool { return l.GetSource() != source })
	}
	if len(lapses) == 0 {
		return nil
	}
	common := []*configv1.Lapse{{From: timestamppb.New(r.EnforceFrom), Needed: r.Needed(General)}}
	for _, one := range Sources() {
		common = meet(common, r.ForConnection(lapses, one))
	}
	return common
}

// meet returns the times that are in both, in the words of the first.
func meet(a, b []*configv1.Lapse) []*configv1.Lapse {
	var out []*configv1.Lapse
	for _, x := range a {
		for _, y := range b {
			from, until := x.GetFrom(), x.GetUntil()
			if y.GetFrom().AsTime().After(from.AsTime()) {
				from = y.GetFrom()
			}
			if until == nil || y.Until != nil && y.Until.AsTime().Before(until.AsTime()) {
				until = y.GetUntil()
			}
			if until == nil || from.AsTime().Before(until.AsTime()) {
				out = append(out, &configv1.Lapse{Source: x.GetSource(), From: from, Until: until, Needed: x.GetNeeded()})
			}
		}
	}
	return out
}

// Lapsed returns the lapse that t falls into, nil if there is none. A nil slice is the usual case and costs nothing.
func Lapsed(lapses []*configv1.Lapse, t time.Time) *configv1.Lapse {
	for _, l := range lapses {
		if !t.Before(l.GetFrom().AsTime()) && (l.Until == nil || t.Before(l.Until.AsTime())) {
			return l
		}
	}
	return nil
}

// Text says what a lapse takes, e.g. "phone takes the plan pro, business or enterprise".
func Text(l *configv1.Lapse) string {
	what, needed := "the Salesforce integration", l.GetNeeded()
	if l.GetSource() != General {
		what += " for " + Name(l.GetSource())
	}
	if n := len(needed); n > 1 {
		return what + " takes the plan " + strings.Join(needed[:n-1], ", ") + " or " + needed[n-1]
	}
	return what + " takes the plan " + strings.Join(needed, "")
}

// Entitlement tells what a workspace with the plans may do with a source at t.
func (r Rules) Entitlement(plans []*configv1.Plan, source Source, t time.Time) *configv1.Entitlement {
	lapses := r.ForConnection(r.Lapses(plans), source)
	out := &configv1.Entitlement{Source: source, Entitled: true, Plan: At(plans, source, t).GetName()}
	if !r.EnforceFrom.IsZero() {
		out.Needed = r.Needed(source)
	}
	if l := Lapsed(lapses, t); l != nil {
		out.Entitled, out.ChangesAt = false, l.Until
		out.KeptUntil = timestamppb.New(l.GetFrom().AsTime().Add(r.Keep))
		return out
	}
	for _, l := range lapses {
		if l.GetFrom().AsTime().After(t) {
			out.ChangesAt = l.From
			break
		}
	}
	return out
}
