package salesforce_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
)

// csvPage answers with a page of results of n records.
func csvPage(next string, n int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/csv")
		w.Header().Set("Sforce-Locator", next)
		w.Header().Set("Sforce-NumberOfRecords", strconv.Itoa(n))
		_, _ = io.WriteString(w, text)
	}
}

// scripted answers each request for results with what the script has for its locator.
func scripted(t *testing.T, script map[string]http.HandlerFunc) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "GET "+queryJobs+"/750A/results", r.Method+" "+r.URL.Path)
		assert.Equal(t, "text/csv", r.Header.Get("Accept"))
		assert.NotEmpty(t, r.URL.Query().Get("maxRecords"))
		answer, known := script[r.URL.Query().Get("locator")]
		if !assert.True(t, known, "an unknown locator") {
			answer = reply(400, "")
		}
		answer(w, r)
	}
}

// read reads rows from a position to the end or to an error; at is where to go on.
func read(ctx context.Context, c *salesforce.Client, from salesforce.BulkQueryPosition) (ids []string, at salesforce.BulkQueryPosition, err error) {
	at = from
	for row, err := range c.BulkQueryRows(ctx, "750A", from) {
		at = row.Next
		if err != nil {
			return ids, at, err
		}
		ids = append(ids, row.String("Id"))
	}
	return ids, at, nil
}

// threePages are five rows in three pages, of which the second is in the state that a test wants.
func threePages(second http.HandlerFunc) map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"":   csvPage("p2", 2, "\"Id\"\n\"1\"\n\"2\"\n"),
		"p2": second,
		"p3": csvPage("null", 1, "\"Id\"\n\"5\"\n"),
	}
}

var secondPage = csvPage("p3", 2, "\"Id\"\n\"3\"\n\"4\"\n")

func TestBulkQueryRows(t *testing.T) {
	t.Parallel()

	t.Run("AsksForAPageWhenItIsWantedAndEndsAtTheLocatorNull", func(t *testing.T) {
		t.Parallel()
		b := setup(t, scripted(t, threePages(secondPage)))
		ids, _, err := read(t.Context(), b.client, salesforce.BulkQueryPosition{})
		require.NoError(t, err)
		require.Equal(t, []string{"1", "2", "3", "4", "5"}, ids)
		require.EqualValues(t, 3, b.client.Calls())
		for _, err := range b.client.BulkQueryRows(t.Context(), "750A", salesforce.BulkQueryPosition{}) {
			require.NoError(t, err)
			break
		}
		require.EqualValues(t, 4, b.client.Calls(), "nobody wanted the second page")
	})

	t.Run("GoesOnFromEveryPosition", func(t *testing.T) {
		t.Parallel()
		b := setup(t, scripted(t, threePages(secondPage)))
		n := 0
		for row, err := range b.client.BulkQueryRows(t.Context(), "750A", salesforce.BulkQueryPosition{}) {
			require.NoError(t, err)
			n++
			stored, err := json.Marshal(row.Next)
			require.NoError(t, err)
			var from salesforce.BulkQueryPosition
			require.NoError(t, json.Unmarshal(stored, &from))
			ids, _, err := read(t.Context(), b.client, from)
			require.NoError(t, err)
			require.Equal(t, []string{"1", "2", "3", "4", "5"}[n:], append([]string{}, ids...), from)
		}
		// A position counts rows, not pages: the pages may be cut otherwise than when it was noted.
		ids, _, err := read(t.Context(), b.client, salesforce.BulkQueryPosition{Row: 3})
		require.NoError(t, err)
		require.Equal(t, []string{"4", "5"}, ids)
		_, _, err = read(t.Context(), b.client, salesforce.BulkQueryPosition{Row: 6})
		require.Equal(t, salesforce.CodeBadRequest, failure(t, err).Code)
	})

	t.Run("ReadsQuotedTextsAndKinds", func(t *testing.T) {
		t.Parallel()
		b := setup(t, csvPage("null", 2, "\"Id\",\"Title__c\",\"Owner.IsActive\",\"Score__c\",\"LastModifiedDate\"\n"+
			"\"1\",\"資料, \"\"A\"\"\r\nsecond\n\nthird\",\"true\",\"1.5\",\"2026-08-10T09:00:00.000+0000\"\n\"2\",\"\",\"false\",\"\",\"\"\n"))
		var rows []salesforce.BulkQueryRow
		for row, err := range b.client.BulkQueryRows(t.Context(), "750A", salesforce.BulkQueryPosition{}) {
			require.NoError(t, err)
			rows = append(rows, row)
		}
		require.Len(t, rows, 2)
		require.Equal(t, "資料, \"A\"\nsecond\n\nthird", rows[0].String("title__c"))
		require.True(t, rows[0].Bool("Owner.IsActive"))
		require.InDelta(t, 1.5, rows[0].Float("Score__c"), 0)
		require.Equal(t, time.Date(2026, 8, 10, 9, 0, 0, 0, time.UTC), rows[0].Time("LastModifiedDate"))
		require.True(t, rows[1].Has("Title__c"))
		require.Empty(t, rows[1].String("Title__c"))
		require.False(t, rows[1].Has("Other__c"))
		require.Empty(t, rows[1].String("Other__c"))
	})

	t.Run("NothingFoundIsNoError", func(t *testing.T) {
		t.Parallel()
		for name, text := range map[string]string{"header": "\"Id\"\n", "nothing": "", "sentence": "Records not found for this query\n"} {
			b := setup(t, csvPage("null", 0, text))
			ids, at, err := read(t.Context(), b.client, salesforce.BulkQueryPosition{})
			require.NoError(t, err, name)
			require.Empty(t, ids, name)
			require.Zero(t, at)
		}
	})
}

func TestBulkQueryRowsLoseNothingWithoutAnError(t *testing.T) {
	t.Parallel()
	without := func(name string, answer http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			answer(rec, r)
			for k, v := range rec.Header() {
				if k != name {
					w.Header()[k] = v
				}
			}
			_, _ = w.Write(rec.Body.Bytes())
		}
	}
	html := func(status int, headers bool) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			if headers {
				w.Header().Set("Sforce-NumberOfRecords", "2")
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html>\n<body>Salesforce is down for maintenance</body>\n</html>")
		}
	}
	for name, c := range map[string]struct {
		second http.HandlerFunc
		code   string
	}{
		"a lost answer":           {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, salesforce.CodeConnection},
		"half an answer":          {half, salesforce.CodeConnection},
		"a maintenance page":      {html(503, false), salesforce.CodeNotJSON},
		"one that says it is ok":  {html(200, false), salesforce.CodeNotJSON},
		"one with their headers":  {html(200, true), salesforce.CodeNotJSON},
		"no content":              {reply(204, ""), salesforce.CodeNotJSON},
		"headers are lost":        {without("Sforce-Numberofrecords", secondPage), salesforce.CodeNotJSON},
		"fewer rows than it says": {csvPage("p3", 3, "\"Id\"\n\"3\"\n\"4\"\n"), salesforce.CodeNotJSON},
		"more rows than it says":  {csvPage("p3", 1, "\"Id\"\n\"3\"\n\"4\"\n"), salesforce.CodeNotJSON},
		"an open quote":           {csvPage("p3", 2, "\"Id\"\n\"3\"\n\"4\n"), salesforce.CodeNotJSON},
		"a row of another shape":  {csvPage("p3", 2, "\"Id\"\n\"3\"\n\"4\",\"x\"\n"), salesforce.CodeNotJSON},
		"its own locator":         {csvPage("p2", 2, "\"Id\"\n\"3\"\n\"4\"\n"), salesforce.CodeNotJSON},
		"a locator that is gone":  {reply(400, `[{"errorCode":"INVALID_QUERY_LOCATOR","message":"invalid query locator"}]`), "INVALID_QUERY_LOCATOR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var healed atomic.Bool
			b := setup(t, scripted(t, threePages(func(w http.ResponseWriter, r *http.Request) {
				if healed.Load() {
					secondPage(w, r)
					return
				}
				c.second(w, r)
			})))
			ids, at, err := read(t.Context(), b.client, salesforce.BulkQueryPosition{})
			e := failure(t, err)
			require.Equal(t, c.code, e.Code)
			require.Equal(t, salesforce.ClassTransient, e.Class)
			require.False(t, e.Ambiguous)
			require.Equal(t, []string{"1", "2"}, ids, "nothing of a page that is not whole")
			// Once the page comes as it should, reading goes on where it stopped: nothing twice, nothing left out.
			healed.Store(true)
			rest, _, err := read(t.Context(), b.client, at)
			require.NoError(t, err)
			require.Equal(t, []string{"1", "2", "3", "4", "5"}, append(ids, rest...))
		})
	}
}

// half breaks off in the middle of a compressed page.
func half(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/csv")
	w.Header().Set("Sforce-Locator", "p3")
	w.Header().Set("Sforce-NumberOfRecords", "2")
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, "\"Id\"\n\"3\"\n")
	panic(http.ErrAbortHandler)
}

func TestBulkQueryPagesAreBounded(t *testing.T) {
	t.Parallel()
	const records = 100
	sizes := make(chan string, records)
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		var from, size int
		_, _ = fmt.Sscan(r.URL.Query().Get("locator"), &from)
		_, err := fmt.Sscan(r.URL.Query().Get("maxRecords"), &size)
		assert.NoError(t, err)
		sizes <- r.URL.Query().Get("maxRecords")
		to, next := min(from+size, records), "null"
		if to < records {
			next = strconv.Itoa(to)
		}
		var text strings.Builder
		text.WriteString("Id,Text\n")
		for i := from; i < to; i++ {
			fmt.Fprintf(&text, "%d,%s\n", i, strings.Repeat("x", 100))
		}
		csvPage(next, to-from, text.String())(w, r)
	}, func(c *salesforce.Config) { c.MaxResponseBytes, c.BulkQuery.Page = 2<<10, 64 })
	ids, _, err := read(t.Context(), b.client, salesforce.BulkQueryPosition{})
	require.NoError(t, err)
	require.Len(t, ids, records)
	for _, want := range []string{"64", "32", "16", "16", "16", "16", "16", "16", "16"} {
		require.Equal(t, want, <-sizes)
	}
	require.Empty(t, sizes)

	b = setup(t, csvPage("null", 1, "Id\n"+strings.Repeat("x", 2<<10)), func(c *salesforce.Config) { c.MaxResponseBytes = 1 << 10 })
	_, _, err = read(t.Context(), b.client, salesforce.BulkQueryPosition{})
	e := failure(t, err)
	require.Equal(t, salesforce.CodeTooLarge, e.Code, "not even one record fits")
	require.False(t, e.Ambiguous)
}

func TestBulkQueryResultsAreDecompressed(t *testing.T) {
	t.Parallel()
	var whole bytes.Buffer
	z := gzip.NewWriter(&whole)
	_, _ = io.WriteString(z, "\"Id\"\n\"3\"\n\"4\"\n")
	require.NoError(t, z.Close())
	var cut atomic.Bool
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "gzip", r.Header.Get("Accept-Encoding"))
		w.Header().Set("Content-Encoding", "gzip")
		body := whole.String()
		if cut.Load() {
			body = body[:len(body)-9] // the end and its checksum are missing
		}
		csvPage("null", 2, body)(w, r)
	})
	transport := salesforce.NewTransport()
	transport.Proxy = nil
	transport.DialContext = dialTo(b.server.Listener.Addr().String())
	cfg := salesforce.DefaultConfig()
	cfg.TrustedHosts = []string{"simulator"}
	client := salesforce.NewClient(cfg, salesforce.StaticToken{AccessToken: secret.New("t"), InstanceURL: "http://simulator"},
		salesforce.Deps{Transport: transport})
	ids, _, err := read(t.Context(), client, salesforce.BulkQueryPosition{})
	require.NoError(t, err)
	require.Equal(t, []string{"3", "4"}, ids)
	cut.Store(true)
	_, _, err = read(t.Context(), client, salesforce.BulkQueryPosition{})
	require.Equal(t, salesforce.CodeConnection, failure(t, err).Code)
}
