package simulator_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	lead := b.id("Lead", "Email = 'taro@toyo.example'")
	b.call(http.MethodPatch, "/composite/sobjects/Engagement__c/External_Id__c", fmt.Sprintf(`{"records":[{"External_Id__c":"e","Title__c":"製品 <紹介>",
		"Content_Kind__c":"Video","Lead__c":%q,"Percent_Watched__c":72.5,"View_Count__c":3,"Last_Viewed_At__c":"2026-08-10T20:00:00Z","Identity_Method__c":"FORM","CTA_Clicks__c":2}]}`, lead))
	b.call(http.MethodPost, "/sobjects/Task", fmt.Sprintf(`{"WhoId":%q,"Subject":"closed","ActivityDate":"2026-08-11","Description":"Document: Prices\nPage: 4"}`, lead))

	page := func(path string) (int, string) {
		res, body := b.do(http.MethodGet, b.server.URL+path, "")
		return res.StatusCode, body
	}
	for path, wants := range map[string][]string{
		"/":                        {`<html lang="en">`, `href="/orgs/acme/"`, "Acme K.K.", b.base},
		"/orgs/acme/":              {`<html lang="ja">`, "リード", "最近の更新", "PATCH /services/data"},
		"/orgs/acme/Lead":          {"山田 太郎", "佐藤"},
		"/orgs/acme/Lead?q=nobody": {"まだありません"},
		"/orgs/acme/" + lead: {
			"動画・ドキュメント", "製品 &lt;紹介&gt;", `<meter min="0" max="100" value="73">`, "2026-08-11 05:00", "FORM", "Document: Prices", "<p>Page: 4</p>", "2026-08-11",
		},
		"/orgs/acme/lightning/r/Lead/" + lead + "/view":      {"製品"},
		"/orgs/acme/" + b.id("User", "LastName = 'Gration'"): {"closed"},
		"/style.css": {"--brand"},
	} {
		status, body := page(path)
		require.Equal(t, http.StatusOK, status, path)
		for _, want := range wants {
			require.Contains(t, body, want, path)
		}
	}
	for _, path := range []string{"/nothing", "/orgs/nobody/", "/orgs/acme/nothing", "/orgs/acme/00QS00zzzzzzzzz"} {
		status, _ := page(path)
		require.Equal(t, http.StatusNotFound, status, path)
	}
}

func TestOrgsAreFoundByHostName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.server.URL+"/services/oauth2/userinfo", nil)
	require.NoError(t, err)
	req.Host = "acme.localhost"
	req.Header.Set("Authorization", "Bearer "+b.token)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
	req.Host = "other.localhost"
	res, err = http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusForbidden, res.StatusCode)
}
