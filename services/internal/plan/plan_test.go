package plan_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/plan"
)

var epoch = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func day(n int) time.Time { return epoch.AddDate(0, 0, n) }

func has(source plan.Source, name string, from int) *configv1.Plan {
	return &configv1.Plan{Source: source, Name: name, EffectiveFrom: timestamppb.New(day(from))}
}

func enforced(change ...func(*plan.Rules)) plan.Rules {
	r := plan.DefaultRules()
	r.EnforceFrom = day(-5)
	for _, f := range change {
		f(&r)
	}
	return r
}

func TestWhichPlansIncludeASource(t *testing.T) {
	t.Attr("requirement", "LOOM-1")
	t.Attr("requirement", "ZOOM-1")
	t.Attr("requirement", "HOPIN-1")
	t.Parallel()
	standAlone := enforced(func(r *plan.Rules) { r.Phone = append(r.Phone, "Phone Standard") })
	newer := enforced(func(r *plan.Rules) { r.Events = append(r.Events, "pro") })
	for name, c := range map[string]struct {
		rules plan.Rules
		plan  *configv1.Plan
		want  bool
	}{
		"video on enterprise":               {enforced(), has(plan.Video, "Enterprise", 0), true},
		"video on business":                 {enforced(), has(plan.Video, "business", 0), false},
		"video without a plan any more":     {enforced(), has(plan.Video, "", 0), false},
		"video on a trial of enterprise":    {enforced(), &configv1.Plan{Source: plan.Video, Name: "trial", CountsAs: "enterprise", EffectiveFrom: timestamppb.New(day(0))}, true},
		"video on a trial of business":      {enforced(), &configv1.Plan{Source: plan.Video, Name: "enterprise", CountsAs: "business", EffectiveFrom: timestamppb.New(day(0))}, false},
		"phone on pro":                      {enforced(), has(plan.Phone, "Pro", 0), true},
		"phone on business":                 {enforced(), has(plan.Phone, "Business", 0), true},
		"phone on enterprise":               {enforced(), has(plan.Phone, "Enterprise", 0), true},
		"phone on basic":                    {enforced(), has(plan.Phone, "basic", 0), false},
		"a stand-alone phone plan":          {enforced(), has(plan.Phone, "phone standard", 0), false},
		"… where the installation says so":  {standAlone, has(plan.Phone, "phone standard", 0), true},
		"events on business":                {enforced(), has(plan.Events, "business", 0), true},
		"events on pro":                     {enforced(), has(plan.Events, "pro", 0), false},
		"… where the installation lists it": {newer, has(plan.Events, "pro", 0), true},
		"documents on anything":             {enforced(), has(plan.Document, "free", 0), true},
		"another source's plan":             {enforced(), has(plan.Events, "enterprise", 0), true},
		"without rules":                     {plan.DefaultRules(), has(plan.Video, "free", 0), true},
	} {
		e := c.rules.Entitlement([]*configv1.Plan{c.plan}, c.plan.GetSource(), day(1))
		require.Equal(t, c.want, e.GetEntitled(), name)
		require.Equal(t, c.plan.GetName(), e.GetPlan(), name)
	}
	e := enforced().Entitlement([]*configv1.Plan{has(plan.Events, "enterprise", 0)}, plan.Video, day(1))
	require.False(t, e.GetEntitled(), "a plan of one source is none of another")
	require.Equal(t, []string{"enterprise"}, e.GetNeeded())
}

func TestADowngradeHoldsFromItsTime(t *testing.T) {
	t.Attr("requirement", "LOOM-1")
	t.Attr("requirement", "HOPIN-1")
	t.Parallel()
	r := enforced()
	plans := plan.Add(nil, has(plan.Video, "enterprise", 0))
	plans = plan.Add(plans, has(plan.Video, "business", 10))
	plans = plan.Add(plans, has(plan.Video, "enterprise", 20))
	lapses := r.Lapses(plans)
	of := func(at time.Time) bool { return plan.Lapsed(r.ForConnection(lapses, plan.Video), at) == nil }
	require.False(t, of(day(0).Add(-time.Nanosecond)), "before it had any plan")
	require.True(t, of(day(0)))
	require.True(t, of(day(10).Add(-time.Nanosecond)))
	require.False(t, of(day(10)))
	require.False(t, of(day(20).Add(-time.Nanosecond)))
	require.True(t, of(day(20)))

	require.True(t, of(day(-5).Add(-time.Nanosecond)), "before the rules held")
	require.False(t, of(day(-5)))

	e := r.Entitlement(plans, plan.Video, day(5))
	require.True(t, e.GetEntitled())
	require.Equal(t, day(10), e.GetChangesAt().AsTime(), "what is to come is told")
	e = r.Entitlement(plans, plan.Video, day(12))
	require.Equal(t, day(20), e.GetChangesAt().AsTime())
	require.Equal(t, day(100), e.GetKeptUntil().AsTime(), "90 days from the downgrade")
	require.Equal(t, "the Salesforce integration for video takes the plan enterprise", plan.Text(plan.Lapsed(lapses, day(12))))

	plans = plan.Add(plans, has(plan.Video, "enterprise", 8))
	require.Len(t, plan.Of(plans, plan.Video), 2, "a later decision takes the place of what was to come")
	require.Nil(t, plan.Lapsed(r.ForConnection(r.Lapses(plans), plan.Video), day(12)))
}

func TestAConnectionThatServesAnySourceIsOutOnlyWhileAllAre(t *testing.T) {
	t.Parallel()
	require.Nil(t, enforced().ForConnection(enforced().Lapses(nil), plan.General), "documents are in every plan")
	r := enforced(func(r *plan.Rules) { r.Document, r.Usage = []string{"box"}, []string{"digital"} })
	plans := []*configv1.Plan{has(plan.Video, "enterprise", 5), has(plan.Video, "", 10), has(plan.Phone, "pro", 8), has(plan.Phone, "", 12)}
	lapses := r.ForConnection(r.Lapses(plans), plan.General)
	for n, want := range map[int]bool{4: false, 5: true, 9: true, 11: true, 12: false} {
		require.Equal(t, want, plan.Lapsed(lapses, day(n)) == nil, "day %d", n)
	}
	require.Equal(t, []string{"enterprise", "box", "pro", "business", "digital"}, plan.Lapsed(lapses, day(12)).GetNeeded())
	require.Contains(t, plan.Text(plan.Lapsed(lapses, day(12))), "takes the plan enterprise, box, pro, business or digital")
}

// What a timeline says of a moment is what the plan in force at that moment says.
func TestLapsesAgreeWithThePlanInForce(t *testing.T) {
	t.Attr("requirement", "LOOM-1")
	t.Parallel()
	names := []string{"", "free", "business", "enterprise"}
	for seed := range uint64(300) {
		rng, r := rand.New(rand.NewPCG(seed, 7)), enforced()
		var plans []*configv1.Plan
		for range rng.IntN(12) {
			plans = plan.Add(plans, has(plan.Video, names[rng.IntN(len(names))], rng.IntN(30)))
		}
		lapses := r.Lapses(plans)
		for n := -1; n <= 31; n++ {
			in := plan.At(plans, plan.Video, day(n)).GetName() == "enterprise"
			require.Equal(t, in, plan.Lapsed(r.ForConnection(lapses, plan.Video), day(n)) == nil, "seed %d, day %d", seed, n)
		}
	}
}

func TestPlansAreBounded(t *testing.T) {
	t.Parallel()
	plans := []*configv1.Plan{has(plan.Phone, "pro", 0)}
	for n := range 80 {
		plans = plan.Add(plans, has(plan.Video, "enterprise", n))
	}
	require.Len(t, plan.Of(plans, plan.Video), 50)
	require.Len(t, plan.Of(plans, plan.Phone), 1)
	require.Equal(t, day(79), plan.Of(plans, plan.Video)[49].GetEffectiveFrom().AsTime())
}

func TestRulesThatCannotHoldAreRefused(t *testing.T) {
	t.Parallel()
	require.NoError(t, plan.DefaultRules().Validate())
	require.ErrorContains(t, enforced(func(r *plan.Rules) { r.Phone = []string{" "} }).Validate(), "phone")
	require.ErrorContains(t, enforced(func(r *plan.Rules) { r.Keep = 0 }).Validate(), "keep")
}
