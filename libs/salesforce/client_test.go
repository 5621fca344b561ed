package salesforce_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/throughline-dev/throughline/libs/addrtest"
	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
)

// testBundle is a client of a server that the test scripts.
type testBundle struct {
	client *salesforce.Client
	server *httptest.Server
	tokens *tokens
	spans  *tracetest.InMemoryExporter
}

// tokens hands out token-1, token-2 … : another one after every refusal.
type tokens struct {
	url     string
	refused atomic.Int64
	err     error
}

func (s *tokens) Token(context.Context) (salesforce.Token, error) {
	return salesforce.Token{
		AccessToken: secret.New(fmt.Sprint("token-", s.refused.Load()+1)), InstanceURL: s.url,
	}, s.err
}

func (s *tokens) Refused(context.Context, salesforce.Token) { s.refused.Add(1) }

func setup(t *testing.T, handler http.HandlerFunc, change ...func(*salesforce.Config)) *testBundle {
	t.Helper()
	b := &testBundle{server: httptest.NewServer(handler), spans: tracetest.NewInMemoryExporter()}
	t.Cleanup(func() {
		b.server.CloseClientConnections()
		b.server.Close()
	})
	b.tokens = &tokens{url: b.server.URL}
	cfg := salesforce.DefaultConfig()
	for _, f := range change {
		f(&cfg)
	}
	b.client = salesforce.NewClient(cfg, b.tokens, salesforce.Deps{
		Tracer: trace.NewTracerProvider(trace.WithSyncer(b.spans)),
	})
	return b
}

// hang answers nothing. A server notices that the client left only after it has read the body.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func upsert(keys ...string) salesforce.CollectionRequest {
	req := salesforce.CollectionRequest{Operation: salesforce.Upsert, Object: "Engagement__c", ExternalIDField: "External_Id__c"}
	for _, k := range keys {
		req.Records = append(req.Records, salesforce.CollectionRecord{ExternalID: k, Fields: salesforce.Fields{
			{Name: "Title__c", Value: "資料\n\"A\"\\"}, {Name: "Percent__c", Value: 12.5}, {Name: "Open__c", Value: true}, {Name: "Gone__c", Value: nil},
		}})
	}
	return req
}

func failure(t *testing.T, err error) *salesforce.Error {
	t.Helper()
	var e *salesforce.Error
	require.ErrorAs(t, err, &e)
	return e
}

func TestCollections(t *testing.T) {
	t.Parallel()

	t.Run("SendsRecordsInOrderAndReadsResultsInOrder", func(t *testing.T) {
		t.Parallel()
		var got struct {
			AllOrNone bool             `json:"allOrNone"`
			Records   []map[string]any `json:"records"`
		}
		b := setup(t, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "PATCH", r.Method)
			assert.Equal(t, "/services/data/v66.0/composite/sobjects/Engagement__c/External_Id__c", r.URL.Path)
			assert.Equal(t, "Bearer token-1", r.Header.Get("Authorization"))
			assert.Equal(t, "FALSE", r.Header.Get("Sforce-Auto-Assign"))
			assert.Equal(t, "client=throughline", r.Header.Get("Sforce-Call-Options"))
			assert.NoError(t, json.NewDecoder(r.Body).Decode(&got))
			w.Header().Set("Sforce-Limit-Info", "api-usage=18/15000, per-app-api-usage=17/250(appName=x)")
			_, _ = io.WriteString(w, `[{"id":"a00000000000001AAA","success":true,"errors":[],"created":true},
				{"success":false,"errors":[{"statusCode":"STRING_TOO_LONG","message":"Title: data value too large: Taro Yamada (max length=80)","fields":["Title__c"]}]}]`)
		})
		res, err := b.client.Collections(t.Context(), upsert("one", "two"))
		require.NoError(t, err)
		require.False(t, got.AllOrNone)
		require.Equal(t, map[string]any{
			"attributes": map[string]any{"type": "Engagement__c"}, "External_Id__c": "one",
			"Title__c": "資料\n\"A\"\\", "Percent__c": 12.5, "Open__c": true, "Gone__c": nil,
		}, got.Records[0])
		require.Equal(t, salesforce.RecordResult{ID: "a00000000000001AAA", Created: true}, res.Records[0])
		e := res.Records[1].Err
		require.Equal(t, salesforce.ClassData, e.Class)
		require.Equal(t, "Title: data value too large: [value] (max length=80)", e.Detail)
		require.Equal(t, 2, res.Call.Records)
		require.Equal(t, 200, res.Call.Status)
		usage, ok := b.client.Usage()
		require.True(t, ok)
		require.EqualValues(t, 18, usage.Used)
		require.EqualValues(t, 15000, usage.Max)
	})

	t.Run("NothingIsSentThatSalesforceWouldRefuse", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(http.ResponseWriter, *http.Request) { t.Error("sent") })
		for name, req := range map[string]salesforce.CollectionRequest{
			"empty":    {Operation: salesforce.Insert, Object: "Task"},
			"too many": upsert(make([]string, 201)...),
			"no key":   upsert(""),
			"no id":    {Operation: salesforce.Update, Object: "Task", Records: []salesforce.CollectionRecord{{}}},
			"no op":    {Object: "Task", Records: []salesforce.CollectionRecord{{}}},
			"odd type": {Operation: salesforce.Insert, Object: "Task", Records: []salesforce.CollectionRecord{{Fields: salesforce.Fields{{Name: "A", Value: 1}}}}},
		} {
			_, err := b.client.Collections(t.Context(), req)
			require.Equal(t, salesforce.CodeBadRequest, failure(t, err).Code, name)
		}
	})

	t.Run("AnAnswerThatDoesNotFitTheRequestIsAmbiguous", func(t *testing.T) {
		t.Parallel()
		for _, body := range []string{`[]`, `{}`, `<html>`, ``, `[{"id":"x"},{"id":"y"}]`, `[{"success":true},{"success":true}]`, `[null,null]`} {
			b := setup(t, reply(200, body))
			_, err := b.client.Collections(t.Context(), upsert("one", "two"))
			e := failure(t, err)
			require.Equal(t, salesforce.CodeNotJSON, e.Code, body)
			require.True(t, salesforce.IsAmbiguous(err), body)
		}
	})
}

func TestAmbiguity(t *testing.T) {
	t.Parallel()

	t.Run("NoAnswerInTime", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			client := inBubble(t, hang)
			_, err := client.Collections(t.Context(), upsert("one"))
			e := failure(t, err)
			require.True(t, e.Ambiguous)
			require.Equal(t, salesforce.CodeTimeout, e.Code)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			_, err = client.Query(t.Context(), "SELECT Id FROM Lead")
			require.False(t, salesforce.IsAmbiguous(err), "a query changes nothing")
		})
	})

	t.Run("ConnectionLostAfterSending", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		_, err := b.client.Collections(t.Context(), upsert("one"))
		require.True(t, salesforce.IsAmbiguous(err))
		require.Equal(t, salesforce.CodeConnection, failure(t, err).Code)
	})

	t.Run("AnswerCutOff", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `[{"id":"a0`)
		})
		_, err := b.client.Collections(t.Context(), upsert("one"))
		require.True(t, salesforce.IsAmbiguous(err))
	})

	t.Run("NobodyListens", func(t *testing.T) {
		t.Parallel()
		b := setup(t, reply(200, ""))
		b.tokens.url = "http://" + addrtest.Free(t)
		_, err := b.client.Collections(t.Context(), upsert("one"))
		require.False(t, salesforce.IsAmbiguous(err))
		require.Equal(t, salesforce.ClassTransient, salesforce.ClassOf(err))
		require.NotContains(t, err.Error(), "127.0.0.1")
	})

	t.Run("TheCallerGaveUp", func(t *testing.T) {
		t.Parallel()
		arrived := make(chan struct{})
		b := setup(t, func(_ http.ResponseWriter, r *http.Request) {
			close(arrived)
			hang(nil, r)
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			cancel()
		}()
		_, err := b.client.Collections(ctx, upsert("one"))
		require.ErrorIs(t, err, context.Canceled)
		require.True(t, salesforce.IsAmbiguous(err))
	})

	t.Run("ServerErrorsOfChangesAreAmbiguousAndRefusalsAreNot", func(t *testing.T) {
		t.Parallel()
		for status, want := range map[int]bool{400: false, 401: false, 403: false, 404: false, 500: true, 502: true, 503: true, 504: true} {
			b := setup(t, reply(status, "<html>"))
			_, err := b.client.Collections(t.Context(), upsert("one"))
			require.Equal(t, want, salesforce.IsAmbiguous(err), status)
		}
	})
}

func TestSession(t *testing.T) {
	t.Parallel()
	const expired = `[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]`

	t.Run("ARefusedTokenIsReplacedOnceAndTheRequestRepeated", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer token-1" {
				reply(401, expired)(w, r)
				return
			}
			reply(200, `[{"id":"a00000000000001AAA","success":true,"errors":[]}]`)(w, r)
		})
		_, err := b.client.Collections(t.Context(), upsert("one"))
		require.NoError(t, err)
		require.EqualValues(t, 1, b.tokens.refused.Load())
		require.EqualValues(t, 2, b.client.Calls())
	})

	t.Run("ASecondRefusalIsFinal", func(t *testing.T) {
		t.Parallel()
		b := setup(t, reply(401, expired))
		_, err := b.client.Collections(t.Context(), upsert("one"))
		e := failure(t, err)
		require.Equal(t, salesforce.ClassAuth, e.Class)
		require.Equal(t, "SF_AUTH_REVOKED", e.Reason)
		require.EqualValues(t, 2, b.client.Calls())
	})

	t.Run("ATokenThatWouldBeRefusedAgainIsNotReplaced", func(t *testing.T) {
		t.Parallel()
		b := setup(t, reply(401, `[{"message":"This session is not valid for use with the REST API","errorCode":"INVALID_SESSION_ID"}]`))
		_, err := b.client.Collections(t.Context(), upsert("one"))
		require.Equal(t, salesforce.ClassAuth, salesforce.ClassOf(err))
		require.EqualValues(t, 1, b.client.Calls())
	})

	t.Run("TheTokenSourcesReasonIsKept", func(t *testing.T) {
		t.Parallel()
		b := setup(t, reply(200, ""))
		b.tokens.err = fmt.Errorf("connection main: %w", &salesforce.Error{Class: salesforce.ClassAuth, Reason: "SF_APP_BLOCKED"})
		_, err := b.client.Query(t.Context(), "SELECT Id FROM Lead")
		require.Equal(t, "SF_APP_BLOCKED", failure(t, err).Reason)
		b.tokens.err = errors.New("secret text")
		_, err = b.client.Query(t.Context(), "SELECT Id FROM Lead")
		require.Equal(t, salesforce.ClassTransient, salesforce.ClassOf(err))
		require.NotContains(t, err.Error(), "secret text")
	})
}

func TestHosts(t *testing.T) {
	t.Parallel()

	t.Run("ATokenGoesOnlyToSalesforceAndLoopback", func(t *testing.T) {
		t.Parallel()
		for address, want := range map[string]bool{
			"https://acme.my.salesforce.com": true, "https://login.salesforce.com": true, "https://x.force.com": true,
			"http://127.0.0.1:8080": true, "http://localhost": true, "https://[::1]:1": true, "http://simulator:8080": true,
			"http://acme.my.salesforce.com": false, "https://salesforce.com.evil.example": false,
			"https://evilsalesforce.com": false, "https://acme.my.salesforce.com@evil.example": false,
			"ftp://acme.my.salesforce.com": false, "": false, "acme.my.salesforce.com": false, "https://10.0.0.1": false,
		} {
			err := salesforce.CheckAddress(address, []string{"simulator"})
			require.Equal(t, want, err == nil, address)
		}
	})

	t.Run("ARedirectToAForeignHostIsRefused", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-43")
		b := setup(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/steal", http.StatusTemporaryRedirect)
		})
		_, err := b.client.Query(t.Context(), "SELECT Id FROM Lead")
		require.Equal(t, salesforce.CodeForeignHost, failure(t, err).Code)
		_, err = b.client.Collections(t.Context(), upsert("one"))
		require.Equal(t, salesforce.CodeForeignHost, failure(t, err).Code)
	})

	t.Run("AnOrgThatMovedIsAskedForANewAddress", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://new.my.salesforce.com/"+r.URL.Path, http.StatusTemporaryRedirect)
		})
		_, err := b.client.Collections(t.Context(), upsert("one"))
		e := failure(t, err)
		require.Equal(t, salesforce.CodeRedirected, e.Code)
		require.Equal(t, salesforce.ClassTransient, e.Class)
		require.EqualValues(t, 1, b.tokens.refused.Load())
	})
}

func TestQuery(t *testing.T) {
	t.Parallel()

	t.Run("ReadsAllPagesAndTypedValues", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/services/data/v66.0/query" {
				assert.Equal(t, "SELECT Id FROM Lead WHERE Email = 'o\\'hara@example.com'", r.URL.Query().Get("q"))
				reply(200, `{"totalSize":2,"done":false,"nextRecordsUrl":"/services/data/v66.0/query/01g-1",
					"records":[{"attributes":{"type":"Lead"},"Id":"00Q1","IsConverted":true,"Owner":{"IsActive":true,"Name":"花子"},
					"LastModifiedDate":"2026-08-10T09:00:00.000+0000","Score":1.5}]}`)(w, r)
				return
			}
			assert.Equal(t, "/services/data/v66.0/query/01g-1", r.URL.Path)
			reply(200, `{"totalSize":2,"done":true,"records":[{"Id":"00Q2","Owner":null}]}`)(w, r)
		})
		records, err := b.client.Query(t.Context(), "SELECT Id FROM Lead WHERE Email = "+salesforce.Quote("o'hara@example.com"))
		require.NoError(t, err)
		require.Len(t, records, 2)
		r := records[0]
		require.Equal(t, "Lead", r.Type())
		require.True(t, r.Bool("Owner.IsActive"))
		require.Equal(t, "花子", r.String("Owner.Name"))
		require.Equal(t, time.Date(2026, 8, 10, 9, 0, 0, 0, time.UTC), r.Time("LastModifiedDate"))
		require.InDelta(t, 1.5, r.Float("Score"), 0)
		require.Empty(t, records[1].String("Owner.Name"))
	})

	t.Run("NoQueryLeavesThePackage", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		_, err := b.client.Query(t.Context(), "SELECT Id FROM Lead WHERE Email = 'taro@example.com'")
		require.NotContains(t, err.Error(), "taro")
		text := fmt.Sprintf("%+v", b.spans.GetSpans())
		require.Contains(t, text, "/query")
		require.NotContains(t, text, "taro")
		require.NotContains(t, text, "token-1")
	})

	t.Run("AForeignNextPageIsNotFollowed", func(t *testing.T) {
		t.Parallel()
		b := setup(t, reply(200, `{"done":false,"nextRecordsUrl":"//evil.example/x","records":[]}`))
		_, err := b.client.Query(t.Context(), "SELECT Id FROM Lead")
		require.Equal(t, salesforce.CodeNotJSON, failure(t, err).Code)
	})

	t.Run("TooLongAndTooManyAreErrorsThatSayHowToGoOn", func(t *testing.T) {
		t.Parallel()
		b := setup(t, reply(200, `{"done":true,"records":[{},{},{}]}`), func(c *salesforce.Config) { c.MaxQueryRecords = 2 })
		long := "SELECT Id FROM Lead WHERE Id IN " + salesforce.QuoteList(make([]string, 5000))
		require.False(t, salesforce.QueryFits(long))
		_, err := b.client.Query(t.Context(), long)
		require.Equal(t, salesforce.CodeURITooLong, failure(t, err).Code)
		require.True(t, failure(t, err).Split)
		_, err = b.client.Query(t.Context(), "SELECT Id FROM Lead")
		require.Equal(t, salesforce.CodeTooLarge, failure(t, err).Code)
	})

	t.Run("QuotingLeavesNoWayOut", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, `'it\'s \\ \n\r\t\b\f'`, salesforce.Quote("it's \\ \n\r\t\b\f\x00\x07"))
		require.Equal(t, `('a','b\'')`, salesforce.QuoteList([]string{"a", "b'"}))
		require.Equal(t, "2026-08-10T00:00:00Z", salesforce.DateTime(time.Date(2026, 8, 10, 9, 0, 0, 0, time.FixedZone("JST", 9*3600))))
	})
}

func TestLimitsOfTheClient(t *testing.T) {
	t.Parallel()

	t.Run("AHugeAnswerIsCutOff", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(w http.ResponseWriter, _ *http.Request) {
			for range 100 {
				_, _ = io.WriteString(w, strings.Repeat(" ", 1<<10))
			}
		}, func(c *salesforce.Config) { c.MaxResponseBytes = 10 << 10 })
		_, err := b.client.Query(t.Context(), "SELECT Id FROM Lead")
		require.Equal(t, salesforce.CodeTooLarge, failure(t, err).Code)
	})

	t.Run("RequestsBeyondTheLimitWait", func(t *testing.T) {
		t.Parallel()
		var busy, peak atomic.Int64
		b := setup(t, func(w http.ResponseWriter, r *http.Request) {
			n := busy.Add(1)
			defer busy.Add(-1)
			for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
			}
			reply(200, `{"done":true,"records":[]}`)(w, r)
		}, func(c *salesforce.Config) { c.MaxConcurrent = 2 })
		errs := make(chan error)
		for range 20 {
			go func() {
				_, err := b.client.Query(t.Context(), "SELECT Id FROM Lead")
				errs <- err
			}()
		}
		for range 20 {
			require.NoError(t, <-errs)
		}
		require.LessOrEqual(t, peak.Load(), int64(2))
	})

	t.Run("LargeBodiesAreCompressedExceptOnTheSameMachine", func(t *testing.T) {
		t.Parallel()
		encodings := make(chan string, 2)
		handler := func(w http.ResponseWriter, r *http.Request) {
			encodings <- r.Header.Get("Content-Encoding")
			body := r.Body
			if r.Header.Get("Content-Encoding") == "gzip" {
				z, err := gzip.NewReader(r.Body)
				assert.NoError(t, err)
				body = z
			}
			var req struct{ Records []map[string]any }
			assert.NoError(t, json.NewDecoder(body).Decode(&req))
			assert.Len(t, req.Records, 50)
			var results []string
			for range 50 {
				results = append(results, `{"id":"a00000000000001AAA","success":true,"errors":[]}`)
			}
			reply(200, "["+strings.Join(results, ",")+"]")(w, r)
		}
		keys := make([]string, 50)
		for i := range keys {
			keys[i] = fmt.Sprint("key", i)
		}
		b := setup(t, handler)
		_, err := b.client.Collections(t.Context(), upsert(keys...))
		require.NoError(t, err)
		require.Empty(t, <-encodings)
		// The same server under a name that is not loopback.
		transport := salesforce.NewTransport()
		transport.Proxy = nil
		address := b.server.Listener.Addr().String()
		transport.DialContext = dialTo(address)
		client := salesforce.NewClient(func() salesforce.Config {
			c := salesforce.DefaultConfig()
			c.TrustedHosts = []string{"simulator"}
			return c
		}(), salesforce.StaticToken{AccessToken: secret.New("t"), InstanceURL: "http://simulator"}, salesforce.Deps{Transport: transport})
		_, err = client.Collections(t.Context(), upsert(keys...))
		require.NoError(t, err)
		require.Equal(t, "gzip", <-encodings)
	})

	t.Run("AWrongConfigurationFailsEveryCall", func(t *testing.T) {
		t.Parallel()
		for key, change := range map[string]func(*salesforce.Config){
			"api_version": func(c *salesforce.Config) { c.APIVersion = "45.0" }, "timeout": func(c *salesforce.Config) { c.Timeout = 0 },
			"max_concurrent": func(c *salesforce.Config) { c.MaxConcurrent = 0 }, "user_agent": func(c *salesforce.Config) { c.UserAgent = "a,b" },
		} {
			b := setup(t, reply(200, ""), change)
			_, err := b.client.Limits(t.Context())
			require.ErrorContains(t, err, key)
		}
	})
}
