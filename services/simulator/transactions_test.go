package simulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// composed is the answer to a composite request.
type composed struct {
	CompositeResponse []struct {
		Body           json.RawMessage
		HTTPStatusCode int `json:"httpStatusCode"`
		ReferenceID    string
	}
}

func (c *composed) statuses() []int {
	var out []int
	for _, r := range c.CompositeResponse {
		out = append(out, r.HTTPStatusCode)
	}
	return out
}

func accountAndContact(name, lastName string) string {
	return fmt.Sprintf(`[
		{"method":"POST","url":"/services/data/v67.0/sobjects/Account","referenceId":"acc","body":{"Name":%q}},
		{"method":"GET","url":"/services/data/v67.0/sobjects/Account/@{acc.id}?fields=Name","referenceId":"got"},
		{"method":"POST","url":"/services/data/v67.0/sobjects/Contact","referenceId":"con","body":{"LastName":%q,"AccountId":"@{acc.id}"}}]`, name, lastName)
}

func TestCompositeAllOrNoneKeepsAllOrNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var answer composed
	post := func(body string) {
		status, text := b.call(http.MethodPost, "/composite", body)
		require.Equal(t, 200, status, text)
		answer = composed{}
		require.NoError(t, json.Unmarshal([]byte(text), &answer))
	}
	post(`{"allOrNone":true,"compositeRequest":` + accountAndContact("Kept", "Roe") + `}`)
	require.Equal(t, []int{201, 200, 201}, answer.statuses())
	require.Len(t, b.query("SELECT Id FROM Contact WHERE Account.Name = 'Kept'"), 1)

	post(`{"allOrNone":true,"compositeRequest":` + accountAndContact("Taken back", "") + `}`)
	require.Equal(t, []int{400, 400, 400}, answer.statuses())
	require.JSONEq(t, `[{"errorCode":"PROCESSING_HALTED","message":"The transaction was rolled back since another operation in the same transaction failed."}]`,
		string(answer.CompositeResponse[0].Body))
	require.Contains(t, string(answer.CompositeResponse[2].Body), "REQUIRED_FIELD_MISSING")
	require.Empty(t, b.query("SELECT Id FROM Account WHERE Name = 'Taken back'"))

	post(`{"allOrNone":false,"compositeRequest":` + accountAndContact("Half", "") + `}`)
	require.Equal(t, []int{201, 200, 400}, answer.statuses())
	require.Len(t, b.query("SELECT Id FROM Account WHERE Name = 'Half'"), 1)
}

func TestAPartlyRefusedCollectionFailsTheWholeTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	status, body := b.call(http.MethodPost, "/composite", `{"allOrNone":true,"compositeRequest":[
		{"method":"POST","url":"/services/data/v67.0/composite/sobjects","referenceId":"many","body":{"records":[
			{"attributes":{"type":"Account"},"Name":"Good"},{"attributes":{"type":"Account"}}]}}]}`)
	require.Equal(t, 200, status, body)
	require.Empty(t, b.query("SELECT Id FROM Account WHERE Name = 'Good'"))
}

func TestEveryGraphIsATransactionOfItsOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	status, body := b.call(http.MethodPost, "/composite/graph", `{"graphs":[
		{"graphId":"g1","compositeRequest":`+accountAndContact("One", "Roe")+`},
		{"graphId":"g2","compositeRequest":`+accountAndContact("Two", "")+`}]}`)
	require.Equal(t, 200, status, body)
	var answer struct {
		Graphs []struct {
			GraphID       string
			GraphResponse composed
			IsSuccessful  bool
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	require.Len(t, answer.Graphs, 2)
	require.True(t, answer.Graphs[0].IsSuccessful)
	require.Equal(t, "g2", answer.Graphs[1].GraphID)
	require.False(t, answer.Graphs[1].IsSuccessful)
	require.Equal(t, []int{400, 400, 400}, answer.Graphs[1].GraphResponse.statuses())
	require.Len(t, b.query("SELECT Id FROM Account WHERE Name IN ('One', 'Two')"), 1)
}

func TestGraphsBeyondTheLimitsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one := `{"method":"GET","url":"/services/data/v67.0/sobjects/Account/x","referenceId":"r%d"}`
	var nodes []string
	for i := range 501 {
		nodes = append(nodes, fmt.Sprintf(one, i))
	}
	for name, body := range map[string]string{
		"nodes":       `{"graphs":[{"graphId":"g","compositeRequest":[` + strings.Join(nodes, ",") + `]}]}`,
		"graphs":      `{"graphs":[` + strings.Repeat(`{"graphId":"g","compositeRequest":[]},`, 75) + `{}]}`,
		"repeated id": `{"graphs":[{"graphId":"g","compositeRequest":[]},{"graphId":"g","compositeRequest":[]}]}`,
		"query":       `{"graphs":[{"graphId":"g","compositeRequest":[{"method":"GET","url":"/services/data/v67.0/query?q=x","referenceId":"q"}]}]}`,
		"describe":    `{"graphs":[{"graphId":"g","compositeRequest":[{"method":"GET","url":"/services/data/v67.0/sobjects/Lead/describe","referenceId":"q"}]}]}`,
		"depth":       `{"graphs":[{"graphId":"g","compositeRequest":[` + chain(16) + `]}]}`,
		"kinds":       `{"graphs":[{"graphId":"g","compositeRequest":[` + kinds(50, 8) + `]},{"graphId":"h","compositeRequest":[` + kinds(58, 8) + `]}]}`,
	} {
		status, text := b.call(http.MethodPost, "/composite/graph", body)
		require.Equal(t, 400, status, "%s: %s", name, text)
		require.Contains(t, text, `"errorCode"`, name)
	}
	for name, body := range map[string]string{
		"depth": `{"graphs":[{"graphId":"g","compositeRequest":[` + chain(15) + `]}]}`,
		"kinds": `{"graphs":[{"graphId":"g","compositeRequest":[` + kinds(50, 15) + `]},{"graphId":"h","compositeRequest":[` + kinds(52, 2) + `]}]}`,
	} {
		status, text := b.call(http.MethodPost, "/composite/graph", body)
		require.Equal(t, 200, status, "%s: %s", name, text)
		require.NotContains(t, text, `"isSuccessful":false`, name)
	}
}

// chain is accounts of which each is the parent of the next.
func chain(n int) string {
	nodes := []string{`{"method":"POST","url":"/services/data/v67.0/sobjects/Account","referenceId":"r0","body":{"Name":"Chain"}}`}
	for i := 1; i < n; i++ {
		nodes = append(nodes, fmt.Sprintf(`{"method":"POST","url":"/services/data/v67.0/sobjects/Account","referenceId":"r%d","body":{"Name":"Chain","ParentId":"@{r%d.id}"}}`, i, i-1))
	}
	return strings.Join(nodes, ",")
}

// kinds is as many nodes that differ in the version of the API, from one version on.
func kinds(from, n int) string {
	var nodes []string
	for i := range n {
		nodes = append(nodes, fmt.Sprintf(`{"method":"POST","url":"/services/data/v%d.0/sobjects/Account","referenceId":"k%d","body":{"Name":"Kind"}}`, from+i, i))
	}
	return strings.Join(nodes, ",")
}

func TestATreeIsMadeWithItsChildrenOrNotAtAll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tree := `{"records":[{"attributes":{"type":"Account","referenceId":"acc"},"Name":%q,"Contacts":{"records":[
		{"attributes":{"type":"Contact","referenceId":"c1"},"LastName":"First"},
		{"attributes":{"type":"Contact","referenceId":"c2"},"LastName":%q}]}}]}`
	status, body := b.call(http.MethodPost, "/composite/tree/Account", fmt.Sprintf(tree, "Oak", "Second"))
	require.Equal(t, 201, status, body)
	require.Contains(t, body, `{"hasErrors":false,"results":[{"referenceId":"acc","id":"001`)
	require.Len(t, b.query("SELECT Id FROM Contact WHERE Account.Name = 'Oak'"), 2)

	status, body = b.call(http.MethodPost, "/composite/tree/Account", fmt.Sprintf(tree, "Elm", ""))
	require.Equal(t, 400, status, body)
	require.JSONEq(t, `{"hasErrors":true,"results":[{"referenceId":"c2","errors":[
		{"statusCode":"REQUIRED_FIELD_MISSING","message":"Required fields are missing: [LastName]","fields":["LastName"]}]}]}`, body)
	require.Empty(t, b.query("SELECT Id FROM Account WHERE Name = 'Elm'"))

	status, body = b.call(http.MethodPost, "/composite/tree/Account", `{"records":[{"attributes":{"type":"Account"},"Name":"No reference"}]}`)
	require.Equal(t, 400, status, body)
}

func TestAnInstanceAddressMayEndInASlash(t *testing.T) {
	t.Parallel()
	b := setup(t)
	res, err := http.Get(b.server.URL + "//services/data")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 200, res.StatusCode)
}

func TestColumnsDescribeAQuery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	columns := func(soql string) string {
		status, body := b.call(http.MethodGet, "/query?columns=true&q="+url.QueryEscape(soql), "")
		require.Equal(t, 200, status, body)
		var answer struct{ ColumnMetadata []json.RawMessage }
		require.NoError(t, json.Unmarshal([]byte(body), &answer))
		var names []string
		for _, c := range answer.ColumnMetadata {
			var column struct {
				ColumnName  string
				JoinColumns []struct{ ColumnName string }
			}
			require.NoError(t, json.Unmarshal(c, &column))
			for _, j := range column.JoinColumns {
				column.ColumnName += " " + j.ColumnName
			}
			names = append(names, column.ColumnName)
		}
		return strings.Join(names, ",")
	}
	require.Equal(t, "Id,Account Name", columns("SELECT Id, Account.Name FROM Contact"))
	require.Equal(t, "Name,Contacts LastName", columns("SELECT Name, (SELECT LastName FROM Contacts) FROM Account"))
	require.Equal(t, "OwnerId,n,expr0", columns("SELECT OwnerId, COUNT(Id) n, MAX(Name) FROM Account GROUP BY OwnerId"))
}

func TestATransactionHoldsNoBulkJobs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	status, body := b.call(http.MethodPost, "/composite", `{"allOrNone":true,"compositeRequest":[{"method":"POST","referenceId":"job",
		"url":"/services/data/v67.0/jobs/ingest","body":{"object":"Account","operation":"insert"}}]}`)
	require.Equal(t, 200, status, body)
	require.Contains(t, body, `"httpStatusCode":404`)
}
