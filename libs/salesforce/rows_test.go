package salesforce_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

// pages serves three pages, of which the second is empty.
func pages(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/services/data/v66.0/query", "/services/data/v66.0/queryAll":
		_, _ = io.WriteString(w, `{"done":false,"nextRecordsUrl":"/services/data/v66.0/query/01g-2","records":[{"Id":"1"},{"Id":"2"}]}`)
	case "/services/data/v66.0/query/01g-2":
		_, _ = io.WriteString(w, `{"done":false,"nextRecordsUrl":"/services/data/v66.0/query/01g-4","records":[]}`)
	case "/services/data/v66.0/query/01g-4":
		_, _ = io.WriteString(w, `{"done":true,"records":[{"Id":"3"}]}`)
	}
}

func TestRows(t *testing.T) {
	t.Parallel()

	t.Run("AsksForAPageWhenItIsWanted", func(t *testing.T) {
		t.Parallel()
		b := setup(t, pages, func(c *salesforce.Config) { c.MaxQueryRecords = 1 })
		var ids []string
		for record, err := range b.client.Rows(t.Context(), "SELECT Id FROM Lead") {
			require.NoError(t, err)
			ids = append(ids, record.String("Id"))
		}
		require.Equal(t, []string{"1", "2", "3"}, ids, "max_query_records bounds Query, which holds all records")
		require.EqualValues(t, 3, b.client.Calls())
		for record, err := range b.client.AllRows(t.Context(), "SELECT Id FROM Lead") {
			require.NoError(t, err)
			if record.String("Id") == "2" {
				break
			}
		}
		require.EqualValues(t, 4, b.client.Calls())
	})

	t.Run("AnErrorIsTheLast", func(t *testing.T) {
		t.Parallel()
		for name, second := range map[string]http.HandlerFunc{
			"locator": reply(404, `[{"errorCode":"INVALID_QUERY_LOCATOR","message":"Invalid query locator"}]`),
			"itself":  reply(200, `{"done":false,"nextRecordsUrl":"/services/data/v66.0/query/01g-2","records":[]}`),
			"foreign": reply(200, `{"done":false,"nextRecordsUrl":"https://evil.example/","records":[]}`),
			"html":    reply(200, `<html>`),
		} {
			b := setup(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "01g-2") {
					second(w, r)
					return
				}
				pages(w, r)
			})
			n, failures := 0, 0
			for _, err := range b.client.Rows(t.Context(), "SELECT Id FROM Lead") {
				n++
				if err != nil {
					failures++
					require.Equal(t, salesforce.ClassTransient, salesforce.ClassOf(err), name)
				}
			}
			require.Equal(t, 3, n, name)
			require.Equal(t, 1, failures, name)
		}
	})

	t.Run("EndsWithItsContext", func(t *testing.T) {
		t.Parallel()
		b := setup(t, pages)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last error
		for _, err := range b.client.Rows(ctx, "SELECT Id FROM Lead") {
			cancel()
			last = err
		}
		require.ErrorIs(t, last, context.Canceled)
	})
}

func TestLiteral(t *testing.T) {
	t.Parallel()
	tokyo := time.FixedZone("", 9*3600)
	late := time.Date(2026, 8, 10, 8, 30, 15, 999, tokyo) // the day before in UTC
	of := func(kind string) salesforce.FieldDescribe {
		return salesforce.FieldDescribe{Name: "F__c", Type: kind, Filterable: true}
	}
	for _, c := range []struct {
		kind  string
		value any
		want  string
	}{
		{"string", `O'Neil \ "x"` + "\n", `'O\'Neil \\ "x"\n'`},
		{"string", "x' OR Name != '", `'x\' OR Name != \''`},
		{"email", "taro@toyo.example", "'taro@toyo.example'"},
		{"picklist", "資料", "'資料'"},
		{"multipicklist", "A;B", "'A;B'"},
		{"combobox", "Call", "'Call'"},
		{"phone", "", "''"},
		{"id", "00QSM000000pQrS", "'00QSM000000pQrS2AU'"},
		{"reference", leadID, "'" + leadID + "'"},
		{"boolean", true, "TRUE"},
		{"boolean", false, "FALSE"},
		{"int", 7, "7"},
		{"int", -7.0, "-7"},
		{"long", int64(1) << 60, "1152921504606846976"},
		{"double", 0.5, "0.5"},
		{"currency", 1e21, "1000000000000000000000"},
		{"percent", 12, "12"},
		{"date", late, "2026-08-10"},
		{"date", "2026-08-10", "2026-08-10"},
		{"datetime", late, "2026-08-09T23:30:15Z"},
		{"datetime", "2026-08-10T08:30:15+09:00", "2026-08-09T23:30:15Z"},
		{"base64", nil, "NULL"},
	} {
		got, err := salesforce.Literal(of(c.kind), c.value)
		require.NoError(t, err, "%s %v", c.kind, c.value)
		require.Equal(t, c.want, got)
	}
	for _, c := range []struct {
		kind  string
		value any
	}{
		{"string", 1},
		{"string", true},
		{"string", late},
		{"string", strings.Repeat("あ", 4001)},
		{"string", "a\x00"},
		{"string", "\xff"},
		{"string", []byte("a")},
		{"id", 1},
		{"id", "00Q"},
		{"reference", "00QSM000000pQrS2AA"},
		{"boolean", "TRUE"},
		{"boolean", 1},
		{"int", "1"},
		{"int", 1.5},
		{"int", 1e300},
		{"double", true},
		{"double", "1 OR Id != NULL"},
		{"date", "10.8.2026"},
		{"date", "2026-08-10T00:00:00Z"},
		{"date", 20260810},
		{"date", "LAST_N_DAYS:7"},
		{"datetime", "2026-08-10"},
		{"datetime", "2026-08-10T08:30:15"},
		{"date", time.Time{}},
		{"datetime", time.Date(4001, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"base64", "x"},
		{"location", 1.0},
		{"address", "x"},
		{"time", late},
		{"anyType", "x"},
		{"", "x"},
	} {
		_, err := salesforce.Literal(of(c.kind), c.value)
		e := failure(t, err)
		require.Equal(t, salesforce.ClassData, e.Class, "%s %v", c.kind, c.value)
		require.Equal(t, []string{"F__c"}, e.Fields)
	}
	_, err := salesforce.Literal(salesforce.FieldDescribe{Name: "Email", Type: "email"}, "taro@toyo.example")
	require.Equal(t, salesforce.ClassConfig, failure(t, err).Class, "encrypted fields cannot be filtered")
	require.NotContains(t, err.Error(), "taro")

	list, err := salesforce.LiteralList(of("email"), []string{"a'b", "c"})
	require.NoError(t, err)
	require.Equal(t, `('a\'b','c')`, list)
	for _, values := range [][]any{nil, {nil}, {"a", 1}} {
		_, err := salesforce.LiteralList(of("email"), values)
		require.Equal(t, salesforce.ClassData, failure(t, err).Class)
	}
}

func FuzzLiteral(f *testing.F) {
	f.Add("x' OR Name != '")
	f.Add("\\")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := salesforce.Literal(salesforce.FieldDescribe{Type: "string", Filterable: true}, s)
		if err != nil {
			return
		}
		// Read as SOQL reads it: the only unescaped quotes are the two ends, and unescaping gives the text back.
		require.Equal(t, "''", got[:1]+got[len(got)-1:])
		var back strings.Builder
		for inner := got[1 : len(got)-1]; inner != ""; inner = inner[1:] {
			require.NotEqual(t, byte('\''), inner[0])
			if inner[0] == '\\' {
				inner = inner[1:]
				require.NotEmpty(t, inner)
				at := strings.IndexByte(`nrtbf'\`, inner[0])
				require.GreaterOrEqual(t, at, 0)
				back.WriteByte("\n\r\t\b\f'\\"[at])
				continue
			}
			back.WriteByte(inner[0])
		}
		require.Equal(t, s, back.String())
	})
}

func TestSearch(t *testing.T) {
	t.Parallel()
	leads := []salesforce.SearchObject{{Name: "Lead", Fields: []string{"Id"}, Limit: 10}, {Name: "Contact", Fields: []string{"Id", "Email"}}}
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&body))
		assert.Equal(t, "POST /services/data/v66.0/parameterizedSearch", r.Method+" "+r.URL.Path)
		assert.Equal(t, map[string]any{
			"q": `taro\-x@y.example \(\?\*\"`, "in": "EMAIL", "overallLimit": 50.0, "sobjects": []any{
				map[string]any{"name": "Lead", "fields": []any{"Id"}, "limit": 10.0}, map[string]any{"name": "Contact", "fields": []any{"Id", "Email"}},
			},
		}, body)
		fmt.Fprintf(w, `{"searchRecords":[{"attributes":{"type":"Lead"},"Id":"%s"}]}`, leadID)
	})
	found, err := b.client.Search(t.Context(), salesforce.Search{Text: ` taro-x@y.example (?*" `, Scope: salesforce.SearchEmail, Objects: leads, Limit: 50})
	require.NoError(t, err)
	require.Equal(t, "Lead", found[0].Type())

	for name, s := range map[string]salesforce.Search{
		"short": {Text: " a ", Objects: leads}, "long": {Text: strings.Repeat("ab", 2001), Objects: leads}, "escaped long": {Text: strings.Repeat("-", 2001), Objects: leads},
		"no object": {Text: "abc"}, "no name": {Text: "abc", Objects: []salesforce.SearchObject{{Fields: []string{"Id"}}}},
		"no field": {Text: "abc", Objects: []salesforce.SearchObject{{Name: "Lead"}}}, "limit": {Text: "abc", Objects: leads, Limit: 2001},
		"object's limit": {Text: "abc", Objects: []salesforce.SearchObject{{Name: "Lead", Fields: []string{"Id"}, Limit: -1}}}, "scope": {Text: "abc", Objects: leads, Scope: "x"},
	} {
		_, err := b.client.Search(t.Context(), s)
		require.Equal(t, salesforce.CodeBadRequest, failure(t, err).Code, name)
	}
	for _, answer := range []string{"", "[]", "{}"} {
		_, err := setup(t, reply(200, answer)).client.Search(t.Context(), salesforce.Search{Text: "abc", Objects: leads})
		require.Equal(t, salesforce.CodeNotJSON, failure(t, err).Code)
		require.False(t, salesforce.IsAmbiguous(err))
	}
}
