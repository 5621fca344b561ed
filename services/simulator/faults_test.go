package simulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
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

	t.Run("AFamilyOfRoutesIncludesTheRouteThatNamesIt", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.sim.AddFaults(simulator.Fault{Route: "collections.*", Action: "maintenance", Nth: []int{1, 2}})
		require.NoError(t, err)
		for _, tc := range []struct{ method, path, body string }{
			{http.MethodPost, "/composite/sobjects", `{"records":[{"attributes":{"type":"Engagement__c"},"Title__c":"T"}]}`},
			{http.MethodPatch, upsert, oneEngagement},
		} {
			status, body := b.call(tc.method, tc.path, tc.body)
			require.Equal(t, http.StatusServiceUnavailable, status, body)
			status, body = b.call(http.MethodGet, "/limits", "")
			require.Equal(t, http.StatusOK, status, body)
		}
	})

	t.Run("RulesThatCanHitNothingAreRefused", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.sim.AddFaults(simulator.Fault{Route: "collections.insert", Action: "maintenance"})
		require.ErrorContains(t, err, `faults[0].route: "collections.insert" is none of `)
		require.ErrorContains(t, err, "collections, collections.get, collections.upsert")
		err = b.sim.Seed(t.Context(), &simulator.Scenario{Faults: []simulator.Fault{{Route: "colections*", Action: "maintenance"}}})
		require.ErrorContains(t, err, `faults[0].route: "colections*" is none of `)
		_, body := b.control(http.MethodGet, "/faults", "")
		require.JSONEq(t, "[]", body)
	})

	t.Run("BadRulesAreRefused", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for body, want := range map[string]string{
			`[{action: explode}]`: "faults[0].action", `[{action: status}]`: "faults[0].status", `[{action: delay}]`: "faults[0].wait",
			`{action: delay, wait: 1s}`: "action", `[{action: delay, wait: 1s, rout: x}]`: "rout", `{faults: []}`: "no rule",
			`[{action: lock_row, nth: [1], every: 2}]`: "faults[0].nth", `[{action: row_error}]`: "faults[0].code", `[{action: maintenance, route: "["}]`: "faults[0].route",
			`[{action: maintenance, route: collection}]`: "is none of authorize, bulk.create,", `[{action: fail_job, route: query}]`: "none of bulk.job",
			`[{action: maintenance, route: "collections.*"}, {action: gap_event, route: bulk.job}]`: "none of pubsub.subscribe",
		} {
			status, answer := b.control(http.MethodPost, "/faults", body)
			require.Equal(t, http.StatusBadRequest, status)
			require.Contains(t, answer, want)
		}
	})
}

func TestQuota(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
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

func TestControl(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")

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
