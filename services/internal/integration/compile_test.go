package integration_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
)

func TestCompileReportsEveryProblemWithItsPlace(t *testing.T) {
	t.Parallel()
	i := rule(
		path("A__c", "engagement.subject.sealed"),
		path("B__c", "engagement.ranges"),
		path("C__c", "engagement.titel"),
		path("D__c", "visit.last_activity_at|duration"),
		expression("E__c", "engagement.views +\n  content.title"),
		expression("F__c", "visit"),
		template("G__c", "en", "fine\nnot {fine}", "ja", "{viewer.email|blink}"),
		template("H__c", "ja", "英語がない"),
		template("I__c", "en", "left open {viewer.email"),
		path("A__c", "content.title"),
		path("not a name", "content.title"),
		&configv1.FieldMapping{Field: "J__c"},
		path("External_Id__c", "content.title"),
	)
	i.Condition = "engagement.views"
	i.Actions = append(i.Actions, &configv1.Action{
		Name: "row", Object: "Task", Scope: configv1.Scope_SCOPE_VISIT,
		Operation:  configv1.ActionOperation_ACTION_OPERATION_INSERT,
		Assignment: &configv1.Assignment{TimeZone: "Asia/Tokio"},
		Fields:     []*configv1.FieldMapping{path("WhoId", "person.record_id")},
	})
	_, err := integration.Compile(i)
	var invalid *integration.Error
	require.ErrorAs(t, err, &invalid)
	var got []string
	for _, p := range invalid.Problems {
		got = append(got, p.String())
	}
	require.Equal(t, []string{
		`condition: it gives uint; a condition must give a bool`,
		`actions[0].fields[12].field: External_Id__c is the external id; it is set by itself`,
		`actions[0].fields[0].path: engagement.subject.sealed is sealed or binary and cannot be written`,
		`actions[0].fields[1].path: engagement.ranges is a list; use an expression`,
		`actions[0].fields[2].path: engagement has no field "titel"; it has engagement_id, workspace, subject, content, revision, visits, views, first_viewed_at, last_viewed_at, ranges, watched_seconds, percent_watched, call_to_action, dwell_seconds, visit`,
		`actions[0].fields[3].path: format duration needs a number, and gets a time`,
		`actions[0].fields[4].expression:1:18: found no matching overload for '_+_' applied to '(uint, string)'`,
		`actions[0].fields[5].expression: it gives throughline.stream.v1.Visit, which no field can hold; give a text, number, bool or time`,
		`actions[0].fields[6].template.texts["en"]:2:5: "fine" is not known; a path starts with one of content, engagement, history_url, owner, person, registrant, resolution, trace_id, viewer, visit, zone`,
		`actions[0].fields[6].template.texts["ja"]:1:1: format "blink" is not known; there are date, datetime, day, duration, number, or, percent, prefix, round, shrink, suffix, whole`,
		`actions[0].fields[7].template: it needs an English text (en), which is the fallback for every other language`,
		`actions[0].fields[8].template.texts["en"]:1:11: a placeholder that does not end; write {{ for a brace`,
		`actions[0].fields[10].field: "not a name" is not the API name of a field`,
		`actions[0].fields[11]: J__c has no source; give it a path, expression, template or constant`,
		`actions[0].fields[9].field: A__c is set twice, here and at actions[0].fields[0]`,
		`actions[1].name: "row" occurs twice; an action's name is part of its records' keys`,
		`actions[1].marker_field: an insert needs a text field, e.g. Description, that carries its marker line; without one a lost answer could double the record`,
		`actions[1].assignment.time_zone: unknown time zone; use an IANA name such as Asia/Tokyo`,
		`actions[1].fields[0].field: WhoId is set twice, here and at actions[1].assignment`,
	}, got)
	require.Contains(t, err.Error(), `integration "rule" is not valid`)
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*configv1.Integration)
		want   string
	}{
		"no trigger":             {func(i *configv1.Integration) { i.Trigger = 0 }, "trigger: not a known trigger"},
		"an unknown language":    {func(i *configv1.Integration) { i.Language = "en_US" }, `language: "en_US"`},
		"no actions":             {func(i *configv1.Integration) { i.Actions = nil }, "actions: "},
		"an action without name": {func(i *configv1.Integration) { i.Actions[0].Name = "" }, "actions[0].name"},
		"a bad object":           {func(i *configv1.Integration) { i.Actions[0].Object = "Task;" }, "actions[0].object"},
		"no scope":               {func(i *configv1.Integration) { i.Actions[0].Scope = 0 }, "actions[0].scope"},
		"no operation":           {func(i *configv1.Integration) { i.Actions[0].Operation = 0 }, "actions[0].operation"},
		"upsert without key":     {func(i *configv1.Integration) { i.Actions[0].ExternalIdField = "" }, "actions[0].external_id_field"},
		"upsert with marker":     {func(i *configv1.Integration) { i.Actions[0].MarkerField = "X__c" }, "actions[0].marker_field"},
		"opened per engagement": {
			func(i *configv1.Integration) { i.Trigger = configv1.Trigger_TRIGGER_VISIT_OPENED }, "actions[0].scope",
		},
		"insert with external id": {func(i *configv1.Integration) {
			i.Actions[0].Operation = configv1.ActionOperation_ACTION_OPERATION_INSERT
			i.Actions[0].MarkerField = "Description"
		}, "actions[0].external_id_field"},
		"no room for the marker": {func(i *configv1.Integration) {
			short := path("Description", "content.title")
			short.MaxLength = 40
			i.Actions = task(nil, short).GetActions()
		}, "actions[0].fields[0].max_length: too short"},
		"an endless expression": {func(i *configv1.Integration) {
			i.Condition = "true" + strings.Repeat(" && true", 2000)
		}, "condition"},
		"an empty expression": {func(i *configv1.Integration) {
			i.Actions[0].Fields = []*configv1.FieldMapping{expression("A__c", "")}
		}, "actions[0].fields[0].expression: the expression is empty"},
		"an empty constant": {func(i *configv1.Integration) {
			i.Actions[0].Fields = []*configv1.FieldMapping{{Field: "A__c", Source: &configv1.FieldMapping_Constant{Constant: &configv1.Constant{}}}}
		}, "actions[0].fields[0].constant"},
		"shrink outside a template": {func(i *configv1.Integration) {
			i.Actions[0].Fields = []*configv1.FieldMapping{path("A__c", "content.title|shrink")}
		}, "shrink is for texts in templates only"},
		"a whole message": {func(i *configv1.Integration) {
			i.Actions[0].Fields = []*configv1.FieldMapping{path("A__c", "resolution.lead")}
		}, "is a whole message; name one of its fields: record_id"},
		"fields of a time": {func(i *configv1.Integration) {
			i.Actions[0].Fields = []*configv1.FieldMapping{path("A__c", "visit.started_at.seconds")}
		}, "visit.started_at has no fields"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := rule(path("Title__c", "content.title"))
			c.change(i)
			_, err := integration.Compile(i)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestApplies(t *testing.T) {
	t.Parallel()
	open, closed, withdrawn := integrationtest.Video(), integrationtest.Video(), integrationtest.Video()
	open.Resolved.Engagement.Visit.State = streamv1.VisitState_VISIT_STATE_OPEN
	withdrawn.Resolved.Engagement.Visit.Withdrawn = true
	for name, c := range map[string]struct {
		trigger                 configv1.Trigger
		contents                []string
		open, closed, withdrawn bool
	}{
		"changed":               {configv1.Trigger_TRIGGER_ENGAGEMENT_CHANGED, nil, true, true, true},
		"closed":                {configv1.Trigger_TRIGGER_VISIT_CLOSED, nil, false, true, false},
		"opened":                {configv1.Trigger_TRIGGER_VISIT_OPENED, nil, true, true, false},
		"among other contents":  {configv1.Trigger_TRIGGER_VISIT_CLOSED, []string{"vid-9", "vid-1"}, false, true, false},
		"another content alone": {configv1.Trigger_TRIGGER_ENGAGEMENT_CHANGED, []string{"vid-9"}, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := rule(path("Title__c", "content.title"))
			i.Trigger, i.ContentIds = c.trigger, c.contents
			i.Actions[0].Scope = configv1.Scope_SCOPE_VISIT
			p := compile(t, i)
			require.Equal(t, c.open, p.Applies(open.Resolved.Engagement))
			require.Equal(t, c.closed, p.Applies(closed.Resolved.Engagement))
			require.Equal(t, c.withdrawn, p.Applies(withdrawn.Resolved.Engagement))
		})
	}
}
