package simulator_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator"
)

const setupScenario = `
orgs:
  - key: acme
    package: true
    package_version: "1.0"
    api: {oldest_version: 60}
    apps:
      - {client_id: app, client_secret: secret, run_as: integration@acme.example}
      - {client_id: blind, client_secret: secret, run_as: blind@acme.example}
      - {client_id: seller, client_secret: secret, run_as: seller@acme.example}
      - {client_id: intern, client_secret: secret, run_as: intern@acme.example}
    profiles:
      - {name: Sales, no_modify_all: true, objects: {Engagement__c: [], Content__c: []}}
      - {name: Blind, no_view_setup: true}
    permission_sets: [{name: Closer, label: Closers, objects: {Content__c: [read]}}]
    users:
      - {username: integration@acme.example, last_name: Integration}
      - {username: blind@acme.example, last_name: Blind, profile: Blind}
      - {username: seller@acme.example, last_name: Seller, profile: Sales, permission_sets: [Engagement_Viewer, Closer]}
      - {username: intern@acme.example, last_name: Intern, profile: Sales}
    layouts:
      - {object: Contact, name: Contact Layout, related_lists: [Engagement__c.Contact__c]}
      - {object: Contact, name: Sales Layout, profiles: [Sales]}
    record_pages: [{object: Lead, name: Lead Page}]
    objects: [{name: Score__c, fields: [{name: Stage__c, type: picklist, restricted: true, values: ["*Open", "!Lost"]}]}]
`

func setupSetup(t *testing.T) *bundle {
	t.Helper()
	sc, err := simulator.ParseScenario([]byte(setupScenario))
	require.NoError(t, err)
	return setupWith(t, sc)
}

// object reads a JSON object, or the first element of an error array.
func (b *bundle) object(path string) (int, map[string]any) {
	b.t.Helper()
	status, body := b.call(http.MethodGet, path, "")
	if list := []map[string]any{}; json.Unmarshal([]byte(body), &list) == nil {
		return status, list[0]
	}
	out := map[string]any{}
	require.NoError(b.t, json.Unmarshal([]byte(body), &out), body)
	return status, out
}

func TestPermissionSets(t *testing.T) {
	t.Parallel()
	b := setupSetup(t)
	names := func(soql, field string) []string {
		var out []string
		for _, r := range b.query(soql) {
			value := r[field]
			if nested, ok := value.(map[string]any); ok {
				value = nested["Username"]
			}
			out = append(out, value.(string))
		}
		return out
	}
	require.ElementsMatch(t, []string{"Engagement_Viewer", "Engagement_Integration", "Closer"},
		names("SELECT Name FROM PermissionSet WHERE IsOwnedByProfile = false", "Name"))
	readers := "SELECT Assignee.Username FROM PermissionSetAssignment WHERE Assignee.Profile.PermissionsModifyAllData = false AND " +
		"PermissionSetId IN (SELECT ParentId FROM ObjectPermissions WHERE SobjectType = 'Engagement__c' AND PermissionsRead = true)"
	require.Equal(t, []string{"seller@acme.example"}, names(readers, "Assignee"), "the profile does not let its users read, the set does")
	intern, set := b.id("User", "Username = 'intern@acme.example'"), b.id("PermissionSet", "Name = 'Engagement_Viewer'")
	reads := func(client string) int {
		b.token = b.signIn("acme", client, "secret")
		status, _ := b.object("/sobjects/Engagement__c/describe")
		return status
	}
	require.Equal(t, http.StatusOK, reads("seller"))
	status, _ := b.call(http.MethodPost, "/sobjects/Engagement__c", `{"Title__c":"x"}`)
	require.Equal(t, http.StatusForbidden, status, "to look is not to write")
	require.Equal(t, http.StatusNotFound, reads("intern"))
	b.token = b.signIn("acme", "app", "secret")
	status, body := b.call(http.MethodPost, "/sobjects/PermissionSetAssignment", `{"AssigneeId":"`+intern+`","PermissionSetId":"`+set+`"}`)
	require.Equal(t, http.StatusCreated, status, body)
	require.Equal(t, http.StatusOK, reads("intern"), "an assignment holds at once")
}

func TestAPackageOfAnOlderVersionHasFewerFields(t *testing.T) {
	t.Parallel()
	b := setupSetup(t)
	fields := func(object string) (out []string) {
		_, body := b.object("/sobjects/" + object + "/describe")
		for _, f := range body["fields"].([]any) {
			out = append(out, f.(map[string]any)["name"].(string))
		}
		return out
	}
	require.Contains(t, fields("Engagement__c"), "Title__c")
	require.NotContains(t, fields("Engagement__c"), "CTA_Clicks__c")
	require.NotContains(t, fields("Task"), "Throughline_Key__c")
	_, err := simulator.ParseScenario([]byte(`orgs: [{key: a, package_version: "9"}]`))
	require.ErrorContains(t, err, "package_version")
}

func TestLayoutsAreReadByTheToolingAPI(t *testing.T) {
	t.Parallel()
	b := setupSetup(t)
	tooling := func(soql string) (int, map[string]any) { return b.object("/tooling/query?q=" + url.QueryEscape(soql)) }

	status, body := tooling("SELECT Id, Name, TableEnumOrId FROM Layout WHERE TableEnumOrId IN ('Contact', 'Lead')")
	require.Equal(t, http.StatusOK, status, body)
	ids := map[string]string{}
	for _, r := range body["records"].([]any) {
		row := r.(map[string]any)
		ids[row["TableEnumOrId"].(string)+"/"+row["Name"].(string)] = row["Id"].(string)
	}
	require.Len(t, ids, 5, "two of the scenario, the one every org has, and the package's examples")

	_, body = tooling("SELECT LayoutId FROM ProfileLayout WHERE TableEnumOrId = 'Contact'")
	used := map[string]int{}
	for _, r := range body["records"].([]any) {
		used[r.(map[string]any)["LayoutId"].(string)]++
	}
	require.Equal(t, map[string]int{ids["Contact/Contact Layout"]: 3, ids["Contact/Sales Layout"]: 1}, used)

	_, body = tooling("SELECT Metadata FROM Layout WHERE Id = '" + ids["Contact/Contact Layout"] + "'")
	metadata := body["records"].([]any)[0].(map[string]any)["Metadata"].(map[string]any)
	require.Equal(t, "Engagement__c.Contact__c", metadata["relatedLists"].([]any)[0].(map[string]any)["relatedList"])

	_, body = tooling("SELECT MasterLabel FROM FlexiPage WHERE Type = 'RecordPage' AND EntityDefinitionId = 'Lead'")
	require.Len(t, body["records"], 1)
	for soql, code := range map[string]string{
		"SELECT Id, Metadata FROM Layout":                    "MALFORMED_QUERY",
		"SELECT Id FROM ApexClass":                           "INVALID_TYPE",
		"SELECT Nothing FROM Layout":                         "INVALID_FIELD",
		"SELECT Id FROM Layout WHERE Name LIKE 'C%'":         "MALFORMED_QUERY",
		"SELECT Id FROM Layout WHERE Id = 'x' OR Name = 'y'": "MALFORMED_QUERY",
	} {
		status, body := tooling(soql)
		require.Equal(t, http.StatusBadRequest, status, soql)
		require.Equal(t, code, body["errorCode"], soql)
	}
	b.token = b.signIn("acme", "blind", "secret")
	status, body = tooling("SELECT Id FROM Layout")
	require.Equal(t, http.StatusBadRequest, status)
	require.Equal(t, "INVALID_TYPE", body["errorCode"], "who may not view setup does not find them")
}

func TestAnInactivePicklistValueIsDescribedAndRefused(t *testing.T) {
	t.Parallel()
	b := setupSetup(t)
	_, body := b.call(http.MethodGet, "/sobjects/Score__c/describe", "")
	require.Contains(t, body, `{"active":false,"defaultValue":false,"label":"Lost","validFor":null,"value":"Lost"}`)
	status, body := b.call(http.MethodPost, "/sobjects/Score__c", `{"Stage__c":"Lost"}`)
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, body, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST")
	status, _ = b.call(http.MethodPost, "/sobjects/Score__c", `{"Stage__c":"open"}`)
	require.Equal(t, http.StatusCreated, status)
}

func TestAVersionIsRetired(t *testing.T) {
	t.Parallel()
	b := setupSetup(t)
	retired, _ := b.do(http.MethodGet, b.base+"/services/data/v59.0/limits", "")
	require.Equal(t, http.StatusGone, retired.StatusCode)
	good, _ := b.do(http.MethodGet, b.base+"/services/data/v60.0/limits", "")
	require.Equal(t, http.StatusOK, good.StatusCode)
	_, list := b.do(http.MethodGet, b.base+"/services/data", "")
	require.NotContains(t, list, `"59.0"`)
}

func TestAnOrgMovesToAnotherInstance(t *testing.T) {
	t.Parallel()
	b := setupSetup(t)
	there, err := url.Parse(b.server.URL)
	require.NoError(t, err)
	moved := "localhost:" + there.Port()
	require.NoError(t, b.sim.Move("acme", moved))
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(b.server.URL + "/orgs/acme/services/data/v66.0/limits?x=1")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusTemporaryRedirect, res.StatusCode)
	require.Equal(t, "http://"+moved+"/orgs/acme/services/data/v66.0/limits?x=1", res.Header.Get("Location"))

	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {"secret"}}
	_, answer := b.form("/orgs/acme/services/oauth2/token", form)
	require.Contains(t, answer, `"instance_url":"http://`+moved+`/orgs/acme"`, "the login address still answers")
	require.ErrorIs(t, b.sim.Move("nobody", moved), simulator.ErrUnknownOrg)
	require.Error(t, b.sim.Move("acme", "http://x"))
}
