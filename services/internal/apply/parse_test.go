package apply_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/apply"
)

const everything = `# the whole of acme
kind: Workspace
id: acme
name: 株式会社アクメ
visits: {silence: 1800s, settle: 0s}
---
kind: Connection
workspace: acme
id: main
login_url: https://acme.my.salesforce.com
api_version: "66.0"
client_credentials: {client_id: key, client_secret: hunter2}
---
recipe: document-close-task
workspace: acme
id: follow-up
connection: main
effective_from: 2026-01-01T00:00:00Z
assignees: [content_owner, record_owner]
---
# nothing here
---
{"kind": "ContentSetting", "workspace": "acme", "contentId": "v1", "tracking": false}
---
kind: ApiKey
workspace: acme
id: web
`

func TestParseReadsEveryKind(t *testing.T) {
	t.Parallel()
	docs, err := apply.Parse("acme.yaml", []byte(everything))
	require.NoError(t, err)
	require.Len(t, docs, 5)

	ws, ok := docs[0].Setting.(*configv1.Workspace)
	require.True(t, ok)
	require.Equal(t, "株式会社アクメ", ws.GetName())
	require.Equal(t, 30*time.Minute, ws.GetVisits().GetSilence().AsDuration())
	require.NotNil(t, ws.GetVisits().GetSettle())
	conn, ok := docs[1].Setting.(*configv1.Connection)
	require.True(t, ok)
	require.Equal(t, "hunter2", conn.GetClientCredentials().GetClientSecret())
	require.Equal(t, "acme.yaml:7", docs[1].Source)
	rule, ok := docs[2].Setting.(*configv1.Integration)
	require.True(t, ok)
	require.Equal(t, "follow-up", rule.GetId())
	require.Equal(t, "document-close-task", rule.GetRecipe())
	require.True(t, rule.GetEnabled())
	require.Equal(t, 2026, rule.GetEffectiveFrom().AsTime().Year())
	_, ok = docs[3].Setting.(*configv1.ContentSetting)
	require.True(t, ok)
	_, ok = docs[4].Setting.(*configv1.ApiKey)
	require.True(t, ok)
}

func TestParseNamesDocumentAndPath(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"unknown field":         {"kind: Workspace\nid: a\ntitel: x", "f.yaml:1: Workspace: titel: there is no such field"},
		"unknown nested field":  {"kind: Workspace\nvisits: {silense: 1s}", "visits.silense: there is no such field"},
		"unknown field in list": {"kind: Integration\nactions: [{name: a}, {name: b, fields: [{feild: x}]}]", "actions[1].fields[0].feild"},
		"second document":       {"kind: ApiKey\n---\nkind: ApiKey\nx: 1", "f.yaml:3: ApiKey: x:"},
		"unknown kind":          {"kind: Workspaces", `kind: "Workspaces" is not one of Workspace`},
		"no kind":               {"id: a", "nor is there a recipe"},
		"not an object":         {"- a", "want an object"},
		"not yaml":              {"a: [", "not valid YAML"},
		"key twice":             {"kind: Workspace\nid: a\nid: b", "not valid YAML"},
		"wrong type":            {"kind: Connection\napi_version: 66.0", "api_version: the value does not have the right type"},
		"two grants":            {"kind: Connection\nclient_credentials: {}\njwt_bearer: {}", "exclude each other"},
		"unknown recipe":        {"recipe: cake\nworkspace: a\nid: b\nconnection: c", "no recipe"},
		"recipe parameter":      {"recipe: document-close-task\nworkspace: a\nid: b\nconnection: c\nasignees: []", "asignees"},
		"recipe time":           {"recipe: document-close-task\neffective_from: soon", "effective_from: the value"},
	} {
		_, err := apply.Parse("f.yaml", []byte(tc.text))
		require.ErrorContains(t, err, tc.want, name)
	}
}

func TestParseReportsEveryDocumentThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := apply.Parse("f.yaml", []byte("kind: A\n---\nkind: ApiKey\n---\nkind: B\n"))
	require.ErrorContains(t, err, "f.yaml:1")
	require.ErrorContains(t, err, "f.yaml:5")
}

func TestParseErrorsLeadToTheValueThatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"actions: [{name: a}, {operation: ACTION_OPERATION_UPDATE}]":           "actions[1].operation: want one of ACTION_OPERATION_UPSERT, ACTION_OPERATION_INSERT",
		"actions: [{fields: [{field: A}, {field: B, constant: {number: x}}]}]": "actions[0].fields[1].constant.number: the value does not have the right type",
		"actions: {a: b}":        "actions",
		"trigger: TRIGGER_NEVER": "trigger: want one of TRIGGER_",
		"enabled: perhaps":       "enabled: the value does not have the right type",
		"effective_from: soon":   "effective_from: want a time such as 2026-11-23T09:00:00Z",
		"actions: [3]":           "actions[0]: want fields of its own below it",
	} {
		_, err := apply.Parse("f.yaml", []byte("kind: Integration\n"+text))
		require.ErrorContains(t, err, want, text)
	}
}

func TestParseErrorsNeverQuoteASecret(t *testing.T) {
	t.Parallel()
	_, err := apply.Parse("f.yaml", []byte("kind: Connection\nclient_credentials: {client_secret: {oops: hunter2}}"))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}

func TestReportShowsANewKeyOnceAndNothingElseSecret(t *testing.T) {
	t.Parallel()
	report := apply.Report{Results: []apply.Result{
		{Kind: "Workspace", Workspace: "acme", ID: "acme", Action: apply.Updated, Changes: []string{`name: "A" → "B"`}},
		{Kind: "ApiKey", Workspace: "acme", ID: "web", Action: apply.Created, Secret: secret.New("tl_acme_web_s3cret")},
	}}
	var out bytes.Buffer
	require.NoError(t, report.Write(&out))
	require.Equal(t, 1, strings.Count(out.String(), "s3cret"))
	require.Contains(t, out.String(), "KIND       WORKSPACE  ID    ACTION\nWorkspace  acme       acme  updated\n  name: \"A\" → \"B\"\nApiKey     acme       web   created\n")
	out.Reset()
	require.NoError(t, report.WriteJSON(&out))
	first, second, _ := strings.Cut(out.String(), "\n")
	require.JSONEq(t, `{"kind":"Workspace","workspace":"acme","id":"acme","action":"updated","changes":["name: \"A\" → \"B\""]}`, first)
	require.JSONEq(t, `{"kind":"ApiKey","workspace":"acme","id":"web","action":"created","secret":"tl_acme_web_s3cret"}`, second)
	require.True(t, report.Changed())
	require.False(t, apply.Report{Results: []apply.Result{{Action: apply.Unchanged}}}.Changed())
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(everything))
	f.Add([]byte("---\n---\n"))
	f.Add([]byte("kind: Integration\nactions: {a: b}"))
	f.Add([]byte("recipe: {}\nkind: null"))
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, err := apply.Parse("f.yaml", data)
		if err == nil {
			for _, doc := range docs {
				require.NotNil(t, doc.Setting)
			}
		}
	})
}
