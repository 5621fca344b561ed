package simulator_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator"
)

func TestRules(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
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

	t.Run("AnAdministratorChangesValidationRules", func(t *testing.T) {
		t.Parallel()
		b := setupWith(t, sc)
		hot := `{"LastName":"L","Company":"C","Rating":"Hot","Score__c":1}`
		status, body := b.control(http.MethodPost, "/rules?org=acme", `{validation_rules: [{object: Lead, when: "Rating = 'Hot'", message: "No hot leads."}]}`)
		require.Equal(t, http.StatusOK, status, body)
		_, body = b.call(http.MethodPost, "/sobjects/Lead", hot)
		require.Contains(t, body, "No hot leads.")
		for _, bad := range []string{`{validation_rules: [{object: Lead, when: "Nope = 1"}]}`, `{rules: []}`} {
			status, body = b.control(http.MethodPost, "/rules?org=acme", bad)
			require.Equal(t, http.StatusBadRequest, status, body)
		}
		status, _ = b.control(http.MethodPost, "/rules?org=nope", `{}`)
		require.Equal(t, http.StatusNotFound, status)
		_, body = b.call(http.MethodPost, "/sobjects/Lead", hot)
		require.Contains(t, body, "No hot leads.", "what was refused changes nothing")
		require.NoError(t, b.sim.SetValidationRules("acme"))
		status, body = b.call(http.MethodPost, "/sobjects/Lead", hot)
		require.Equal(t, http.StatusCreated, status, body)
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
