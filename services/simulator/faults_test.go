package simulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator"
)

// control sends a request to the control API.
func (b *bundle) control(method, path, body string) (int, string) {
	b.t.Helper()
	res, text := b.do(method, b.server.URL+"/_sim"+path, body)
	return res.StatusCode, text
}

// send is call for requests that may get no answer.
func (b *bundle) send(method, path, body string) (int, string, error) {
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.base+"/services/data/v67.0"+path, strings.NewReader(body))
	require.NoError(b.t, err)
	req.Header.Set("Authorization", "Bearer "+b.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	var sb strings.Builder
	_, err = fmt.Fprint(&sb, res.Header.Get("Content-Type"))
	return res.StatusCode, sb.String(), err
}

const oneEngagement = `{"records":[{"External_Id__c":"k","Title__c":"T"}]}`

func TestFaults(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	upsert := "/composite/sobjects/Engagement__c/External_Id__c"

	t.Run("ConnectionLostAfterTheWriteTookEffect", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		status, body := b.control(http.MethodPost, "/faults", `[{org: acme, route: "collections.*", action: drop_after, times: 1}]`)
		require.Equal(t, http.StatusCreated, status, body)
		_, _, err := b.send(http.MethodPatch, upsert, oneEngagement)
		require.Error(t, err)
		require.Len(t, b.query("SELECT Id FROM Engagement__c"), 1)
		status, body = b.call(http.MethodPatch, upsert, oneEngagement)
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, body, `"created":false`)
	})

	t.Run("ConnectionLostBefore", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.sim.AddFaults(simulator.Fault{Route: "collections.upsert", Action: "drop_before", Times: 1, Wait: time.Millisecond})
		require.NoError(t, err)
		_, _, err = b.send(http.MethodPatch, upsert, oneEngagement)
		require.Error(t, err)
		require.Empty(t, b.query("SELECT Id FROM Engagement__c"))
	})

	t.Run("LockedRowsAreRefusedOneByOne", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.sim.AddFaults(simulator.Fault{Object: "Engagement__c", Action: "lock_row", Nth: []int{2}})
		require.NoError(t, err)
		_, body := b.call(http.MethodPatch, upsert, `{"records":[{"External_Id__c":"a"},{"External_Id__c":"b"},{"External_Id__c":"c"}]}`)
		var results []struct {
			Success bool
			Errors  []struct{ StatusCode, Message string }
		}
		require.NoError(t, json.Unmarshal([]byte(body), &results))
		require.Equal(t, []bool{true, false, true}, []bool{results[0].Success, results[1].Success, results[2].Success})
		require.Equal(t, "UNABLE_TO_LOCK_ROW", results[1].Errors[0].StatusCode)
		require.Contains(t, results[1].Errors[0].Message, "unable to obtain exclusive access to this record")
	})

	for name, tc := range map[string]struct {
		fault  simulator.Fault
		status int
		kind   string
	}{
		"ServerError": {simulator.Fault{Action: "status", Status: 500}, 500, "application/json;charset=UTF-8"},
		"Maintenance": {simulator.Fault{Action: "maintenance"}, 503, "text/html; charset=utf-8"},
		"BadGateway":  {simulator.Fault{Action: "status", Status: 502, Body: "<html>Bad Gateway</html>"}, 502, "text/html; charset=utf-8"},
		"Quota":       {simulator.Fault{Action: "quota_exceeded"}, 403, "application/json;charset=UTF-8"},
		"Session":     {simulator.Fault{Action: "expire_session"}, 401, "application/json;charset=UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			tc.fault.Times = 1
			_, err := b.sim.AddFaults(tc.fault)
			require.NoError(t, err)
			status, kind, err := b.send(http.MethodPatch, upsert, oneEngagement)
			require.NoError(t, err)
			require.Equal(t, tc.status, status)
			require.Equal(t, tc.kind, kind)
			b.token = b.signIn("acme", "app", "secret")
			status, _ = b.call(http.MethodPatch, upsert, oneEngagement)
			require.Equal(t, http.StatusOK, status, "the fault is over")
		})
	}

	t.Run("ChanceIsRepeatableBySeed", func(t *testing.T) {
		t.Parallel()
		var runs [2]string
		for i := range runs {
			b := setup(t)
			_, err := b.sim.AddFaults(simulator.Fault{Route: "limits", Action: "status", Status: 500, Probability: 0.5, Seed: 7})
			require.NoError(t, err)
			for range 40 {
				status, _ := b.call(http.MethodGet, "/limits", "")
				runs[i] += fmt.Sprint(status, " ")
			}
		}
		require.Equal(t, runs[0], runs[1])
		require.Contains(t, runs[0], "500")
		require.Contains(t, runs[0], "200")
	})

	t.Run("OnlyWithinTheirTimeAndOrg", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.sim.AddFaults(
			simulator.Fault{Org: "other", Action: "maintenance"},
			simulator.Fault{ID: "later", Org: "acme", Action: "maintenance", From: b.clock.Now().Add(time.Hour), Until: b.clock.Now().Add(2 * time.Hour)},
		)
		require.NoError(t, err)
		for _, want := range []int{200, 503, 200} {
			status, _ := b.call(http.MethodGet, "/limits", "")
			require.Equal(t, want, status)
			status, body := b.control(http.MethodPost, "/clock", `{advance: 1h}`)
			require.Equal(t, http.StatusOK, status, body)
		}
		_, body := b.control(http.MethodGet, "/faults", "")
		require.Contains(t, body, `"id": "later"`)
		status, body := b.control(http.MethodDelete, "/faults/later", "")
		require.Equal(t, http.StatusOK, status)
		require.JSONEq(t, `{"removed":1}`, body)
	})

	t.Run("BadRulesAreRefused", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for body, want := range map[string]string{
			`[{action: explode}]`: "faults[0].action", `[{action: status}]`: "faults[0].status", `[{action: delay}]`: "faults[0].wait",
			`[{action: lock_row, nth: [1], every: 2}]`: "faults[0].nth", `[{action: row_error}]`: "faults[0].code", `[{action: maintenance, route: "["}]`: "faults[0].route",
		} {
			status, answer := b.control(http.MethodPost, "/faults", body)
			require.Equal(t, http.StatusBadRequest, status)
			require.Contains(t, answer, want)
		}
	})
}

func TestQuota(t *testing.T) {
	t.Parallel()
	b := setup(t)
	status, body := b.control(http.MethodPost, "/quota?org=acme&limit=3", "")
	require.Equal(t, http.StatusOK, status, body)
	for range 3 {
		status, _ := b.call(http.MethodGet, "/limits", "")
		require.Equal(t, http.StatusOK, status)
	}
	status, body = b.call(http.MethodGet, "/limits", "")
	require.Equal(t, http.StatusForbidden, status)
	require.JSONEq(t, `[{"message":"TotalRequests Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]`, body)
	b.clock.advance(25 * time.Hour)
	b.token = b.signIn("acme", "app", "secret")
	status, _ = b.call(http.MethodGet, "/limits", "")
	require.Equal(t, http.StatusOK, status)
}

func TestRowLocks(t *testing.T) {
	t.Parallel()
	sc, err := simulator.ParseScenario([]byte(scenarioText))
	require.NoError(t, err)
	sc.Orgs[0].RowLocks, sc.Orgs[0].LockWait = true, 20*time.Millisecond
	sc.Orgs[0].Latency = simulator.Latency{Median: 200 * time.Millisecond}
	b := setupWith(t, sc)
	lead := b.id("Lead", "Email = 'taro@toyo.example'")
	var wg sync.WaitGroup
	bodies := make([]string, 2)
	for i := range bodies {
		wg.Go(func() {
			_, bodies[i] = b.call(http.MethodPost, "/composite/sobjects", fmt.Sprintf(
				`{"records":[{"attributes":{"type":"Task"},"WhoId":%q,"ActivityDate":"2026-08-11"},{"attributes":{"type":"Task"},"Subject":"free"}]}`, lead))
		})
	}
	wg.Wait()
	both := bodies[0] + bodies[1]
	require.Equal(t, 1, strings.Count(both, `"UNABLE_TO_LOCK_ROW"`), both)
	require.Contains(t, both, "unable to obtain exclusive access to this record or 1 records: "+lead)
	require.Len(t, b.query("SELECT Id FROM Task"), 3)
}

func TestControl(t *testing.T) {
	t.Parallel()

	t.Run("OrgsAreMadeKeptReplacedAndDeleted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		third := `orgs: [{key: third, users: [{username: u@third.example}], records: {Lead: [{LastName: L, Company: C, Email: a@b.example}]}}]`
		status, body := b.control(http.MethodPost, "/orgs", third)
		require.Equal(t, http.StatusOK, status, body)
		for mode, want := range map[string]int{"keep": 1, "replace": 1} {
			_, body = b.control(http.MethodPost, "/scenario?mode="+mode, third)
			require.Equal(t, want, b.leads(body, "third"), mode)
		}
		_, body = b.control(http.MethodPost, "/scenario?mode=add", third)
		require.Equal(t, 2, b.leads(body, "third"))
		_, body = b.control(http.MethodPost, "/reset?org=third", "")
		require.Equal(t, 1, b.leads(body, "third"))
		status, _ = b.control(http.MethodDelete, "/orgs/third", "")
		require.Equal(t, http.StatusNoContent, status)
		status, _ = b.control(http.MethodPost, "/reset?org=third", "")
		require.Equal(t, http.StatusNotFound, status)
	})

	t.Run("BadScenariosAreRefusedWhole", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for body, want := range map[string]string{
			`orgs: [{key: "Bad Key"}]`: "orgs[0].key", `orgs: [{key: x, colour: red}]`: "colour", `orgs: [{key: x, timezone: Mars}]`: "timezone",
			`orgs: [{key: x, records: {Lead: [{Nope: 1}]}}]`:                        "Lead has no field Nope",
			`orgs: [{key: x, records: {Lead: [{LastName: L}]}}]`:                    "Required fields are missing: [Company]",
			`orgs: [{key: x, records: {Task: [{WhoId: "@who"}]}}]`:                  "nothing before has the ref who",
			`orgs: [{key: x, validation_rules: [{object: Lead, when: "Foo = 1"}]}]`: "validation_rules[0].when",
		} {
			status, answer := b.control(http.MethodPost, "/scenario", body)
			require.Equal(t, http.StatusBadRequest, status, body)
			require.Contains(t, answer, want)
			_, list := b.control(http.MethodGet, "/orgs", "")
			require.NotContains(t, list, `"key": "x"`)
		}
	})

	t.Run("LogNamesRoutesAndErrors", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.call(http.MethodPost, "/sobjects/Lead", `{}`)
		_, body := b.control(http.MethodGet, "/log?org=acme&n=1", "")
		require.Contains(t, body, `"route": "sobject"`)
		require.Contains(t, body, `"error": "REQUIRED_FIELD_MISSING"`)
		_, body = b.control(http.MethodGet, "/stats?org=acme", "")
		require.Contains(t, body, `"failed": 1`)
	})

	t.Run("ConvertAndMerge", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		lead := b.id("Lead", "Email = 'taro@toyo.example'")
		b.call(http.MethodPost, "/sobjects/Task", fmt.Sprintf(`{"WhoId":%q}`, lead))
		status, body := b.control(http.MethodPost, "/convert?org=acme&lead="+lead, "")
		require.Equal(t, http.StatusOK, status, body)
		contact := b.query("SELECT ConvertedContactId, IsConverted FROM Lead WHERE Id = '" + lead + "'")[0]["ConvertedContactId"].(string)
		require.Equal(t, contact, b.query("SELECT WhoId FROM Task")[0]["WhoId"])
		jiro := b.id("Contact", "LastName = '鈴木'")
		status, body = b.control(http.MethodPost, "/merge?org=acme&winner="+jiro+"&loser="+contact, "")
		require.Equal(t, http.StatusNoContent, status, body)
		require.Equal(t, jiro, b.query("SELECT WhoId FROM Task")[0]["WhoId"])
		status, body = b.call(http.MethodPatch, "/sobjects/Contact/"+contact, `{"Title":"x"}`)
		require.Equal(t, http.StatusNotFound, status)
		require.Contains(t, body, "ENTITY_IS_DELETED")
	})
}

func (b *bundle) leads(list, key string) int {
	b.t.Helper()
	var orgs []struct {
		Key     string
		Records map[string]int
	}
	require.NoError(b.t, json.Unmarshal([]byte(list), &orgs), list)
	for _, o := range orgs {
		if o.Key == key {
			return o.Records["Lead"]
		}
	}
	return -1
}

func TestRules(t *testing.T) {
	t.Parallel()
	sc, err := simulator.ParseScenario([]byte(`
orgs:
  - key: acme
    apps: [{client_id: app, client_secret: secret, run_as: int@acme.example}]
    profiles:
      - {name: Integration, hidden_fields: [Lead.Phone], read_only_fields: [Lead.Title], objects: {Account: [read], Campaign: []}}
    users: [{username: int@acme.example, profile: Integration}]
    picklists: {Task.Status: [Later, "*Now"]}
    encrypted: {Contact.Email: probabilistic}
    objects:
      - {name: Lead, fields: [{name: Score__c, type: double, precision: 4, scale: 1}, {name: Number__c, type: string, length: 20, external_id: true}]}
    validation_rules: [{object: Lead, when: "Rating = 'Hot' AND Phone = null AND Score__c < 5", message: "Hot leads need a score.", field: Rating}]
    duplicate_rules: [{object: Lead, fields: [Email], mode: alert}]
`))
	require.NoError(t, err)
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"ValidationRule", "POST", "/sobjects/Lead", `{"LastName":"L","Company":"C","Rating":"hot","Score__c":1}`, 400, `[{"message":"Hot leads need a score.","errorCode":"FIELD_CUSTOM_VALIDATION_EXCEPTION","fields":["Rating"]}]`},
		{"HiddenField", "POST", "/sobjects/Lead", `{"Phone":"1"}`, 400, `[{"message":"No such column 'Phone' on sobject of type Lead","errorCode":"INVALID_FIELD"}]`},
		{"ReadOnlyField", "POST", "/sobjects/Lead", `{"LastName":"L","Company":"C","Title":"T"}`, 400, `[{"message":"Unable to create/update fields: Title. Please check the security settings of this field and verify that it is read/write for your profile or permission set.","errorCode":"INVALID_FIELD_FOR_INSERT_UPDATE","fields":["Title"]}]`},
		{"ReadOnlyObject", "POST", "/sobjects/Account", `{"Name":"A"}`, 403, `[{"message":"insufficient access rights on object id","errorCode":"INSUFFICIENT_ACCESS_OR_READONLY","fields":[]}]`},
		{"HiddenObject", "GET", "/sobjects/Campaign/describe", "", 404, `[{"message":"The requested resource does not exist","errorCode":"NOT_FOUND"}]`},
		{"EncryptedFilter", "GET", "/query?q=SELECT+Id+FROM+Contact+WHERE+Email='a@b.c'", "", 400, `[{"message":"\nSELECT Id FROM Contact WHERE Email='a@b.c'\n                             ^\nERROR at Row:1:Column:30\nfield 'Email' can not be filtered in a query call","errorCode":"INVALID_FIELD"}]`},
		{"AmbiguousExternalID", "PATCH", "/sobjects/Lead/Number__c/7", `{"Company":"D"}`, 300, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := setupWith(t, sc)
			if tc.status == http.StatusMultipleChoices {
				for range 2 {
					status, body := b.call(http.MethodPost, "/sobjects/Lead", `{"LastName":"L","Company":"C","Number__c":"7"}`)
					require.Equal(t, http.StatusCreated, status, body)
				}
			}
			status, body := b.call(tc.method, tc.path, tc.body)
			require.Equal(t, tc.status, status)
			if tc.want != "" {
				require.Equal(t, tc.want, body)
			}
		})
	}

	t.Run("DuplicateRuleInAlertMode", func(t *testing.T) {
		t.Parallel()
		b := setupWith(t, sc)
		lead := `{"LastName":"L","Company":"C","Email":"a@b.example"}`
		status, _ := b.call(http.MethodPost, "/sobjects/Lead", lead)
		require.Equal(t, http.StatusCreated, status)
		status, body := b.call(http.MethodPost, "/sobjects/Lead", lead)
		require.Equal(t, http.StatusBadRequest, status)
		first := b.id("Lead", "Email = 'a@b.example'")
		require.JSONEq(t, `[{"duplicateResut":{"allowSave":true,"duplicateRule":"Lead_Duplicate_Rule","duplicateRuleEntityType":"Lead","errorMessage":"Use one of these records?",
			"matchResults":[{"entityType":"Lead","errors":[],"matchEngine":"ExactMatchEngine","rule":"Lead_Duplicate_Rule","size":1,"success":true,"matchRecords":[
			{"additionalInformation":[],"fieldDiffs":[],"matchConfidence":100,"record":{"attributes":{"type":"Lead","url":"/services/data/v67.0/sobjects/Lead/`+first+`"},"Id":"`+first+`"}}]}]},
			"errorCode":"DUPLICATES_DETECTED","message":"Use one of these records?"}]`, body)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.base+"/services/data/v67.0/sobjects/Lead", strings.NewReader(lead))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+b.token)
		req.Header.Set("Sforce-Duplicate-Rule-Header", "allowSave=true; includeRecordDetails=true")
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusCreated, res.StatusCode)
	})

	t.Run("PicklistDefaultsAreTheOrgsOwn", func(t *testing.T) {
		t.Parallel()
		b := setupWith(t, sc)
		b.call(http.MethodPost, "/sobjects/Task", `{"Subject":"S"}`)
		require.Equal(t, "Now", b.query("SELECT Status FROM Task")[0]["Status"])
	})

	t.Run("HiddenFieldsAreAbsentFromDescribe", func(t *testing.T) {
		t.Parallel()
		b := setupWith(t, sc)
		_, body := b.call(http.MethodGet, "/sobjects/Lead/describe", "")
		require.NotContains(t, body, `"name":"Phone"`)
		require.Contains(t, body, `"name":"Score__c"`)
	})
}

func TestComposite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	status, body := b.call(http.MethodPost, "/composite", `{"allOrNone":false,"compositeRequest":[
		{"method":"POST","url":"/services/data/v67.0/sobjects/Account","referenceId":"acc","body":{"Name":"Acme \"Ltd\""}},
		{"method":"POST","url":"/services/data/v67.0/sobjects/Contact","referenceId":"con","body":{"LastName":"Roe","AccountId":"@{acc.id}"}},
		{"method":"GET","url":"/services/data/v67.0/query?q=SELECT+Account.Name+FROM+Contact+WHERE+Id='@{con.id}'","referenceId":"q"},
		{"method":"PATCH","url":"/services/data/v67.0/sobjects/Account/@{acc.id}","referenceId":"name","body":{"Description":"@{q.records[0].Account.Name}"}},
		{"method":"GET","url":"/services/data/v67.0/sobjects/Nope","referenceId":"bad"}]}`)
	require.Equal(t, http.StatusOK, status, body)
	var answer struct {
		CompositeResponse []struct {
			HTTPStatusCode int
			ReferenceID    string `json:"referenceId"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &answer), body)
	var codes []int
	for _, r := range answer.CompositeResponse {
		codes = append(codes, r.HTTPStatusCode)
	}
	require.Equal(t, []int{201, 201, 200, 204, 404}, codes, body)
	require.Equal(t, `Acme "Ltd"`, b.query("SELECT Description FROM Account WHERE Name LIKE 'Acme%'")[0]["Description"])

	status, body = b.call(http.MethodPost, "/composite/batch", `{"batchRequests":[{"method":"GET","url":"v67.0/limits"},{"method":"GET","url":"v67.0/sobjects/Nope"}]}`)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `{"hasErrors":true,"results":[{"statusCode":200,`)
}
