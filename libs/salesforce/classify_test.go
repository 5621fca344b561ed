package salesforce

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// everyCode is what each code of the table must be: a second copy on purpose, so that a slip in one shows.
var everyCode = map[string]string{
	"INVALID_SESSION_ID": "auth SF_AUTH_REVOKED", "INVALID_AUTH_HEADER": "auth SF_AUTH_REVOKED",
	"API_DISABLED_FOR_ORG": "auth SF_EDITION_UNSUPPORTED", "API_CURRENTLY_DISABLED": "auth SF_API_DISABLED",
	"ORG_LOCKED": "auth SF_API_DISABLED", "TRIAL_EXPIRED": "auth SF_API_DISABLED",
	"CLIENT_NOT_ACCESSIBLE_FOR_USER": "auth SF_APP_BLOCKED", "LOGIN_DURING_RESTRICTED_TIME": "auth SF_IP_RESTRICTED",
	"LOGIN_DURING_RESTRICTED_DOMAIN": "auth SF_IP_RESTRICTED", "TXN_SECURITY_NO_ACCESS": "auth SF_APP_BLOCKED",
	"TXN_SECURITY_END_A_SESSION": "auth SF_APP_BLOCKED", "TXN_SECURITY_TWO_FA_REQUIRED": "auth SF_APP_BLOCKED",
	"TXN_SECURITY_METERING_ERROR": "auth SF_APP_BLOCKED", "TXN_SECURITY_RUNTIME_ERROR": "auth SF_APP_BLOCKED",
	"TXN_SECURITY_FAIL_CLOSE": "auth SF_APP_BLOCKED", "TXN_SECURITY_APEX_ERROR": "auth SF_APP_BLOCKED",
	"UNSUPPORTED_API_VERSION": "auth SF_API_DISABLED", "INVALID_OPERATION_WITH_EXPIRED_PWD": "auth SF_AUTH_REVOKED",
	"REQUEST_LIMIT_EXCEEDED": "quota SF_LIMIT", "LIMIT_EXCEEDED": "quota SF_LIMIT", "EXCEEDED_QUOTA": "quota SF_LIMIT",
	"STORAGE_LIMIT_EXCEEDED": "quota SF_LIMIT", "TOO_MANY_APEX_REQUESTS": "transient SF_LIMIT",
	"SERVER_UNAVAILABLE": "transient SF_UNAVAILABLE", "UNKNOWN_EXCEPTION": "transient SF_UNAVAILABLE",
	"INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE": "transient SF_UNAVAILABLE",
	"ORG_IN_MAINTENANCE": "transient SF_UNAVAILABLE", "FUNCTIONALITY_TEMPORARILY_UNAVAILABLE": "transient SF_UNAVAILABLE",
	"QUERY_TIMEOUT": "transient SF_UNAVAILABLE", "REQUEST_RUNNING_TOO_LONG": "transient SF_UNAVAILABLE",
	"PROCESSING_HALTED": "transient SF_UNAVAILABLE", "ALL_OR_NONE_OPERATION_ROLLED_BACK": "transient SF_UNAVAILABLE",
	"INVALID_QUERY_LOCATOR": "transient SF_UNAVAILABLE", "UNABLE_TO_LOCK_ROW": "lock SF_LOCKED",
	"REQUIRED_FIELD_MISSING": "data REQUIRED_FIELD_MISSING", "STRING_TOO_LONG": "data TYPE_MISMATCH",
	"MAX_TASK_DESCRIPTION_EXCEEEDED": "data TYPE_MISMATCH", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": "data TYPE_MISMATCH",
	"INVALID_EMAIL_ADDRESS": "data TYPE_MISMATCH", "NUMBER_OUTSIDE_VALID_RANGE": "data TYPE_MISMATCH",
	"INVALID_TYPE_ON_FIELD_IN_RECORD": "data TYPE_MISMATCH", "TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET": "data TYPE_MISMATCH",
	"JSON_PARSER_ERROR": "data TYPE_MISMATCH", "MALFORMED_ID": "data SF_REJECTED", "MALFORMED_QUERY": "data SF_REJECTED",
	"MISSING_ARGUMENT": "data SF_REJECTED", "INVALID_INPUT": "data SF_REJECTED",
	"QUERY_TOO_COMPLICATED": "data SF_REJECTED", "EXCEEDED_ID_LIMIT": "data SF_REJECTED",
	"INVALID_QUERY_FILTER_OPERATOR": "data SF_REJECTED", "DUPLICATE_VALUE": "data SF_REJECTED",
	"DUPLICATES_DETECTED": "data SF_DUPLICATE_RULE", "FIELD_CUSTOM_VALIDATION_EXCEPTION": "data SF_VALIDATION",
	"FIELD_FILTER_VALIDATION_EXCEPTION": "data SF_VALIDATION", "FIELD_INTEGRITY_EXCEPTION": "data SF_VALIDATION",
	"CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": "data SF_VALIDATION", "CANNOT_EXECUTE_FLOW_TRIGGER": "data SF_VALIDATION",
	"OP_WITH_INVALID_USER_TYPE_EXCEPTION": "data OWNER_INACTIVE", "TRANSFER_REQUIRES_READ": "data OWNER_INACTIVE",
	"APEX_ERROR": "data SF_VALIDATION", "INACTIVE_OWNER_OR_USER": "data OWNER_INACTIVE",
	"CANNOT_UPDATE_CONVERTED_LEAD": "data SF_CONVERTED_LEAD", "ENTITY_IS_DELETED": "data SF_RECORD_GONE",
	"ENTITY_IS_LOCKED": "data SF_REJECTED", "INVALID_CROSS_REFERENCE_KEY": "data SF_RECORD_GONE", "DELETE_FAILED": "data SF_REJECTED",
	"INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": "config SF_NO_PERMISSION",
	"INSUFFICIENT_ACCESS_OR_READONLY":               "config SF_NO_PERMISSION", "INSUFFICIENT_ACCESS": "config SF_NO_PERMISSION",
	"INVALID_FIELD_FOR_INSERT_UPDATE": "config SF_NO_PERMISSION", "INVALID_FIELD": "config SF_FIELD_GONE",
	"INVALID_TYPE": "config SF_FIELD_GONE", "NOT_FOUND": "config SF_FIELD_GONE", "DUPLICATE_EXTERNAL_ID": "config KEY_AMBIGUOUS",
	"FUNCTIONALITY_NOT_ENABLED": "config SF_REJECTED",
	"METHOD_NOT_ALLOWED":        "config SF_REJECTED", "UNSUPPORTED_MEDIA_TYPE": "config SF_REJECTED", "MIXED_DML_OPERATION": "config MAPPING_INVALID",
}

func TestEveryCodeHasItsClassAndReason(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-8")
	require.Len(t, everyCode, len(codeTable))
	for code, want := range everyCode {
		e := newError(400, code, "text", nil)
		require.Equal(t, want, e.Class.String()+" "+e.Reason, code)
		require.Equal(t, code, e.Code)
	}
	e := newError(400, "NEVER_SEEN", "text", nil)
	require.Equal(t, "unknown SF_REJECTED", e.Class.String()+" "+e.Reason)
}

func TestRefusedValuesAreLeftOutInAnyLanguage(t *testing.T) {
	t.Parallel()
	for code, message := range map[string]string{
		"STRING_TOO_LONG":       "姓: データ値が大きすぎます: 山田太郎 (最大長=80)",
		"INVALID_EMAIL_ADDRESS": "メール: 無効なメールアドレスです: 山田太郎",
		"MALFORMED_ID":          "What ID: id value of incorrect type: 山田太郎",
		"JSON_PARSER_ERROR":     "Cannot deserialize instance of date from VALUE_STRING value 山田太郎 or request may be missing a required field at [line:1, column:9]",
		"MALFORMED_QUERY":       "\nSELECT Id FROM Lead WHERE Name = '山田太郎' AND\n   ^\nERROR at Row:1:Column:9\n予期しないトークン: '山田太郎'",
	} {
		e := newError(400, code, message, []string{"LastName"})
		require.NotContains(t, e.Detail, "山田", code)
		require.NotEmpty(t, e.Detail)
	}
}

func TestTextsDecideWhereACodeHidesSeveralCauses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ code, message, want string }{
		{"REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded.", "transient SF_LIMIT"},
		{"REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", "quota SF_LIMIT"},
		{"CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "T: execution of BeforeInsert\n\ncaused by: UNABLE_TO_LOCK_ROW, unable", "lock SF_LOCKED"},
		{"CANNOT_EXECUTE_FLOW_TRIGGER", "System.LimitException: Too many SOQL queries: 101", "transient SF_LIMIT"},
		{"DUPLICATE_VALUE", "Already a campaign member.", "data SF_ALREADY_MEMBER"},
		{"FIELD_INTEGRITY_EXCEPTION", "Queue not associated with this SObject type", "data OWNER_IS_QUEUE"},
		{"INVALID_CROSS_REFERENCE_KEY", "cannot reference converted lead", "data SF_CONVERTED_LEAD"},
		{"NOT_FOUND", "The requested resource does not exist", "config SF_FIELD_GONE"},
		{"NOT_FOUND", "Provided external ID field does not exist or is not accessible: X__c", "config SF_FIELD_GONE"},
		{"NOT_FOUND", "Provided external ID field does not exist or is not accessible: 00Q9", "data SF_RECORD_GONE"},
	} {
		e := newError(400, c.code, c.message, nil)
		require.Equal(t, c.want, e.Class.String()+" "+e.Reason, c.message)
	}
	e := newError(400, "DUPLICATE_VALUE", "duplicate value found: K__c duplicates value on record with id: 00TSM000000tUvW", nil)
	require.Equal(t, "00TSM000000tUvW", e.ExistingID)
	e = newError(400, "DUPLICATE_VALUE", "duplicate value found: <unknown> duplicates value on record with id: <unknown>", nil)
	require.Empty(t, e.ExistingID)
}

func TestAnswersWithoutAKnownBodyAreClassifiedByStatus(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		400: "unknown SF_REJECTED", 401: "auth SF_AUTH_REVOKED", 403: "unknown SF_REJECTED", 404: "unknown SF_REJECTED",
		405: "config SF_REJECTED", 408: "transient SF_UNAVAILABLE", 409: "unknown SF_REJECTED", 410: "auth SF_API_DISABLED",
		412: "unknown SF_REJECTED", 413: "data SF_REJECTED split", 414: "data SF_REJECTED split", 415: "config SF_REJECTED",
		420: "transient SF_UNAVAILABLE", 421: "transient SF_UNAVAILABLE", 428: "unknown SF_REJECTED", 429: "transient SF_LIMIT",
		431: "data SF_REJECTED split", 500: "transient SF_UNAVAILABLE", 501: "transient SF_UNAVAILABLE", 502: "transient SF_UNAVAILABLE",
		503: "transient SF_UNAVAILABLE", 504: "transient SF_UNAVAILABLE",
	} {
		for _, body := range []string{
			"", "<html>maintenance</html>", "{}", "[]", "null", `"text"`, `[{"message":"something new","errorCode":"NEVER_SEEN"}]`,
		} {
			var e *Error
			require.ErrorAs(t, checkAnswer(&call{method: "PATCH"}, &answer{status: status, body: []byte(body)}), &e)
			got := e.Class.String() + " " + e.Reason
			if e.Split {
				got += " split"
			}
			require.Equal(t, want, got, "%d %s", status, body)
			require.Equal(t, status, e.Status)
			require.Equal(t, status >= 500, e.Ambiguous, "%d: the edge gives up on requests that go on behind it", status)
			require.NotEmpty(t, e.Code)
		}
	}
	// A list of the records that an external id matches.
	var e *Error
	require.ErrorAs(t, checkAnswer(&call{method: "PATCH"}, &answer{status: 300, body: []byte(
		`["/services/data/v66.0/sobjects/Lead/00QSM000000pQrS2AU","/services/data/v66.0/sobjects/Lead/00QSM000000pQrT2AU"]`)}), &e)
	require.Equal(t, "config KEY_AMBIGUOUS", e.Class.String()+" "+e.Reason)
	for _, status := range []int{200, 201, 204, 304} {
		require.NoError(t, checkAnswer(&call{method: "PATCH"}, &answer{status: status}))
	}
	err := checkAnswer(&call{method: "GET"}, &answer{status: 400, body: []byte(`{"errorCode":"MALFORMED_QUERY","message":"x"}`)})
	require.Equal(t, ClassData, ClassOf(err), "one object instead of an array")
	err = checkAnswer(&call{method: "GET"}, &answer{status: 400, body: []byte(
		`[{"errorCode":"UNABLE_TO_LOCK_ROW","message":""},{"errorCode":"STRING_TOO_LONG","message":""}]`)})
	require.Equal(t, ClassData, ClassOf(err), "the worst of several decides")
}

func TestARetiredVersionStopsTheConnectionNotTheRecord(t *testing.T) {
	t.Parallel()
	for status, body := range map[int]string{
		410: "<html>", 404: `[{"message":"","errorCode":"UNSUPPORTED_API_VERSION"}]`,
		500: `{"message":"retired","errorCode":"UNSUPPORTED_API_VERSION"}`,
	} {
		var e *Error
		require.ErrorAs(t, checkAnswer(&call{method: "PATCH"}, &answer{status: status, body: []byte(body)}), &e)
		require.Equal(t, "auth SF_API_DISABLED UNSUPPORTED_API_VERSION", e.Class.String()+" "+e.Reason+" "+e.Code)
		require.Contains(t, e.Error(), "api_version", "what to do next")
		require.False(t, e.Temporary())
		require.False(t, wantsNewToken(e), "another token would not help")
	}
}

func TestScrub(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Last Name: data value too large: Yamada Taro\nSan (max length=80)": "Last Name: data value too large: [value] (max length=80)",
		"Status: bad value for restricted picklist field: Hot":              "Status: bad value for restricted picklist field: [value]",
		"Email: invalid email address: taro at example":                     "Email: invalid email address: [value]",
		"ask taro.yamada+x@example.co.jp, now":                              "ask [address], now",
		"ask taro%40example.com":                                            "ask [address]",
		"call +81 (3) 1234-5678 or 090-1234-5678.":                          "call [number] or [number].",
		"record with id: 00TSM000000tUvW":                                   "record with id: 00TSM000000tUvW",
		"two\n\n lines":                                                     "two lines",
		"\nFROM Lead WHERE LastName = 'Yamada' AND X = 1\n   ^\nERROR at Row:1:Column:9\nNo such column 'X'": "[query] ERROR at Row:1:Column:9 No such column 'X'",
		"\n" + strings.Repeat("'Yamada',", 1000) + "\n ^\nERROR at Row:1:Column:9\nunexpected token: 'Taro'": "[query] ERROR at Row:1:Column:9 unexpected token: [value]",
	} {
		require.Equal(t, want, scrub(in))
	}
	require.Equal(t, maxDetail, utf8.RuneCountInString(scrub(strings.Repeat("あ ", 1000))))
}

func TestLimitInfo(t *testing.T) {
	t.Parallel()
	for header, want := range map[string][2]int64{
		"api-usage=18/15000": {18, 15000}, "api-usage=18/15000; per-app-api-usage=1/2(appName=a)": {18, 15000},
		"per-app-api-usage=1/2(appName=a), api-usage=3/4": {3, 4},
	} {
		used, limit, ok := parseLimitInfo(header)
		require.True(t, ok, header)
		require.Equal(t, want, [2]int64{used, limit})
	}
	for _, header := range []string{"", "api-usage=", "api-usage=a/b", "api-usage=1", "api-usage=-1/2", "x"} {
		_, _, ok := parseLimitInfo(header)
		require.False(t, ok, header)
	}
}

func FuzzAnswers(f *testing.F) {
	for _, s := range []string{
		`[{"id":"a","success":true}]`, `[{"success":false,"errors":[{"statusCode":"X"}]}]`, `<html>`, `{"error":"x"}`, `[null]`, ``,
	} {
		f.Add(200, []byte(s))
		f.Add(500, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r := &call{method: "PATCH", records: 1}
		a := &answer{status: status, body: body}
		if err := checkAnswer(r, a); err != nil {
			require.NotEmpty(t, ClassOf(err).String())
			return
		}
		results, err := decodeResults(r, a, Upsert)
		if err == nil {
			require.Len(t, results, 1)
			require.Equal(t, results[0].Err == nil, results[0].ID != "")
		}
	})
}

func FuzzFieldEncoding(f *testing.F) {
	f.Add("a\"b\\\x00\xff\u2028資", 1.5)
	f.Fuzz(func(t *testing.T, s string, n float64) {
		if n != n || n > 1e300 || n < -1e300 {
			return
		}
		b, err := Fields{{Name: s, Value: s}, {Name: "n", Value: n}}.appendJSON([]byte{'{'}, 0)
		require.NoError(t, err)
		var m map[string]any
		require.NoError(t, json.Unmarshal(append(b, '}'), &m))
		if s != "n" {
			require.Equal(t, strings.ToValidUTF8(s, "\uFFFD"), collapse(m, s))
		}
		require.InDelta(t, n, m["n"], 0)
	})
}

// collapse finds the text value; runs of invalid bytes are one replacement in strings.ToValidUTF8 and one each in JSON.
func collapse(m map[string]any, s string) string {
	for name, v := range m {
		if text, ok := v.(string); ok && name != "n" {
			if !utf8.ValidString(s) {
				return strings.ToValidUTF8(s, "\uFFFD")
			}
			return text
		}
	}
	return ""
}

func FuzzScrub(f *testing.F) {
	f.Add("call taro@example.com on 03-1234-5678")
	f.Fuzz(func(t *testing.T, s string) {
		out := scrub(s)
		require.LessOrEqual(t, utf8.RuneCountInString(out), maxDetail)
		require.True(t, utf8.ValidString(out))
	})
}
