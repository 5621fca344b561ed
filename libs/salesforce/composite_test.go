package salesforce_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

const (
	leadID    = "00QSM000000pQrS2AU"
	contactID = "003SM0000012xYzYAI"
)

func TestDelete(t *testing.T) {
	t.Parallel()
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "DELETE /services/data/v66.0/sobjects/Lead/"+leadID, r.Method+" "+r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	})
	require.NoError(t, b.client.Delete(t.Context(), "Lead", leadID))
	b = setup(t, reply(404, `[{"errorCode":"ENTITY_IS_DELETED","message":"entity is deleted"}]`))
	require.Equal(t, salesforce.ReasonRecordGone, failure(t, b.client.Delete(t.Context(), "Lead", leadID)).Reason)
	b = setup(t, reply(502, "<html>"))
	require.True(t, salesforce.IsAmbiguous(b.client.Delete(t.Context(), "Lead", leadID)))
}

func TestCollectionDelete(t *testing.T) {
	t.Parallel()
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "DELETE /services/data/v66.0/composite/sobjects", r.Method+" "+r.URL.Path)
		assert.Equal(t, leadID+","+contactID, r.URL.Query().Get("ids"))
		assert.Equal(t, "false", r.URL.Query().Get("allOrNone"))
		_, _ = io.WriteString(w, `[{"id":"`+leadID+`","success":true,"errors":[]},{"success":false,"errors":[{"statusCode":"DELETE_FAILED","message":"has cases"}]}]`)
	})
	res, err := b.client.CollectionDelete(t.Context(), []string{leadID, contactID})
	require.NoError(t, err)
	require.Equal(t, salesforce.RecordResult{ID: leadID}, res.Records[0])
	require.Equal(t, "DELETE_FAILED", res.Records[1].Err.Code)
	many := make([]string, 201)
	for _, ids := range [][]string{nil, many, {"x"}, {"00QSM000000pQrS2AA"}} {
		_, err := b.client.CollectionDelete(t.Context(), ids)
		require.Equal(t, salesforce.CodeBadRequest, failure(t, err).Code)
	}
	b = setup(t, reply(200, `[]`))
	_, err = b.client.CollectionDelete(t.Context(), []string{leadID})
	require.True(t, salesforce.IsAmbiguous(err), "which record is which cannot be told")
}

func TestCollectionGet(t *testing.T) {
	t.Parallel()
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		assert.Equal(t, "POST /services/data/v66.0/composite/sobjects/Lead", r.Method+" "+r.URL.Path)
		assert.JSONEq(t, `{"ids":["`+leadID+`","00QSM000000pQrS"],"fields":["Id","Email"]}`, string(body))
		_, _ = io.WriteString(w, `[null,{"attributes":{"type":"Lead"},"Id":"`+leadID+`","Email":null}]`)
	})
	records, err := b.client.CollectionGet(t.Context(), "Lead", []string{leadID, "00QSM000000pQrS"}, []string{"Id", "Email"})
	require.NoError(t, err)
	require.Nil(t, records[0])
	require.Equal(t, leadID, records[1].String("Id"))
	for _, ids := range [][]string{nil, make([]string, 2001), {""}} {
		_, err = b.client.CollectionGet(t.Context(), "Lead", ids, []string{"Id"})
		require.Equal(t, salesforce.CodeBadRequest, failure(t, err).Code)
	}
	_, err = b.client.CollectionGet(t.Context(), "Lead", []string{leadID}, nil)
	require.Equal(t, salesforce.CodeBadRequest, failure(t, err).Code)
	b = setup(t, reply(502, ""))
	_, err = b.client.CollectionGet(t.Context(), "Lead", []string{leadID}, []string{"Id"})
	require.False(t, salesforce.IsAmbiguous(err), "a POST that reads leaves nothing in doubt")
}

func steps() []salesforce.Subrequest {
	return []salesforce.Subrequest{
		salesforce.SubCreate("acc", "Account", salesforce.Fields{{Name: "Name", Value: "Acme"}}),
		salesforce.SubCreate("con", "Contact", salesforce.Fields{{Name: "LastName", Value: "Roe"}, {Name: "AccountId", Value: salesforce.Ref("acc", "id")}}),
		salesforce.SubUpdate("upd", "Contact", salesforce.Ref("con", "id"), salesforce.Fields{{Name: "Title", Value: "x"}}),
		salesforce.SubUpsert("ups", salesforce.Key{Object: "Lead", Field: "Ext__c", Value: "a/b"}, salesforce.Fields{{Name: "Company", Value: "y"}}),
		salesforce.SubDelete("del", "Lead", leadID),
		salesforce.SubGet("get", "Account", salesforce.Ref("acc", "id"), "Id", "Name"),
	}
}

func TestComposite(t *testing.T) {
	t.Parallel()
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		assert.Equal(t, "POST /services/data/v66.0/composite", r.Method+" "+r.URL.Path)
		assert.JSONEq(t, `{"collateSubrequests":false,"allOrNone":true,"compositeRequest":[
			{"method":"POST","url":"/services/data/v66.0/sobjects/Account","referenceId":"acc","httpHeaders":{"Sforce-Auto-Assign":"FALSE"},"body":{"Name":"Acme"}},
			{"method":"POST","url":"/services/data/v66.0/sobjects/Contact","referenceId":"con","httpHeaders":{"Sforce-Auto-Assign":"FALSE"},"body":{"LastName":"Roe","AccountId":"@{acc.id}"}},
			{"method":"PATCH","url":"/services/data/v66.0/sobjects/Contact/@{con.id}","referenceId":"upd","httpHeaders":{"Sforce-Auto-Assign":"FALSE"},"body":{"Title":"x"}},
			{"method":"PATCH","url":"/services/data/v66.0/sobjects/Lead/Ext__c/a%2Fb","referenceId":"ups","httpHeaders":{"Sforce-Auto-Assign":"FALSE"},"body":{"Company":"y"}},
			{"method":"DELETE","url":"/services/data/v66.0/sobjects/Lead/`+leadID+`","referenceId":"del"},
			{"method":"GET","url":"/services/data/v66.0/sobjects/Account/@{acc.id}?fields=Id%2CName","referenceId":"get"},
			{"method":"GET","url":"/services/data/v66.0/query?q=SELECT+Id+FROM+Lead","referenceId":"q"}]}`, string(body))
		_, _ = io.WriteString(w, `{"compositeResponse":[
			{"body":{"id":"001SM000000kLmNYAU","success":true,"errors":[]},"httpHeaders":{},"httpStatusCode":201,"referenceId":"acc"},
			{"body":[{"message":"Last Name: data value too large: Roe (max length=80)","errorCode":"STRING_TOO_LONG","fields":["LastName"]}],"httpStatusCode":400,"referenceId":"con"},
			{"body":null,"httpHeaders":{},"httpStatusCode":204,"referenceId":"upd"},
			{"body":{"id":"`+leadID+`","success":true,"errors":[],"created":false},"httpStatusCode":200,"referenceId":"ups"},
			{"body":null,"httpStatusCode":204,"referenceId":"del"},
			{"body":{"Id":"001SM000000kLmNYAU","Name":"Acme"},"httpStatusCode":200,"referenceId":"get"},
			{"body":{"done":true,"records":[]},"httpStatusCode":200,"referenceId":"q"}]}`)
	})
	results, err := b.client.Composite(t.Context(), salesforce.CompositeRequest{
		AllOrNone: true, Steps: append(steps(), salesforce.SubQuery("q", "SELECT Id FROM Lead")),
	})
	require.NoError(t, err)
	require.Equal(t, salesforce.RecordResult{ID: "001SM000000kLmNYAU", Created: true}, results[0].RecordResult)
	require.Equal(t, salesforce.ReasonTypeMismatch, results[1].Err.Reason)
	require.NotContains(t, results[1].Err.Error(), "Roe")
	require.Nil(t, results[2].Body)
	require.Equal(t, salesforce.RecordResult{ID: leadID}, results[3].RecordResult)
	require.Equal(t, salesforce.RecordResult{}, results[4].RecordResult)
	var account salesforce.Record
	require.NoError(t, json.Unmarshal(results[5].Body, &account))
	require.Equal(t, "Acme", account.String("Name"))
}

func TestCompositeRefusesWhatSalesforceWould(t *testing.T) {
	t.Parallel()
	b := setup(t, func(http.ResponseWriter, *http.Request) { t.Error("sent") })
	one := func(i int) salesforce.Subrequest { return salesforce.SubDelete(fmt.Sprint("r", i), "Lead", leadID) }
	var many, queries []salesforce.Subrequest
	for i := range 26 {
		many = append(many, one(i))
	}
	for i := range 6 {
		queries = append(queries, salesforce.SubQuery(fmt.Sprint("q", i), "SELECT Id FROM Lead"))
	}
	text := func(v any) salesforce.Subrequest {
		return salesforce.SubCreate("a", "Lead", salesforce.Fields{{Name: "Company", Value: v}})
	}
	for name, steps := range map[string][]salesforce.Subrequest{
		"none": nil, "26": many, "6 queries": queries, "same reference": {one(1), one(1)}, "bad reference": {salesforce.SubDelete("a-b", "Lead", leadID)},
		"no reference": {salesforce.SubDelete("", "Lead", leadID)}, "forward": {salesforce.SubDelete("a", "Lead", salesforce.Ref("b", "id")), one(1)},
		"forward in a field": {text(salesforce.Ref("b", "id"))}, "text that is a reference": {text("hello @{acc.id}")}, "bad reference in a field": {one(1), text(salesforce.Ref("r1", "i d"))},
		"odd value": {text(1)},
	} {
		_, err := b.client.Composite(t.Context(), salesforce.CompositeRequest{Steps: steps})
		require.Equal(t, salesforce.CodeBadRequest, failure(t, err).Code, name)
		if name != "26" && name != "6 queries" {
			_, err = b.client.CompositeGraph(t.Context(), []salesforce.Graph{{ID: "g", Steps: steps}})
			require.Equal(t, salesforce.CodeBadRequest, failure(t, err).Code, name)
		}
	}
	graphs := make([]salesforce.Graph, 76)
	for i := range graphs {
		graphs[i] = salesforce.Graph{ID: fmt.Sprint("g", i), Steps: many[:1]}
	}
	var nodes []salesforce.Subrequest
	for i := range 251 {
		nodes = append(nodes, one(i))
	}
	for name, graphs := range map[string][]salesforce.Graph{
		"none": nil, "76": graphs, "502 nodes": {{ID: "a", Steps: nodes}, {ID: "b", Steps: nodes}}, "same id": {graphs[0], graphs[0]},
		"bad id": {{ID: "-", Steps: many[:1]}}, "query": {{ID: "a", Steps: queries[:1]}},
	} {
		_, err := b.client.CompositeGraph(t.Context(), graphs)
		require.Equal(t, salesforce.CodeBadRequest, failure(t, err).Code, name)
	}
}

const halted = `{"body":[{"errorCode":"PROCESSING_HALTED","message":"The transaction was rolled back since another operation in the same transaction failed."}],"httpStatusCode":400,"referenceId":"%s"}`

func TestWhatIsWorthRepeating(t *testing.T) {
	t.Parallel()
	var answers []string
	for _, s := range steps() {
		if s.Reference == "con" {
			answers = append(answers, `{"body":[{"errorCode":"FIELD_CUSTOM_VALIDATION_EXCEPTION","message":"no"}],"httpStatusCode":400,"referenceId":"con"}`)
			continue
		}
		answers = append(answers, fmt.Sprintf(halted, s.Reference))
	}
	b := setup(t, reply(200, `{"compositeResponse":[`+strings.Join(answers, ",")+`]}`))
	results, err := b.client.Composite(t.Context(), salesforce.CompositeRequest{AllOrNone: true, Steps: steps()})
	require.NoError(t, err)
	require.True(t, results[0].Halted())
	require.True(t, results[0].Err.Temporary())
	require.False(t, results[1].Halted())
	var left []string
	for _, s := range salesforce.WithoutCulprits(steps(), results) {
		left = append(left, s.Reference)
	}
	require.Equal(t, []string{"acc", "ups", "del", "get"}, left, "con failed, and upd refers to it")
}

func TestCompositeGraph(t *testing.T) {
	t.Parallel()
	graph := func(id string) salesforce.Graph {
		return salesforce.Graph{ID: id, Steps: []salesforce.Subrequest{salesforce.SubDelete("a", "Lead", leadID), salesforce.SubDelete("b", "Lead", leadID)}}
	}
	bad := `{"body":[{"errorCode":"ENTITY_IS_DELETED","message":"entity is deleted"}],"httpStatusCode":404,"referenceId":"a"}`
	good := `{"body":null,"httpStatusCode":204,"referenceId":"%s"}`
	of := func(id, a, b string, well bool) string {
		return fmt.Sprintf(`{"graphId":"%s","graphResponse":{"compositeResponse":[%s,%s]},"isSuccessful":%t}`, id, a, b, well)
	}
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		assert.Equal(t, "/services/data/v66.0/composite/graph", r.URL.Path)
		step := func(ref string) string {
			return `{"method":"DELETE","url":"/services/data/v66.0/sobjects/Lead/` + leadID + `","referenceId":"` + ref + `"}`
		}
		assert.JSONEq(t, fmt.Sprintf(`{"graphs":[{"graphId":"g1","compositeRequest":[%[1]s,%[2]s]},{"graphId":"g2","compositeRequest":[%[1]s,%[2]s]},
			{"graphId":"g3","compositeRequest":[%[1]s,%[2]s]}]}`, step("a"), step("b")), string(body))
		fmt.Fprintf(w, `{"graphs":[%s,%s,%s]}`, of("g2", bad, fmt.Sprintf(halted, "b"), false),
			of("g1", fmt.Sprintf(good, "a"), fmt.Sprintf(good, "b"), true), of("g3", fmt.Sprintf(halted, "a"), fmt.Sprintf(halted, "b"), false))
	})
	results, err := b.client.CompositeGraph(t.Context(), []salesforce.Graph{graph("g1"), graph("g2"), graph("g3")})
	require.NoError(t, err)
	require.Equal(t, []string{"g1", "g2", "g3"}, []string{results[0].ID, results[1].ID, results[2].ID})
	require.True(t, results[0].Successful)
	require.False(t, results[0].Halted())
	require.Equal(t, salesforce.ReasonRecordGone, results[1].Steps[0].Err.Reason)
	require.False(t, results[1].Halted())
	require.True(t, results[2].Halted(), "a graph without a culprit of its own may be repeated")
}

func TestCompositeAnswersThatAreNotOurs(t *testing.T) {
	t.Parallel()
	steps := []salesforce.Subrequest{salesforce.SubDelete("a", "Lead", leadID), salesforce.SubDelete("b", "Lead", leadID)}
	for _, list := range []string{
		"", "null", "{}", `{"compositeResponse":[]}`, `{"compositeResponse":[{"referenceId":"a","httpStatusCode":204},{"referenceId":"a","httpStatusCode":204}]}`,
		`{"compositeResponse":[{"referenceId":"a","httpStatusCode":204},{"referenceId":"x","httpStatusCode":204}]}`,
	} {
		b := setup(t, reply(200, list))
		_, err := b.client.Composite(t.Context(), salesforce.CompositeRequest{Steps: steps})
		require.True(t, salesforce.IsAmbiguous(err), list)
		for _, answer := range []string{"", `{"graphs":[]}`, `{"graphs":[{"graphId":"g","isSuccessful":true,"graphResponse":` + list + `}]}`, `{"graphs":[{"graphId":"x"}]}`} {
			b := setup(t, reply(200, answer))
			_, err := b.client.CompositeGraph(t.Context(), []salesforce.Graph{{ID: "g", Steps: steps}})
			require.True(t, salesforce.IsAmbiguous(err), answer)
		}
	}
}

func TestACompositeAnswerThatIsNoResultIsNoSuccess(t *testing.T) {
	t.Parallel()
	b := setup(t, reply(200, `{"compositeResponse":[{"body":["what is this"],"httpStatusCode":201,"referenceId":"acc"}]}`))
	_, err := b.client.Composite(t.Context(), salesforce.CompositeRequest{Steps: steps()[:1]})
	require.Equal(t, salesforce.CodeNotJSON, failure(t, err).Code)
	require.True(t, salesforce.IsAmbiguous(err), "the step may have been done")
}
