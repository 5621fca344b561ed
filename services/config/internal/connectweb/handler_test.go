package connectweb

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/consent"
)

// script answers as it is told.
type script struct {
	arrival consent.Arrival
	err     error
	// seen is what the browser brought.
	seen []string
}

func (s *script) Look(_ context.Context, ticket string) (consent.Invitation, error) {
	s.seen = append(s.seen, ticket)
	return consent.Invitation{Workspace: "<b>acme</b>", LoginHost: "login.salesforce.com"}, s.err
}

func (s *script) Depart(context.Context, string) (consent.Departure, error) {
	return consent.Departure{URL: "https://login.salesforce.com/services/oauth2/authorize?a=1&b=2", Cookie: "crumb"}, s.err
}

func (s *script) Return(_ context.Context, query url.Values, cookie string) (consent.Arrival, error) {
	s.seen = append(s.seen, query.Get("state"), cookie)
	return s.arrival, s.err
}

func (s *script) Confirm(_ context.Context, token, cookie string, yes bool) (consent.Arrival, error) {
	s.seen = append(s.seen, token, cookie, map[bool]string{true: "yes", false: "no"}[yes])
	return s.arrival, s.err
}

func do(s *script, method, target, body string, header ...string) *httptest.ResponseRecorder {
	h := &Handler{Consent: s, Origin: "https://throughline.example", Limit: rate.NewLimiter(rate.Inf, 1), Logger: slog.New(slog.DiscardHandler)}
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.Routes().ServeHTTP(w, r)
	return w
}

func TestBothLanguagesSayEverything(t *testing.T) {
	t.Parallel()
	require.Equal(t, slices.Sorted(maps.Keys(english.problems)), slices.Sorted(maps.Keys(japanese.problems)))
	for code, text := range english.problems {
		require.NotEmpty(t, text, code)
		require.NotEmpty(t, japanese.problems[code], code)
		require.NotEqual(t, text, japanese.problems[code], code)
	}
	en, ja := reflect.ValueOf(english), reflect.ValueOf(japanese)
	for i := range en.NumField() {
		if en.Field(i).Kind() == reflect.String {
			require.NotEmpty(t, en.Field(i).String(), en.Type().Field(i).Name)
			require.NotEmpty(t, ja.Field(i).String(), en.Type().Field(i).Name)
		}
	}
	require.Contains(t, english.problem("redirect_uri_mismatch"), "character by character")
	require.Contains(t, english.problem("invalid_client_id"), "10 minutes")
	require.Equal(t, english.Unknown, english.problem("never_seen"))
}

func TestTheBrowsersLanguage(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"": "en", "ja": "ja", "ja-JP,ja;q=0.9,en;q=0.8": "ja", "en-US,en;q=0.9,ja;q=0.8": "en", "de, ja;q=0.5": "ja", "de": "en",
	} {
		got, _ := languageOf(header)
		require.Equal(t, want, got, header)
	}
}

func TestPagesEscapeWhatTheyShow(t *testing.T) {
	t.Parallel()
	w := do(&script{}, http.MethodGet, "/connect/ticket", "")
	require.Contains(t, w.Body.String(), "&lt;b&gt;acme&lt;/b&gt;")
	w = do(&script{}, http.MethodPost, "/connect/ticket", "")
	require.Contains(t, w.Body.String(), `content="0;url=https://login.salesforce.com/services/oauth2/authorize?a=1&amp;b=2"`)
	w = do(&script{arrival: consent.Arrival{
		Done: true, Org: &configv1.Org{Name: `<script>alert(1)</script>`}, Result: &configv1.FlowResult{Notes: []string{"<i>note</i>"}},
	}}, http.MethodGet, "/oauth/callback?state=s", "")
	require.NotContains(t, w.Body.String(), "<script>")
	require.NotContains(t, w.Body.String(), "<i>")
}

func TestOnlyAFailureSaysWhy(t *testing.T) {
	t.Parallel()
	w := do(&script{err: errors.New("pq: connection to 10.0.0.7 refused")}, http.MethodGet, "/oauth/callback?state=s", "")
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.NotContains(t, w.Body.String(), "10.0.0.7")
	w = do(&script{err: &consent.Failure{Code: consent.CodeEmail, Wanted: "a@acme.example", Got: "b@acme.example"}}, http.MethodGet, "/oauth/callback?state=s", "")
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Contains(t, w.Body.String(), "a@acme.example")
	require.Contains(t, w.Body.String(), "b@acme.example")
}

func TestWhatIsTooLongIsNoSecretOfOurs(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxSecret+1)
	s := &script{}
	do(s, http.MethodGet, "/connect/"+long, "")
	do(s, http.MethodGet, "/oauth/callback?state="+long, "", "Cookie", cookieName+"="+long)
	form := []string{"Content-Type", "application/x-www-form-urlencoded", "Cookie", cookieName + "=crumb"}
	do(s, http.MethodPost, ConfirmPath, "token="+long+"&answer=yes", form...)
	do(s, http.MethodPost, ConfirmPath, "token=t&answer=no", form...)
	require.Equal(t, []string{"", "", "", "", "crumb", "yes", "t", "crumb", "no"}, s.seen)
	w := do(s, http.MethodPost, ConfirmPath, "token="+strings.Repeat("x", maxForm), form...)
	require.Equal(t, http.StatusBadRequest, w.Code)
}

// Who is logged in at Salesforce and has allowed the app before is asked nothing there: a page elsewhere that sends such a
// browser on its way would connect its org to whatever workspace the link is of.
func TestPagesElsewhereCannotSendForms(t *testing.T) {
	t.Parallel()
	foreign := [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
	}
	for _, header := range foreign {
		for _, target := range []string{"/connect/ticket", ConfirmPath} {
			s := &script{}
			w := do(s, http.MethodPost, target, "token=t&answer=yes", header...)
			require.Equal(t, http.StatusForbidden, w.Code, "%s %v", target, header)
			require.Empty(t, w.Header().Values("Set-Cookie"))
			require.Empty(t, s.seen)
		}
		require.Equal(t, http.StatusOK, do(&script{}, http.MethodGet, "/connect/ticket", "", header...).Code, "a link may be anywhere")
	}
	for _, header := range [][]string{{"Sec-Fetch-Site", "same-origin"}, {"Origin", "https://throughline.example"}, {"Origin", "http://example.com"}} {
		require.Equal(t, http.StatusOK, do(&script{}, http.MethodPost, "/connect/ticket", "", header...).Code, header)
	}
}

func TestTheCookieIsThisHostsOnly(t *testing.T) {
	t.Parallel()
	for secure, name := range map[bool]string{true: "__Host-throughline_connect", false: "throughline_connect"} {
		h := &Handler{Consent: &script{}, Secure: secure, Limit: rate.NewLimiter(rate.Inf, 1), Logger: slog.New(slog.DiscardHandler)}
		w := httptest.NewRecorder()
		h.Routes().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/connect/ticket", nil))
		cookie := w.Result().Cookies()[0]
		require.Equal(t, name, cookie.Name)
		require.Equal(t, secure, cookie.Secure)
		require.True(t, cookie.HttpOnly)
		require.Equal(t, "/", cookie.Path)
		require.Empty(t, cookie.Domain)

		back := httptest.NewRequest(http.MethodGet, consent.CallbackPath+"?state=s", nil)
		back.AddCookie(&http.Cookie{Name: name, Value: cookie.Value})
		s := &script{arrival: consent.Arrival{Done: true}}
		h.Consent = s
		h.Routes().ServeHTTP(httptest.NewRecorder(), back)
		require.Equal(t, []string{"s", "crumb"}, s.seen)
	}
}

func TestNothingElseIsServed(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/", "/connect/", "/connect", "/oauth", "/metrics", "/connect/a/b"} {
		require.Equal(t, http.StatusNotFound, do(&script{}, http.MethodGet, target, "").Code, target)
	}
	require.Equal(t, http.StatusMethodNotAllowed, do(&script{}, http.MethodPost, "/oauth/callback", "").Code)
	require.Equal(t, http.StatusMethodNotAllowed, do(&script{}, http.MethodGet, ConfirmPath, "").Code)
}

// What somebody must look at comes first, with the place; what is well does not hide it.
func TestTheDonePageBeginsWithWhatIsToBeDone(t *testing.T) {
	t.Parallel()
	s := &script{arrival: consent.Arrival{Done: true, Org: &configv1.Org{Name: "さくら商事"}, Result: &configv1.FlowResult{}, Diagnosis: &configv1.Diagnosis{
		Results: []*configv1.ProbeResult{
			{Probe: "api", Status: configv1.ProbeStatus_PROBE_STATUS_OK, Ja: &configv1.ProbeText{Finding: "API が応答します", Where: "どこか"}},
			{Probe: "policy_users", Status: configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK, Ja: &configv1.ProbeText{Finding: "ポリシー", Where: "設定 › ポリシーを編集"}},
		},
	}}}
	body := do(s, http.MethodGet, "/oauth/callback?state=s", "", "Accept-Language", "ja").Body.String()
	require.Contains(t, body, "<title>接続しました – Throughline</title>")
	require.Contains(t, body, japanese.DoneText)
	require.Contains(t, body, japanese.Unchecked+": 設定 › ポリシーを編集")
	require.NotContains(t, body, "どこか", "nobody goes where all is well")
	require.NotContains(t, body, "policy_users", "names are for programs")
	require.Less(t, strings.Index(body, "ポリシー"), strings.Index(body, "API が応答します"))
}
