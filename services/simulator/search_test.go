package simulator_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSearch(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	b := setup(t)
	status, body := b.call(http.MethodPost, "/sobjects/Lead", `{"LastName":"Roe","FirstName":"Ann","Company":"Roe Ltd","Email":"ann@roe.example","Phone":"(415) 555-1212"}`)
	require.Equal(t, 201, status, body)
	find := func(method, path, in string) (names []string) {
		status, body := b.call(method, path, in)
		require.Equal(t, 200, status, body)
		var answer struct{ SearchRecords []struct{ Name string } }
		require.NoError(t, json.Unmarshal([]byte(body), &answer))
		for _, r := range answer.SearchRecords {
			names = append(names, r.Name)
		}
		return names
	}
	sosl := func(text string) []string { return find(http.MethodGet, "/search?q="+url.QueryEscape(text), "") }
	require.Equal(t, []string{"Roe Ann"}, sosl("FIND {ann@roe.example} IN EMAIL FIELDS RETURNING Lead(Id, Name), Contact(Id, Name)"))
	require.Equal(t, []string{"Roe Ann"}, sosl(`FIND {\(415\) 555\-1212} IN PHONE FIELDS RETURNING Lead(Name)`))
	require.Equal(t, []string{"Roe Ann"}, sosl("FIND {roe} IN NAME FIELDS RETURNING Lead(Name WHERE Company LIKE 'Roe%')"))
	require.Empty(t, sosl("FIND {roe} IN PHONE FIELDS RETURNING Lead(Name)"))
	require.Empty(t, sosl("FIND {roe} IN NAME FIELDS RETURNING Lead(Name WHERE Company = 'Other')"))

	require.Equal(t, []string{"Roe Ann"}, find(http.MethodGet, "/parameterizedSearch?q=ann@roe.example&in=EMAIL&sobject=Lead&Lead.fields=id,name&Lead.limit=10", ""))
	require.Equal(t, []string{"Roe Ann"}, find(http.MethodPost, "/parameterizedSearch", `{"q":"ann roe","in":"NAME","sobjects":[{"name":"Lead","fields":["id","name"],"limit":1}]}`))

	for _, path := range []string{
		"/search", "/search?q=" + url.QueryEscape("FIND {a OR b} RETURNING Lead"), "/parameterizedSearch?q=x", "/parameterizedSearch?q=ann&sobject=Lead&dataCategory=x",
	} {
		status, body := b.call(http.MethodGet, path, "")
		require.Equal(t, 400, status, body)
		require.Contains(t, body, `"errorCode":"MALFORMED_SEARCH"`)
	}
	status, body = b.call(http.MethodGet, "/search?q="+url.QueryEscape("FIND {roe} RETURNING Lead(Nonsense)"), "")
	require.Equal(t, 400, status, body)
	require.Contains(t, body, "INVALID_FIELD")
}
