package simulator_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// with sends a request with headers.
func (b *bundle) with(method, path, body string, headers map[string]string) (head, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(body))
	require.NoError(b.t, err)
	req.Header.Set("Authorization", "Bearer "+b.token)
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(b.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	return head{res.StatusCode, res.Header}, string(text)
}

const data = "/services/data/v67.0"

// TestConditionsOnARecord follows "Conditional Request Headers": times on every record, entity tags on accounts only.
func TestConditionsOnARecord(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	b := setup(t)
	account := data + "/sobjects/Account/" + b.id("Account", "Name != null")
	lead := data + "/sobjects/Lead/" + b.id("Lead", "Email = 'taro@toyo.example'")
	b.clock.advance(time.Hour)

	first, _ := b.with(http.MethodGet, account, "", nil)
	tag := first.Header.Get("ETag")
	require.NotEmpty(t, tag)
	require.Equal(t, "Mon, 10 Aug 2026 09:00:00 GMT", first.Header.Get("Last-Modified"))
	plain, _ := b.with(http.MethodGet, lead, "", nil)
	require.Empty(t, plain.Header.Get("ETag"))

	for _, tc := range []struct {
		method, path, header, value string
		want                        int
	}{
		{http.MethodGet, account, "If-None-Match", tag, 304},
		{http.MethodGet, account, "If-None-Match", `"other"`, 200},
		{http.MethodGet, account, "If-Match", `"other"`, 412},
		{http.MethodGet, lead, "If-Modified-Since", "Mon, 10 Aug 2026 09:30:00 GMT", 304},
		{http.MethodGet, lead, "If-Modified-Since", "Thu, 01 Jan 2015 00:00:00 GMT", 200},
		{http.MethodGet, lead, "If-Unmodified-Since", "Thu, 01 Jan 2015 00:00:00 GMT", 412},
		{http.MethodPatch, lead, "If-Unmodified-Since", "Thu, 01 Jan 2015 00:00:00 GMT", 412},
		{http.MethodPatch, account, "If-Match", `"other"`, 412},
		{http.MethodPatch, lead, "If-Unmodified-Since", "yesterday", 400},
		{http.MethodPatch, account, "If-Match", tag, 204},
		{http.MethodPatch, account, "If-Match", tag, 412}, // that was the record before
	} {
		res, body := b.with(tc.method, tc.path, `{}`, map[string]string{tc.header: tc.value, "Content-Type": "application/json"})
		require.Equal(t, tc.want, res.StatusCode, "%s %s %s: %s", tc.method, tc.header, tc.value, body)
		b.clock.advance(time.Minute)
	}
}

func TestWhatWasChangedAndDeleted(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	b := setup(t)
	taro, done := b.id("Lead", "Email = 'taro@toyo.example'"), b.id("Lead", "IsConverted = true")
	b.clock.advance(time.Hour)
	status, _ := b.call(http.MethodPatch, "/sobjects/Lead/"+taro, `{"Title":"CTO"}`)
	require.Equal(t, http.StatusNoContent, status)
	status, _ = b.call(http.MethodDelete, "/sobjects/Lead/"+done, "")
	require.Equal(t, http.StatusNoContent, status)
	span := func(from, to string) string {
		return "?start=" + url.QueryEscape("2026-08-10T"+from+"+00:00") + "&end=" + url.QueryEscape("2026-08-10T"+to+"+00:00")
	}
	status, body := b.call(http.MethodGet, "/sobjects/Lead/updated/"+span("09:30:00", "10:30:00"), "")
	require.Equal(t, http.StatusOK, status, body)
	require.JSONEq(t, `{"ids":["`+taro+`"],"latestDateCovered":"2026-08-10T10:00:00.000+0000"}`, body)
	_, body = b.call(http.MethodGet, "/sobjects/Lead/updated/"+span("10:01:00", "10:30:00"), "")
	require.JSONEq(t, `{"ids":[],"latestDateCovered":"2026-08-10T10:00:00.000+0000"}`, body)
	status, body = b.call(http.MethodGet, "/sobjects/Lead/deleted/"+span("09:30:00", "10:30:00"), "")
	require.Equal(t, http.StatusOK, status, body)
	require.JSONEq(t, `{"deletedRecords":[{"id":"`+done+`","deletedDate":"2026-08-10T10:00:00.000+0000"}],
		"earliestDateAvailable":"2026-08-10T09:00:00.000+0000","latestDateCovered":"2026-08-10T10:00:00.000+0000"}`, body)
	for _, wrong := range []string{"", "?start=x&end=y", span("10:30:00", "09:30:00"), "?start=2026-01-01T00:00:00Z&end=2026-08-10T09:00:00Z"} {
		status, body = b.call(http.MethodGet, "/sobjects/Lead/deleted/"+wrong, "")
		require.Equal(t, http.StatusBadRequest, status, "%s: %s", wrong, body)
	}
}

func TestRecordsByRelationship(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	b := setup(t)
	account, jiro := b.id("Account", "Name != null"), b.id("Contact", "LastName = '鈴木'")
	status, body := b.call(http.MethodGet, "/sobjects/Account/"+account+"/Contacts?fields=LastName,Email", "")
	require.Equal(t, http.StatusOK, status, body)
	require.JSONEq(t, `{"totalSize":1,"done":true,"records":[{"attributes":{"type":"Contact","url":"/services/data/v67.0/sobjects/Contact/`+jiro+
		`"},"LastName":"鈴木","Email":"Jiro@Toyo.example"}]}`, body)
	status, body = b.call(http.MethodGet, "/sobjects/Contact/"+jiro+"/Account?fields=Name", "")
	require.Equal(t, http.StatusOK, status, body)
	require.JSONEq(t, `{"attributes":{"type":"Account","url":"/services/data/v67.0/sobjects/Account/`+account+`"},"Name":"東洋商事"}`, body)
	for _, path := range []string{"Contact/" + jiro + "/ReportsTo", "Contact/" + jiro + "/Nothing"} {
		status, body = b.call(http.MethodGet, "/sobjects/"+path, "")
		require.Equal(t, http.StatusNotFound, status, "%s: %s", path, body)
		require.Contains(t, body, "NOT_FOUND")
	}
}

func TestRequestsThatAreNotForThisAPI(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	b := setup(t)
	for _, path := range []string{"/services/Soap/u/60.0", "/services/async/60.0/job", "/services/apexrest/mine", data + "/nothing"} {
		res, body := b.with(http.MethodPost, path, "<x/>", map[string]string{"Content-Type": map[bool]string{true: "text/xml", false: "application/json"}[strings.Contains(path, "Soap")]})
		require.Equal(t, http.StatusNotFound, res.StatusCode, "%s: %s", path, body)
		require.Contains(t, body, `"errorCode":"NOT_FOUND"`)
	}
	for _, media := range []string{"application/xml", "application/x-www-form-urlencoded"} {
		res, body := b.with(http.MethodPost, data+"/sobjects/Lead", `{"LastName":"L","Company":"C"}`, map[string]string{"Content-Type": media})
		require.Equal(t, http.StatusUnsupportedMediaType, res.StatusCode, body)
		require.Contains(t, body, `"errorCode":"UNSUPPORTED_MEDIA_TYPE"`)
	}
}

func TestAMethodMayStandInTheAddress(t *testing.T) {
	t.Parallel()
	b := setup(t)
	lead := b.id("Lead", "Email = 'taro@toyo.example'")
	status, body := b.call(http.MethodPost, "/sobjects/Lead/"+lead+"?_HttpMethod=PATCH", `{"Title":"CTO"}`)
	require.Equal(t, http.StatusNoContent, status, body)
	require.Equal(t, "CTO", b.query("SELECT Title FROM Lead WHERE Id = '" + lead + "'")[0]["Title"])
}

func TestADeletedCollectionTellsOfEachRecord(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	b := setup(t)
	lead := b.id("Lead", "Email = 'taro@toyo.example'")
	status, body := b.call(http.MethodDelete, "/composite/sobjects?ids=abc,"+lead, "")
	require.Equal(t, http.StatusOK, status, body)
	require.JSONEq(t, `[{"success":false,"errors":[{"statusCode":"MALFORMED_ID","message":"malformed id abc","fields":[]}]},
		{"id":"`+lead+`","success":true,"errors":[]}]`, body)
	var list []json.RawMessage
	status, body = b.call(http.MethodDelete, "/composite/sobjects?allOrNone=true&ids="+b.id("Account", "Name != null")+",001zz", "")
	require.Equal(t, http.StatusOK, status, body)
	require.NoError(t, json.Unmarshal([]byte(body), &list))
	require.Contains(t, string(list[0]), "ALL_OR_NONE_OPERATION_ROLLED_BACK")
	require.Len(t, b.query("SELECT Id FROM Account"), 1)
}
