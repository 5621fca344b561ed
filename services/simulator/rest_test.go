package simulator_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator"
)

// TestAnswers compares answers with the shapes and texts that Salesforce documents. {lead}, {done}, {jiro}, {gone}, {queue}
// and {campaign} stand for ids of the scenario.
func TestAnswers(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		want                     string // whole body; "…" at the end compares the beginning only
	}{
		{"UnknownObject", "GET", "/sobjects/Nope", "", 404, `[{"message":"The requested resource does not exist","errorCode":"NOT_FOUND"}]`},
		{"UnknownRecord", "GET", "/sobjects/Lead/00QS0009999999", "", 404, `[{"message":"Provided external ID field does not exist or is not accessible: 00QS0009999999","errorCode":"NOT_FOUND"}]`},
		{"WrongPrefix", "GET", "/sobjects/Lead/{jiro}", "", 400, `[{"message":"Lead ID: id value of incorrect type: {jiro}","errorCode":"MALFORMED_ID","fields":["Id"]}]`},
		{"ChosenFields", "GET", "/sobjects/Lead/{lead}?fields=Email,IsConverted", "", 200, `{"attributes":{"type":"Lead","url":"/services/data/v67.0/sobjects/Lead/{lead}"},"Email":"taro@toyo.example","IsConverted":false}`},
		{"UnknownField", "POST", "/sobjects/Lead", `{"Foo__c":1}`, 400, `[{"message":"No such column 'Foo__c' on sobject of type Lead","errorCode":"INVALID_FIELD"}]`},
		{"RequiredFields", "POST", "/sobjects/Lead", `{"FirstName":"A"}`, 400, `[{"message":"Required fields are missing: [LastName, Company]","errorCode":"REQUIRED_FIELD_MISSING","fields":["LastName","Company"]}]`},
		{"TooLong", "POST", "/sobjects/Lead", `{"LastName":"` + strings.Repeat("x", 81) + `","Company":"C"}`, 400, `[{"message":"Last Name: data value too large: ` + strings.Repeat("x", 81) + ` (max length=80)","errorCode":"STRING_TOO_LONG","fields":["LastName"]}]`},
		{"BadAddress", "POST", "/sobjects/Lead", `{"LastName":"L","Company":"C","Email":"not-an-email"}`, 400, `[{"message":"Email: invalid email address: not-an-email","errorCode":"INVALID_EMAIL_ADDRESS","fields":["Email"]}]`},
		{"RestrictedPicklist", "POST", "/sobjects/Task", `{"TaskSubtype":"Foo"}`, 400, `[{"message":"Task Subtype: bad value for restricted picklist field: Foo","errorCode":"INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST","fields":["TaskSubtype"]}]`},
		{"OutOfRange", "POST", "/sobjects/Engagement__c", `{"Percent_Watched__c":12345}`, 400, `[{"message":"Percent Watched: value outside of valid range on numeric field: 12345","errorCode":"NUMBER_OUTSIDE_VALID_RANGE","fields":["Percent_Watched__c"]}]`},
		{"WrongJSONType", "POST", "/sobjects/Task", "{\n\"ActivityDate\":\"soon\"}", 400, `[{"message":"Cannot deserialize instance of date from VALUE_STRING value soon or request may be missing a required field at [line:2, column:16]","errorCode":"JSON_PARSER_ERROR"}]`},
		{"BadJSON", "POST", "/sobjects/Task", "{}}", 400, `[{"message":"Unexpected character ('}' (code 125)): expected the end of the body at [line:1, column:3]","errorCode":"JSON_PARSER_ERROR"}]`},
		{"ReadOnlyField", "POST", "/sobjects/Task", `{"IsClosed":true}`, 400, `[{"message":"Unable to create/update fields: IsClosed. Please check the security settings of this field and verify that it is read/write for your profile or permission set.","errorCode":"INVALID_FIELD_FOR_INSERT_UPDATE","fields":["IsClosed"]}]`},
		{"MalformedReference", "POST", "/sobjects/Task", `{"WhoId":"nonsense"}`, 400, `[{"message":"Name ID: id value of incorrect type: nonsense","errorCode":"MALFORMED_ID","fields":["WhoId"]}]`},
		{"MissingReference", "POST", "/sobjects/Task", `{"WhoId":"00QS00zzzzzzzzz"}`, 400, `[{"message":"invalid cross reference id","errorCode":"INVALID_CROSS_REFERENCE_KEY","fields":[]}]`},
		{"InactiveOwner", "POST", "/sobjects/Task", `{"OwnerId":"{gone}"}`, 400, `[{"message":"operation performed with inactive user [{gone15}] as owner of task","errorCode":"INACTIVE_OWNER_OR_USER","fields":[]}]`},
		{"QueueOwner", "POST", "/sobjects/Task", `{"OwnerId":"{queue}"}`, 400, `[{"message":"Queue not associated with this SObject type","errorCode":"FIELD_INTEGRITY_EXCEPTION","fields":["OwnerId"]}]`},
		{"TaskOnConvertedLead", "POST", "/sobjects/Task", `{"WhoId":"{done}"}`, 400, `[{"message":"cannot reference converted lead","errorCode":"CANNOT_UPDATE_CONVERTED_LEAD","fields":["WhoId"]}]`},
		{"UpdateConvertedLead", "PATCH", "/sobjects/Lead/{done}", `{"Title":"T"}`, 400, `[{"message":"cannot reference converted lead","errorCode":"CANNOT_UPDATE_CONVERTED_LEAD","fields":[]}]`},
		{"LeadTaskWithWhatId", "POST", "/sobjects/Task", `{"WhoId":"{lead}","WhatId":"{campaign}"}`, 400, `[{"message":"Related To ID: a task of a lead cannot be related to another record","errorCode":"FIELD_INTEGRITY_EXCEPTION","fields":["WhatId"]}]`},
		{"UnknownExternalID", "PATCH", "/sobjects/Engagement__c/Nope__c/x", `{}`, 404, `[{"message":"Provided external ID field does not exist or is not accessible: Nope__c","errorCode":"NOT_FOUND"}]`},
		{"UpdateOnly", "PATCH", "/sobjects/Engagement__c/External_Id__c/new?updateOnly=true", `{}`, 404, `[{"message":"The requested resource does not exist","errorCode":"NOT_FOUND"}]`},
		{"MethodNotAllowed", "DELETE", "/sobjects/Lead", "", 405, `[{"message":"HTTP Method 'DELETE' not allowed. Allowed are HEAD,GET,POST","errorCode":"METHOD_NOT_ALLOWED"}]`},
		{"MalformedQuery", "GET", "/query?q=SELECT+Id+FORM+Lead", "", 400, `[{"message":"\nSELECT Id FORM Lead\n          ^\nERROR at Row:1:Column:11\nunexpected token: 'FORM'","errorCode":"MALFORMED_QUERY"}]`},
		{"UnknownColumn", "GET", "/query?q=SELECT+Foo__c+FROM+Lead", "", 400, `[{"message":"\nSELECT Foo__c FROM Lead\n       ^\nERROR at Row:1:Column:8\nNo such column 'Foo__c' on entity 'Lead'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names.","errorCode":"INVALID_FIELD"}]`},
		{"UnknownType", "GET", "/query?q=SELECT+Id+FROM+Foo", "", 400, `[{"message":"\nSELECT Id FROM Foo\n               ^\nERROR at Row:1:Column:16\nsObject type 'Foo' is not supported.…`},
		{"FilterOnLongText", "GET", "/query?q=SELECT+Id+FROM+Task+WHERE+Description+%3D+'x'", "", 400, `[{"message":"\nSELECT Id FROM Task WHERE Description = 'x'\n                          ^\nERROR at Row:1:Column:27\nfield 'Description' can not be filtered in a query call","errorCode":"INVALID_FIELD"}]`},
		{"WrongLiteral", "GET", "/query?q=SELECT+Id+FROM+Lead+WHERE+IsConverted+%3D+'x'", "", 400, `[{"message":"\nSELECT Id FROM Lead WHERE IsConverted = 'x'\n                                        ^\nERROR at Row:1:Column:41\nvalue of filter criterion for field 'IsConverted' must be of type boolean and should not be enclosed in quotes","errorCode":"INVALID_FIELD"}]`},
		{"Count", "GET", "/query?q=SELECT+COUNT()+FROM+Lead", "", 200, `{"totalSize":2,"done":true,"records":[]}`},
		{"BadLocator", "GET", "/query/01gS0000000000A-2000", "", 404, `[{"message":"Invalid query locator","errorCode":"INVALID_QUERY_LOCATOR"}]`},
		{"CollectionWithoutRecords", "POST", "/composite/sobjects", `{}`, 400, `[{"message":"Records list is required","errorCode":"INVALID_INPUT"}]`},
		{"CollectionKeyMissing", "PATCH", "/composite/sobjects/Engagement__c/External_Id__c", `{"records":[{"Title__c":"x"}]}`, 200, `[{"success":false,"errors":[{"statusCode":"MISSING_ARGUMENT","message":"External_Id__c not specified","fields":[]}]}]`},
		{"CollectionGet", "GET", "/composite/sobjects/Lead?ids={lead},00QS00zzzzzzzzz&fields=LastName", "", 200, `[{"attributes":{"type":"Lead","url":"/services/data/v67.0/sobjects/Lead/{lead}"},"LastName":"山田"},null]`},
		{"AmbiguousMember", "POST", "/sobjects/CampaignMember", `{"CampaignId":"{campaign}"}`, 400, `[{"message":"Required fields are missing: [LeadOrContactId]","errorCode":"REQUIRED_FIELD_MISSING","fields":["LeadOrContactId"]}]`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			ids := strings.NewReplacer(
				"{lead}", b.id("Lead", "Email = 'taro@toyo.example'"), "{done}", b.id("Lead", "IsConverted = true"),
				"{jiro}", b.id("Contact", "LastName = '鈴木'"), "{gone}", b.id("User", "IsActive = false"),
				"{gone15}", b.id("User", "IsActive = false")[:15], "{queue}", b.id("Group", "Type = 'Queue'"), "{campaign}", b.id("Campaign", "Name = 'Spring'"),
			)
			status, body := b.call(tc.method, ids.Replace(tc.path), ids.Replace(tc.body))
			want := ids.Replace(tc.want)
			if start, open := strings.CutSuffix(want, "…"); open {
				body, want = body[:min(len(body), len(start))], start
			}
			require.Equal(t, want, body)
			require.Equal(t, tc.status, status)
		})
	}
}

func TestSingleRecords(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")

	t.Run("CreateReadChangeDelete", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		res, body := b.do(http.MethodPost, b.base+"/services/data/v67.0/sobjects/Lead", `{"lastname":" Doe ","Company":"C","Email":"d@x.example"}`)
		require.Equal(t, http.StatusCreated, res.StatusCode, body)
		var made struct{ ID string }
		require.NoError(t, json.Unmarshal([]byte(body), &made))
		require.Equal(t, "/services/data/v67.0/sobjects/Lead/"+made.ID, res.Header.Get("Location"))
		require.Regexp(t, `^api-usage=\d+/100000$`, res.Header.Get("Sforce-Limit-Info"))

		b.clock.advance(time.Hour)
		status, body := b.call(http.MethodPatch, "/sobjects/Lead/"+made.ID[:15], `{"Email":null,"Title":"CTO"}`)
		require.Equal(t, http.StatusNoContent, status, body)
		rows := b.query("SELECT LastName, Email, Title, Status, Owner.Username, CreatedDate, LastModifiedDate FROM Lead WHERE Id = '" + made.ID + "'")
		delete(rows[0], "attributes")
		delete(rows[0]["Owner"].(map[string]any), "attributes")
		require.Equal(t, map[string]any{
			"LastName": "Doe", "Email": nil, "Title": "CTO", "Status": "Open - Not Contacted", "Owner": map[string]any{"Username": "integration@acme.example"},
			"CreatedDate": "2026-08-10T09:00:00.000+0000", "LastModifiedDate": "2026-08-10T10:00:00.000+0000",
		}, rows[0])

		status, _ = b.call(http.MethodDelete, "/sobjects/Lead/"+made.ID, "")
		require.Equal(t, http.StatusNoContent, status)
		status, body = b.call(http.MethodGet, "/sobjects/Lead/"+made.ID, "")
		require.Equal(t, http.StatusNotFound, status)
		require.JSONEq(t, `[{"errorCode":"ENTITY_IS_DELETED","message":"entity is deleted"}]`, body)
		require.Empty(t, b.query("SELECT Id FROM Lead WHERE Id = '"+made.ID+"'"))
		status, body = b.call(http.MethodGet, "/queryAll?q="+url.QueryEscape("SELECT IsDeleted FROM Lead WHERE Id = '"+made.ID+"'"), "")
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, body, `"IsDeleted":true`)
	})

	t.Run("UpsertTellsWhetherItCreated", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		path := "/sobjects/Engagement__c/External_Id__c/a-1"
		status, body := b.call(http.MethodPatch, path, `{"Title__c":"T"}`)
		require.Equal(t, http.StatusCreated, status, body)
		require.Contains(t, body, `"created":true`)
		status, body = b.call(http.MethodPatch, path, `{"Title__c":"U"}`)
		require.Equal(t, http.StatusOK, status, body)
		require.Contains(t, body, `"created":false`)
		res, body := b.do(http.MethodPatch, b.base+"/services/data/v45.0"+path, `{"Title__c":"V"}`)
		require.Equal(t, http.StatusNoContent, res.StatusCode, body)
		require.Equal(t, "V", b.query("SELECT Title__c FROM Engagement__c")[0]["Title__c"])
	})

	t.Run("TasksTakeTheOrgsDefaults", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		lead := b.id("Lead", "Email = 'taro@toyo.example'")
		status, body := b.call(http.MethodPost, "/sobjects/Task", fmt.Sprintf(`{"WhoId":%q,"Subject":"S","ActivityDate":"2026-08-11"}`, lead))
		require.Equal(t, http.StatusCreated, status, body)
		row := b.query("SELECT Status, Priority, Owner.Username, Who.Name, Who.Type, IsClosed, ActivityDate FROM Task")[0]
		require.Equal(t, "Not Started", row["Status"])
		require.Equal(t, "Normal", row["Priority"])
		require.Equal(t, "integration@acme.example", row["Owner"].(map[string]any)["Username"])
		require.Equal(t, "Lead", row["Who"].(map[string]any)["Type"])
		require.Equal(t, "2026-08-11", row["ActivityDate"])
	})

	t.Run("CampaignMembersAreUniqueAndFallBackToTheDefaultStatus", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		campaign, lead := b.id("Campaign", "Name = 'Spring'"), b.id("Lead", "Email = 'taro@toyo.example'")
		body := fmt.Sprintf(`{"CampaignId":%q,"LeadId":%q,"Status":"No such status"}`, campaign, lead)
		status, answer := b.call(http.MethodPost, "/sobjects/CampaignMember", body)
		require.Equal(t, http.StatusCreated, status, answer)
		require.Equal(t, "Sent", b.query("SELECT Status, HasResponded FROM CampaignMember")[0]["Status"])
		status, answer = b.call(http.MethodPost, "/sobjects/CampaignMember", body)
		require.Equal(t, http.StatusBadRequest, status)
		require.JSONEq(t, `[{"errorCode":"DUPLICATE_VALUE","message":"Already a campaign member.","fields":[]}]`, answer)
		require.InDelta(t, 1, b.query("SELECT NumberOfLeads FROM Campaign")[0]["NumberOfLeads"], 0)
	})
}

func TestCollections(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")

	t.Run("KeepOrderAndRefuseRecordsOneByOne", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		status, body := b.call(http.MethodPost, "/composite/sobjects", `{"records":[
			{"attributes":{"type":"Task"},"Subject":"one"},
			{"attributes":{"type":"Task"},"Subject":"`+strings.Repeat("x", 256)+`"},
			{"attributes":{"type":"Task"},"Subject":"three"}]}`)
		require.Equal(t, http.StatusOK, status)
		var results []struct {
			ID      string
			Success bool
			Errors  []struct{ StatusCode string }
		}
		require.NoError(t, json.Unmarshal([]byte(body), &results))
		require.Equal(t, []bool{true, false, true}, []bool{results[0].Success, results[1].Success, results[2].Success})
		require.Equal(t, "STRING_TOO_LONG", results[1].Errors[0].StatusCode)
		require.NotContains(t, body, `"created"`)
		require.Len(t, b.query("SELECT Id FROM Task"), 2)
	})

	t.Run("AllOrNoneTakesEverythingBack", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, body := b.call(http.MethodPost, "/composite/sobjects", `{"allOrNone":true,"records":[
			{"attributes":{"type":"Task"},"Subject":"one"},{"attributes":{"type":"Lead"},"LastName":"x"}]}`)
		require.Contains(t, body, `"statusCode":"ALL_OR_NONE_OPERATION_ROLLED_BACK","message":"Record rolled back because not all records were valid and the request was using AllOrNone header"`)
		require.Contains(t, body, `"statusCode":"REQUIRED_FIELD_MISSING"`)
		require.Empty(t, b.query("SELECT Id FROM Task"))
	})

	t.Run("RefuseEveryRecordWithARepeatedKey", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, body := b.call(http.MethodPatch, "/composite/sobjects/Engagement__c/External_Id__c",
			`{"records":[{"External_Id__c":"a"},{"External_Id__c":"b"},{"External_Id__c":"a"}]}`)
		require.Equal(t, 2, strings.Count(body, `"Duplicate external id specified: a"`))
		require.Len(t, b.query("SELECT Id FROM Engagement__c"), 1)
	})

	t.Run("UniqueKeysNameTheOtherRecord", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.call(http.MethodPost, "/sobjects/Engagement__c", `{"External_Id__c":"k"}`)
		id := b.id("Engagement__c", "External_Id__c = 'k'")
		_, body := b.call(http.MethodPost, "/composite/sobjects", `{"records":[{"attributes":{"type":"Engagement__c"},"External_Id__c":"k"}]}`)
		require.Contains(t, body, "duplicate value found: External_Id__c duplicates value on record with id: "+id[:15]+`"`)
		b.call(http.MethodPost, "/sobjects/Engagement__c", `{"External_Id__c":"K"}`)
		require.Len(t, b.query("SELECT Id FROM Engagement__c"), 2, "the key is case-sensitive")
	})

	t.Run("RefuseTooManyRecordsAndTooManyChunks", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		status, body := b.call(http.MethodPost, "/composite/sobjects", `{"records":[`+strings.Repeat(`{"attributes":{"type":"Task"}},`, 200)+`{"attributes":{"type":"Task"}}]}`)
		require.Equal(t, http.StatusBadRequest, status, body)
		require.Contains(t, body, "cannot submit more than 200 records")
		status, body = b.call(http.MethodPost, "/composite/sobjects", `{"records":[`+strings.Repeat(`{"attributes":{"type":"Task"}},{"attributes":{"type":"Account"}},`, 5)+`{"attributes":{"type":"Task"}}]}`)
		require.Equal(t, http.StatusBadRequest, status)
		require.Contains(t, body, "more than 10 chunks")
	})

	t.Run("Delete", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		lead, contact := b.id("Lead", "Email = 'taro@toyo.example'"), b.id("Contact", "LastName = '鈴木'")
		status, body := b.call(http.MethodDelete, "/composite/sobjects?ids="+lead+","+contact+","+lead, "")
		require.Equal(t, http.StatusOK, status)
		require.JSONEq(t, `[{"id":"`+lead+`","success":true,"errors":[]},{"id":"`+contact+`","success":true,"errors":[]},
			{"success":false,"errors":[{"statusCode":"ENTITY_IS_DELETED","message":"entity is deleted","fields":[]}]}]`, body)
	})

	t.Run("GzipBothWays", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, err := z.Write([]byte(`{"records":[` + strings.Repeat(`{"attributes":{"type":"Task"},"Subject":"s"},`, 99) + `{"attributes":{"type":"Task"}}]}`))
		require.NoError(t, err)
		require.NoError(t, z.Close())
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.base+"/services/data/v67.0/composite/sobjects", &packed)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+b.token)
		req.Header.Set("Content-Encoding", "gzip")
		req.Header.Set("Accept-Encoding", "gzip")
		res, err := http.DefaultTransport.RoundTrip(req)
		require.NoError(t, err)
		defer res.Body.Close()
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, "gzip", res.Header.Get("Content-Encoding"))
		unpacked, err := gzip.NewReader(res.Body)
		require.NoError(t, err)
		var results []map[string]any
		require.NoError(t, json.NewDecoder(unpacked).Decode(&results))
		require.Len(t, results, 100)
	})
}

func TestQueries(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	sc := simulator.Scenario{Orgs: []simulator.Org{{
		Key: "acme", Apps: []simulator.App{{ClientID: "app", ClientSecret: "secret", RunAs: "a@acme.example"}},
		Users: []simulator.User{{Username: "a@acme.example"}}, Records: []simulator.Rows{{Object: "Lead"}},
	}}}
	for i := range 4100 {
		sc.Orgs[0].Records[0].Rows = append(sc.Orgs[0].Records[0].Rows, map[string]any{
			"LastName": fmt.Sprintf("L%04d", i), "Company": "C", "Email": fmt.Sprintf("l%d@x.example", i%3000), "NumberOfEmployees": i % 7,
		})
	}
	b := setupWith(t, &sc)

	t.Run("PageUntilDone", func(t *testing.T) {
		t.Parallel()
		next, pages, rows := b.base+"/services/data/v67.0/query?q="+url.QueryEscape("SELECT Id FROM Lead ORDER BY LastName"), 0, 0
		for next != "" {
			_, body := b.do(http.MethodGet, next, "")
			var page struct {
				TotalSize      int
				Done           bool
				NextRecordsURL string
				Records        []struct{ ID string }
			}
			require.NoError(t, json.Unmarshal([]byte(body), &page))
			require.Equal(t, 4100, page.TotalSize)
			require.Equal(t, page.Done, page.NextRecordsURL == "")
			pages, rows, next = pages+1, rows+len(page.Records), page.NextRecordsURL
			if next != "" {
				require.Regexp(t, `^/services/data/v67.0/query/01g\w{15}-\d+$`, next)
				next = b.base + next
			}
		}
		require.Equal(t, [2]int{3, 4100}, [2]int{pages, rows})
	})

	t.Run("SmallerPagesOnRequest", func(t *testing.T) {
		t.Parallel()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.base+"/services/data/v67.0/query?q=SELECT+Id+FROM+Lead", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+b.token)
		req.Header.Set("Sforce-Query-Options", "batchSize=250")
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		var page struct{ Records []any }
		require.NoError(t, json.NewDecoder(res.Body).Decode(&page))
		require.Len(t, page.Records, 250)
	})

	for soql, want := range map[string]int{
		"SELECT Id FROM Lead WHERE Email = 'L7@X.example'":                                          2,
		"SELECT Id FROM Lead WHERE Email IN ('l7@x.example','l2999@x.example','no@x.example')":      3,
		"SELECT Id FROM Lead WHERE Email = 'l7@x.example' AND LastName != 'L0007'":                  1,
		"SELECT Id FROM Lead WHERE Email = 'l1@x.example' OR LastName LIKE 'l410_'":                 2,
		"SELECT Id FROM Lead WHERE LastName LIKE '%99'":                                             41,
		"SELECT Id FROM Lead WHERE NOT (NumberOfEmployees > 0)":                                     586,
		"SELECT Id FROM Lead WHERE NumberOfEmployees NOT IN (0, 1, 2, 3, 4, 5)":                     585,
		"SELECT Id FROM Lead WHERE Phone = null LIMIT 7":                                            7,
		"SELECT Id FROM Lead WHERE CreatedDate = TODAY AND NumberOfEmployees = 3 LIMIT 10 OFFSET 5": 10,
		"SELECT Id FROM Lead WHERE CreatedDate < 2026-08-10T09:00:00Z":                              0,
		"SELECT Id FROM Lead WHERE Owner.Username = 'A@acme.example' LIMIT 3":                       3,
	} {
		t.Run(soql, func(t *testing.T) {
			t.Parallel()
			require.Len(t, b.query(soql), want)
		})
	}

	t.Run("Aggregate", func(t *testing.T) {
		t.Parallel()
		rows := b.query("SELECT NumberOfEmployees, COUNT(Id), MAX(LastName) last FROM Lead GROUP BY NumberOfEmployees LIMIT 1")
		require.Equal(t, map[string]any{
			"attributes": map[string]any{"type": "AggregateResult"}, "NumberOfEmployees": 0.0, "expr0": 586.0, "last": "L4095",
		}, rows[0])
	})
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	b := setup(t)
	res, body := b.do(http.MethodGet, b.base+"/services/data/v67.0/sobjects/Task/describe", "")
	var d struct {
		KeyPrefix string
		Fields    []struct {
			Name, Type                                             string
			Length                                                 int
			Createable, Updateable, Nillable, ExternalID, Unique   bool
			DefaultedOnCreate, Filterable, IDLookup, CaseSensitive bool
			PicklistValues                                         []struct {
				Value        string
				DefaultValue bool
			}
			ReferenceTo []string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &d))
	require.Equal(t, "00T", d.KeyPrefix)
	fields := map[string]int{}
	for i, f := range d.Fields {
		fields[f.Name] = i
	}
	key := d.Fields[fields["Throughline_Key__c"]]
	require.True(t, key.ExternalID && key.Unique && key.IDLookup && key.CaseSensitive && key.Nillable && key.Createable)
	status := d.Fields[fields["Status"]]
	require.True(t, status.DefaultedOnCreate && !status.Nillable)
	require.Equal(t, "Not Started", status.PicklistValues[0].Value)
	require.False(t, d.Fields[fields["Description"]].Filterable)
	require.Equal(t, []string{"Contact", "Lead"}, d.Fields[fields["WhoId"]].ReferenceTo)
	require.False(t, d.Fields[fields["IsClosed"]].Createable)

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.base+"/services/data/v67.0/sobjects/Task/describe", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+b.token)
	req.Header.Set("If-Modified-Since", res.Header.Get("Last-Modified"))
	again, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, again.Body.Close())
	require.Equal(t, http.StatusNotModified, again.StatusCode)
}

func TestVersions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	res, body := b.do(http.MethodGet, b.base+"/services/data", "")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Empty(t, res.Header.Get("Sforce-Limit-Info"))
	require.Contains(t, body, `{"label":"Summer '26","url":"/services/data/v67.0","version":"67.0"}`)
	require.Contains(t, body, `{"label":"Winter '24","url":"/services/data/v59.0","version":"59.0"}`)
	res, _ = b.do(http.MethodGet, b.base+"/services/data/v30.0/limits", "")
	require.Equal(t, http.StatusGone, res.StatusCode)
	status, body := b.call(http.MethodGet, "/limits", "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `"DailyApiRequests":{"Max":100000,"Remaining":9999`)
}
