package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
)

// The viewer left at 15:30 UTC on 1 March: 2 March in Japan, where the org is, and 1 March in New York.
func TestZoneRule(t *testing.T) {
	t.Parallel()
	type setting struct {
		rule configv1.ZoneRule
		zone string
	}
	const org, assignee, fixed = configv1.ZoneRule_ZONE_RULE_ORG, configv1.ZoneRule_ZONE_RULE_ASSIGNEE, configv1.ZoneRule_ZONE_RULE_FIXED
	const newYork, tokyo = "America/New_York", "Asia/Tokyo"
	none := setting{}
	for name, c := range map[string]struct {
		action, workspace setting
		owner             string
		want, warning     string
	}{
		"the assignee's, by the action":             {setting{assignee, ""}, none, newYork, "2026-03-01", ""},
		"the assignee's, by the workspace":          {none, setting{assignee, ""}, newYork, "2026-03-01", ""},
		"the assignee's before the named one":       {setting{assignee, tokyo}, none, newYork, "2026-03-01", ""},
		"the assignee's unknown: the named one":     {setting{assignee, newYork}, none, "", "2026-03-01", "the assignee's time zone is not known; America/New_York was used"},
		"the assignee's unreadable: the workspaces": {setting{assignee, ""}, setting{0, newYork}, "Nowhere/Land", "2026-03-01", "the assignee's time zone is not known; America/New_York was used"},
		"the assignee's unknown: the org's":         {setting{assignee, ""}, none, "", "2026-03-02", "the assignee's time zone is not known; Asia/Tokyo was used"},
		"the action's name before the workspaces":   {setting{0, tokyo}, setting{assignee, ""}, newYork, "2026-03-02", ""},
		"the org's, whatever the workspace names":   {setting{org, ""}, setting{fixed, newYork}, newYork, "2026-03-02", ""},
		"the org's, by the workspace":               {none, setting{org, ""}, newYork, "2026-03-02", ""},
		"a fixed one":                               {setting{fixed, newYork}, setting{org, ""}, tokyo, "2026-03-01", ""},
		"the owner's zone unasked for":              {none, none, newYork, "2026-03-02", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("requirement", "IMM-25")
			in := integrationtest.Document()
			in.TimeZone, in.ZoneRule = c.workspace.zone, c.workspace.rule
			in.Resolved.Resolution.Person.OwnerTimeZone = c.owner
			spec := &configv1.Assignment{ZoneRule: c.action.rule, TimeZone: c.action.zone}
			fields, record := write(t, task(spec, path("ActivityDate", "visit.last_activity_at|day")), in)
			require.Equal(t, c.want, fields["ActivityDate"])
			if c.warning == "" {
				require.Empty(t, record.Warnings)
			} else {
				require.Equal(t, []string{c.warning}, record.Warnings)
			}
		})
	}
	t.Run("nobody assigned", func(t *testing.T) {
		t.Parallel()
		in := changed(noDocumentOwner)
		in.Resolved.Resolution.Person.OwnerTimeZone = newYork // is not the assignee
		spec := chain(documentOwner)
		spec.ZoneRule = assignee
		fields, _ := write(t, task(spec, path("ActivityDate", "visit.last_activity_at|day")), in)
		require.Equal(t, "2026-03-02", fields["ActivityDate"])
	})
}

func TestAssignmentsAreCheckedWhenSaved(t *testing.T) {
	t.Parallel()
	for want, spec := range map[string]*configv1.Assignment{
		"actions[0].assignment.fixed_user_id: not a Salesforce id of 15 or 18 characters that starts with 005": {Chain: []configv1.Assignee{fixedUser}, FixedUserId: "00Q000000000101AAA"},
		"actions[0].assignment.fixed_user_id: not a Salesforce id of 15 or 18 characters":                      {Chain: []configv1.Assignee{fixedUser}},
		"actions[0].assignment.fixed_user_id: the last three characters":                                       {Chain: []configv1.Assignee{fixedUser}, FixedUserId: "005000000000101AAB"},
		"actions[0].assignment.fixed_user_id: the chain does not name":                                         {FixedUserId: colleague},
		"actions[0].assignment.chain[1]: not a known assignee":                                                 {Chain: []configv1.Assignee{recordOwner, 99}},
		"actions[0].assignment.zone_rule: ZONE_RULE_FIXED needs a time_zone":                                   {ZoneRule: configv1.ZoneRule_ZONE_RULE_FIXED},
		"actions[0].assignment.zone_rule: ZONE_RULE_ORG is the org's zone":                                     {ZoneRule: configv1.ZoneRule_ZONE_RULE_ORG, TimeZone: "UTC"},
		"actions[0].assignment.time_zone: unknown time zone":                                                   {TimeZone: "Nowhere/Land"},
	} {
		_, err := integration.Compile(task(spec, constant("Subject", "s")))
		require.ErrorContains(t, err, want)
	}
	short := chain(fixedUser)
	short.FixedUserId = colleague[:15]
	id, ok := integration.FixedUser(short)
	require.True(t, ok)
	require.Equal(t, colleague, id)
	in := changed(colleagueIs(true))
	fields, _ := write(t, task(short, constant("Subject", "s")), in)
	require.Equal(t, colleague, fields["OwnerId"])
}
