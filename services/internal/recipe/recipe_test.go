package recipe_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
	"github.com/throughline-dev/throughline/services/internal/recipe"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func params(change ...func(*recipe.Params)) recipe.Params {
	p := recipe.Params{Workspace: "acme", ID: "rule", Connection: "main", Language: "en", PackageInstalled: true}
	for _, c := range change {
		c(&p)
	}
	return p
}

// run builds and evaluates a recipe that must write one record.
func run(t *testing.T, name string, p recipe.Params, in *integration.Input) integration.Record {
	t.Helper()
	i, err := recipe.Build(name, p)
	require.NoError(t, err)
	program, err := integration.Compile(i)
	require.NoError(t, err)
	require.True(t, program.Applies(in.Resolved.Engagement))
	d := program.Evaluate(in)
	require.Empty(t, d.Refusals)
	require.Len(t, d.Records, 1)
	return d.Records[0]
}

// golden compares what a record holds with testdata/<name>.json; go test -update rewrites it.
func golden(t *testing.T, name string, r integration.Record) {
	t.Helper()
	file := filepath.Join("testdata", name+".json")
	got, err := json.MarshalIndent(map[string]any{
		"object": r.Action.GetObject(), "once": r.Once, "warnings": r.Warnings, "fields": integrationtest.Fields(r.Fields),
	}, "", "  ")
	require.NoError(t, err)
	got = append(got, '\n')
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, got, 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "run go test -update once")
	require.Equal(t, string(want), string(got))
}

func TestTheTaskTellsWhoClosedWhat(t *testing.T) {
	t.Parallel()
	task := "document-close-task"
	for _, language := range []string{"en", "ja"} {
		in := func(p *recipe.Params) { p.Language = language }
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			for _, id := range []string{"IMM-22", "IMM-23", "IMM-26"} {
				t.Attr("requirement", id)
			}
			golden(t, "task-"+language, run(t, task, params(in, withoutPackage), integrationtest.Document()))
		})
		t.Run(language+" with nothing but the viewer known", func(t *testing.T) {
			t.Parallel()
			bare := integrationtest.Document()
			visit := bare.Resolved.Engagement.Visit
			visit.Content = &streamv1.Content{ContentId: "doc-1", Kind: streamv1.ContentKind_CONTENT_KIND_DOCUMENT}
			visit.ExitPage, visit.DwellSeconds, bare.HistoryURL, bare.TraceID = 0, 0, "", ""
			golden(t, "task-bare-"+language, run(t, task, params(in, withoutPackage), bare))
		})
		t.Run(language+" for an unknown viewer", func(t *testing.T) {
			t.Parallel()
			anonymous := integrationtest.Document()
			anonymous.Viewer, anonymous.HistoryURL = nil, ""
			golden(t, "task-unknown-"+language, run(t, task, params(in, withoutPackage, func(p *recipe.Params) {
				p.UnknownViewers = true
				p.Assignees = []configv1.Assignee{configv1.Assignee_ASSIGNEE_CONTENT_OWNER}
			}), anonymous))
		})
	}
}

func withoutPackage(p *recipe.Params) { p.PackageInstalled = false }

func TestTheTaskLeavesStatusAndPriorityToTheOrg(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-26")
	for _, packaged := range []bool{false, true} {
		fields := integrationtest.Fields(run(t, "document-close-task", params(func(p *recipe.Params) { p.PackageInstalled = packaged }),
			integrationtest.Document()).Fields)
		for _, name := range []string{"Status", "Priority", "WhatId", "TaskSubtype"} {
			require.NotContains(t, fields, name)
		}
	}
}

func TestTheHistoryLinkNamesNobody(t *testing.T) {
	t.Parallel()
	fields := integrationtest.Fields(run(t, "document-close-task", params(), integrationtest.Document()).Fields)
	link := regexp.MustCompile(`https://\S+`).FindString(fields["Description"].(string))
	require.Equal(t, "https://app.example/acme/people/pk_0123456789abcdefghij", link)
	require.NotContains(t, link, "sato")
}

func TestTheTaskIsUpsertedWhereThePackageIs(t *testing.T) {
	t.Parallel()
	plain, err := recipe.Build("document-close-task", params(withoutPackage))
	require.NoError(t, err)
	require.Equal(t, configv1.ActionOperation_ACTION_OPERATION_INSERT, plain.GetActions()[0].GetOperation())
	require.Equal(t, "Description", plain.GetActions()[0].GetMarkerField())

	packaged := run(t, "document-close-task", params(), integrationtest.Document())
	require.Equal(t, configv1.ActionOperation_ACTION_OPERATION_UPSERT, packaged.Action.GetOperation())
	require.Equal(t, "Throughline_Key__c", packaged.Action.GetExternalIdField())
	require.Empty(t, packaged.Action.GetMarkerField())
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", integrationtest.Fields(packaged.Fields)["Trace_Id__c"])
	require.True(t, packaged.Once)
}

func TestTheTaskSaysWhatTheWorkspaceWants(t *testing.T) {
	t.Parallel()
	name, p, err := recipe.Parse([]byte(`{"recipe": "document-close-task", "workspace": "acme", "id": "rule", "connection": "main",
		"language": "en", "texts": {"Subject": {"en": "Call {viewer.email} about {visit.content.title}"}},
		"constants": {"RecordTypeId": "012000000000001AAA", "Urgent__c": true, "Weight__c": 3, "ActivityDate": "2026-01-01"}}`))
	require.NoError(t, err)
	fields := integrationtest.Fields(run(t, name, p, integrationtest.Document()).Fields)
	require.Equal(t, "Call "+integrationtest.Viewer+" about Price list 2026", fields["Subject"])
	require.Equal(t, "012000000000001AAA", fields["RecordTypeId"])
	require.Equal(t, true, fields["Urgent__c"])
	require.Equal(t, 3.0, fields["Weight__c"])
	require.Equal(t, "2026-01-01", fields["ActivityDate"])
	built, err := recipe.Build(name, p)
	require.NoError(t, err)
	require.Contains(t, built.GetActions()[0].GetFields()[0].GetTemplate().GetTexts()["ja"], "を閉じました", "the other language stays")

	p.Texts["Subject"]["en"] = "{viewer.shoe_size}"
	built, err = recipe.Build(name, p)
	require.NoError(t, err)
	_, err = integration.Compile(built)
	require.ErrorContains(t, err, `actions[0].fields[0].template.texts["en"]:1:1: viewer has no field "shoe_size"`)
	for want, change := range map[string]func(*recipe.Params){
		"texts: the recipe has no text for the field Subjct":         func(p *recipe.Params) { p.Texts = map[string]map[string]string{"Subjct": {"en": "x"}} },
		"constants: A__c must be a text, a number, true or false":    func(p *recipe.Params) { p.Constants = map[string]any{"A__c": nil} },
		"constants: Tags__c must be a text, a number, true or false": func(p *recipe.Params) { p.Constants = map[string]any{"Tags__c": []any{"a"}} },
	} {
		_, err := recipe.Build(name, params(change))
		require.ErrorContains(t, err, want)
	}
}

func TestTheTaskIsMadeAsOftenAsWanted(t *testing.T) {
	t.Parallel()
	for repeat, want := range map[recipe.Repeat]string{
		"": "visit-1", recipe.EveryVisit: "visit-1", recipe.OncePerDay: "engagement-1/2026-03-02", recipe.OnceEver: "engagement-1",
	} {
		for _, packaged := range []bool{false, true} {
			record := run(t, "document-close-task", params(func(p *recipe.Params) { p.Repeat, p.PackageInstalled = repeat, packaged }),
				integrationtest.Document())
			require.Equal(t, want, record.Business, repeat)
			require.True(t, record.Once, "a later visit does not change it")
		}
	}
}

func TestEngagementRows(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "LOOM-33")
	golden(t, "video-engagement", run(t, "video-engagement", params(), integrationtest.Video()))
	golden(t, "document-engagement", run(t, "document-engagement", params(), integrationtest.Document()))

	t.Run("clear the links to people that no longer match", func(t *testing.T) {
		converted := integrationtest.Video()
		converted.Resolved.Resolution.Lead = nil
		fields := integrationtest.Fields(run(t, "video-engagement", params(), converted).Fields)
		require.Contains(t, fields, "Lead__c")
		require.Nil(t, fields["Lead__c"])
		require.Equal(t, integrationtest.ContactID, fields["Contact__c"])
		require.Equal(t, integrationtest.AccountID, fields["Account__c"])
	})
	t.Run("count no clicks as none", func(t *testing.T) {
		quiet := integrationtest.Video()
		quiet.Resolved.Engagement.CallToAction = nil
		require.Equal(t, 0.0, integrationtest.Fields(run(t, "video-engagement", params(), quiet).Fields)["CTA_Clicks__c"])
	})
	t.Run("leave out an address or link that its field cannot hold whole", func(t *testing.T) {
		long := integrationtest.Video()
		long.Viewer.Email = "a23456789012345678901234567890123456789012345678901234567890@" + "b2345678901234567890.example"
		record := run(t, "video-engagement", params(), long)
		require.NotContains(t, integrationtest.Fields(record.Fields), "Viewer_Email__c")
		require.Equal(t, []string{"a text of more than 80 characters was left out"}, record.Warnings)
	})
	t.Run("do not mix the kinds", func(t *testing.T) {
		for name, in := range map[string]*integration.Input{
			"video-engagement": integrationtest.Document(), "document-engagement": integrationtest.Video(),
			"document-close-task": integrationtest.Video(),
		} {
			i, err := recipe.Build(name, params())
			require.NoError(t, err)
			program, err := integration.Compile(i)
			require.NoError(t, err)
			require.Equal(t, integration.Decision{}, program.Evaluate(in))
		}
	})
}

func TestAStatusIsRaisedToOneThatIsNamed(t *testing.T) {
	t.Parallel()
	_, err := recipe.Build("campaign-member", params(func(p *recipe.Params) { p.CampaignID, p.RaiseStatus = "701SM0000012abCYAQ", true }))
	require.ErrorContains(t, err, "raise_status: needs member_status")
	i, err := recipe.Build("campaign-member", params(func(p *recipe.Params) {
		p.CampaignID, p.MemberStatus, p.RaiseStatus = "701SM0000012abCYAQ", "Attended", true
	}))
	require.NoError(t, err)
	require.True(t, i.GetActions()[0].GetRaiseStatus())
	_, err = integration.Compile(i)
	require.NoError(t, err)
}

func TestEveryRecipe(t *testing.T) {
	t.Parallel()
	for _, r := range recipe.List() {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			for _, language := range []string{"ja", "en"} {
				require.NotEmpty(t, r.Title[language])
				require.NotEmpty(t, r.Description[language])
			}
			i, err := recipe.Build(r.Name, params(func(p *recipe.Params) {
				p.Condition, p.ContentIDs, p.Name = "engagement.views > 1", []string{"a"}, "Ours"
				p.CampaignID = "701SM0000012abCYAQ"
			}))
			require.NoError(t, err)
			require.Equal(t, r.Name, i.GetRecipe())
			require.Equal(t, "Ours", i.GetName())
			require.True(t, i.GetEnabled())
			_, err = integration.Compile(i)
			require.NoError(t, err)

			// What a recipe builds is what apply -f takes, and survives the journey.
			raw, err := protojson.Marshal(i)
			require.NoError(t, err)
			again := &configv1.Integration{}
			require.NoError(t, protojson.Unmarshal(raw, again))
			_, err = integration.Compile(again)
			require.NoError(t, err)
			// Every template has both languages (XC-34).
			for _, a := range i.GetActions() {
				for _, f := range a.GetFields() {
					if f.GetTemplate() != nil {
						require.Contains(t, f.GetTemplate().GetTexts(), "ja", f.GetField())
						require.Contains(t, f.GetTemplate().GetTexts(), "en", f.GetField())
					}
				}
			}
		})
	}
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	_, err := recipe.Build("no-such", params())
	require.EqualError(t, err, `no recipe is named "no-such"`)
	_, err = recipe.Build("video-engagement", recipe.Params{Language: "de", Repeat: "never", ZoneRule: "home"})
	require.EqualError(t, err, "recipe video-engagement: workspace is missing\nid is missing\nconnection is missing\n"+
		"language: \"de\" is not ja or en\nrepeat: \"never\" is not every_visit, once_per_day or once_ever\nzone_rule: \"home\" is not org, assignee or fixed")
	_, err = recipe.Build("video-engagement", params(withoutPackage))
	require.ErrorContains(t, err, "install the Throughline package in the org of connection main first")
}

func TestParse(t *testing.T) {
	t.Parallel()
	name, p, err := recipe.Parse([]byte(`{"recipe": "document-close-task", "workspace": "acme", "id": "follow-up",
		"connection": "main", "language": "ja", "package_installed": true, "content_ids": ["doc-1"], "condition": "true",
		"assignees": ["content_owner", "record_owner", "fixed_user"], "fixed_user": "005000000000101AAA", "require_assignee": true,
		"unknown_viewers": true, "queues_allowed": true, "time_zone": "Asia/Tokyo", "zone_rule": "assignee",
		"repeat": "once_per_day", "name": "Ours"}`))
	require.NoError(t, err)
	require.Equal(t, "document-close-task", name)
	require.Equal(t, recipe.Params{
		Workspace: "acme", ID: "follow-up", Connection: "main", Language: "ja", PackageInstalled: true, Name: "Ours",
		ContentIDs: []string{"doc-1"}, Condition: "true", RequireAssignee: true, UnknownViewers: true, QueuesAllowed: true,
		Assignees: []configv1.Assignee{
			configv1.Assignee_ASSIGNEE_CONTENT_OWNER, configv1.Assignee_ASSIGNEE_RECORD_OWNER, configv1.Assignee_ASSIGNEE_FIXED_USER,
		},
		FixedUser: "005000000000101AAA", TimeZone: "Asia/Tokyo", ZoneRule: recipe.AssigneeZone, Repeat: recipe.OncePerDay,
	}, p)
	built, err := recipe.Build(name, p)
	require.NoError(t, err)
	assignment := built.GetActions()[0].GetAssignment()
	require.Equal(t, "005000000000101AAA", assignment.GetFixedUserId())
	require.Equal(t, configv1.ZoneRule_ZONE_RULE_ASSIGNEE, assignment.GetZoneRule())
	for raw, want := range map[string]string{
		`{"recipe": "x", "workspcae": "acme"}`: `unknown field "workspcae"`,
		`{"assignees": ["somebody"]}`:          `assignees: "somebody" is not content_owner, record_owner, account_owner or fixed_user`,
		`{"assignees": ["unspecified"]}`:       `assignees: "unspecified"`,
		`[]`:                                   "cannot unmarshal",
	} {
		_, _, err := recipe.Parse([]byte(raw))
		require.ErrorContains(t, err, want, raw)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"recipe": "document-close-task", "assignees": ["content_owner"]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if name, p, err := recipe.Parse(raw); err == nil {
			_, _ = recipe.Build(name, p)
		}
	})
}
