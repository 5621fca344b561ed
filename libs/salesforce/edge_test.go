package salesforce_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/test/bufconn"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
)

// everyCall is one use of every method that asks the org something.
func everyCall() map[string]func(context.Context, *salesforce.Client) error {
	const id = "00QSM000000pQrS2AU"
	fields := salesforce.Fields{{Name: "Title", Value: "x"}}
	return map[string]func(context.Context, *salesforce.Client) error{
		"AbortBulkJob":   func(ctx context.Context, c *salesforce.Client) error { return second(c.AbortBulkJob(ctx, "750A")) },
		"AbortBulkQuery": func(ctx context.Context, c *salesforce.Client) error { return second(c.AbortBulkQuery(ctx, "750A")) },
		"BulkJob":        func(ctx context.Context, c *salesforce.Client) error { return second(c.BulkJob(ctx, "750A")) },
		"BulkQuery":      func(ctx context.Context, c *salesforce.Client) error { return second(c.BulkQuery(ctx, "750A")) },
		"BulkResults": func(ctx context.Context, c *salesforce.Client) error {
			return second(c.BulkResults(ctx, "750A", "", 0))
		},
		"CheckVersion":    func(ctx context.Context, c *salesforce.Client) error { return c.CheckVersion(ctx) },
		"CloseBulkJob":    func(ctx context.Context, c *salesforce.Client) error { return second(c.CloseBulkJob(ctx, "750A")) },
		"DeleteBulkJob":   func(ctx context.Context, c *salesforce.Client) error { return c.DeleteBulkJob(ctx, "750A") },
		"DeleteBulkQuery": func(ctx context.Context, c *salesforce.Client) error { return c.DeleteBulkQuery(ctx, "750A") },
		"Create":          func(ctx context.Context, c *salesforce.Client) error { return second(c.Create(ctx, "Lead", fields)) },
		"Update":          func(ctx context.Context, c *salesforce.Client) error { return c.Update(ctx, "Lead", id, fields) },
		"Delete":          func(ctx context.Context, c *salesforce.Client) error { return c.Delete(ctx, "Lead", id) },
		"Get":             func(ctx context.Context, c *salesforce.Client) error { return second(c.Get(ctx, "Lead", id, "Id")) },
		"Describe":        func(ctx context.Context, c *salesforce.Client) error { return second(c.Describe(ctx, "Lead")) },
		"DescribeGlobal":  func(ctx context.Context, c *salesforce.Client) error { return second(c.DescribeGlobal(ctx)) },
		"Identity":        func(ctx context.Context, c *salesforce.Client) error { return second(c.Identity(ctx)) },
		"Limits":          func(ctx context.Context, c *salesforce.Client) error { return second(c.Limits(ctx)) },
		"Organization":    func(ctx context.Context, c *salesforce.Client) error { return second(c.Organization(ctx)) },
		"Versions":        func(ctx context.Context, c *salesforce.Client) error { return second(c.Versions(ctx)) },
		"Query": func(ctx context.Context, c *salesforce.Client) error {
			return second(c.Query(ctx, "SELECT Id FROM Lead"))
		},
		"QueryAll": func(ctx context.Context, c *salesforce.Client) error {
			return second(c.QueryAll(ctx, "SELECT Id FROM Lead"))
		},
		"Collections": func(ctx context.Context, c *salesforce.Client) error {
			return second(c.Collections(ctx, upsert("one")))
		},
		"BulkQueryRows": func(ctx context.Context, c *salesforce.Client) error {
			for _, err := range c.BulkQueryRows(ctx, "750A", salesforce.BulkQueryPosition{}) {
				return err
			}
			return nil
		},
		"CreateBulkQuery": func(ctx context.Context, c *salesforce.Client) error {
			return second(c.CreateBulkQuery(ctx, salesforce.BulkQueryRequest{SOQL: "SELECT Id FROM Lead"}))
		},
		"CreateBulkJob": func(ctx context.Context, c *salesforce.Client) error {
			return second(c.CreateBulkJob(ctx, salesforce.BulkRequest{Operation: salesforce.Insert, Object: "Lead"}))
		},
		"UploadBulkJob": func(ctx context.Context, c *salesforce.Client) error {
			return c.UploadBulkJob(ctx, "750A", []byte("LastName\nx\n"))
		},
		"CollectionDelete": func(ctx context.Context, c *salesforce.Client) error {
			return second(c.CollectionDelete(ctx, []string{id}))
		},
		"CollectionGet": func(ctx context.Context, c *salesforce.Client) error {
			return second(c.CollectionGet(ctx, "Lead", []string{id}, []string{"Id"}))
		},
		"Composite": func(ctx context.Context, c *salesforce.Client) error {
			return second(c.Composite(ctx, salesforce.CompositeRequest{Steps: []salesforce.Subrequest{salesforce.SubCreate("a", "Lead", fields)}}))
		},
		"CompositeGraph": func(ctx context.Context, c *salesforce.Client) error {
			return second(c.CompositeGraph(ctx, []salesforce.Graph{{ID: "g", Steps: []salesforce.Subrequest{salesforce.SubCreate("a", "Lead", fields)}}}))
		},
		"Search": func(ctx context.Context, c *salesforce.Client) error {
			return second(c.Search(ctx, salesforce.Search{Text: "abc", Objects: []salesforce.SearchObject{{Name: "Lead", Fields: []string{"Id"}}}}))
		},
		"Upsert": func(ctx context.Context, c *salesforce.Client) error {
			return second(c.Upsert(ctx, salesforce.Key{Object: "Lead", Field: "Key__c", Value: "x"}, fields))
		},
	}
}

func second[T any](_ T, err error) error { return err }

// changing are those whose effect is in doubt when the answer says nothing.
var changing = map[string]bool{
	"AbortBulkJob": true, "CloseBulkJob": true, "DeleteBulkJob": true, "CreateBulkJob": true, "UploadBulkJob": true,
	"Create": true, "Update": true, "Delete": true, "Upsert": true, "Collections": true, "CollectionDelete": true,
	"Composite": true, "CompositeGraph": true,
}

func TestAMaintenancePageIsNeitherACrashNorASuccess(t *testing.T) {
	t.Parallel()
	const page = "<!DOCTYPE html>\n<html><head><title>Maintenance</title></head>\n<body>We are down for maintenance, \"sorry\".</body></html>\n"
	for _, status := range []int{200, 201, 503} {
		b := setup(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=UTF-8")
			w.Header().Set("Sforce-NumberOfRecords", "0") // not even then
			w.WriteHeader(status)
			_, _ = io.WriteString(w, page)
		})
		for name, ask := range everyCall() {
			e := failure(t, ask(t.Context(), b.client))
			require.Equal(t, "transient UNPARSEABLE_ANSWER", e.Class.String()+" "+e.Code, "%s %d", name, status)
			require.Equal(t, status, e.Status, name)
			require.Equal(t, changing[name], e.Ambiguous, "%s %d", name, status)
			require.NotContains(t, e.Error(), "sorry")
		}
	}
}

// strangeHosts is a client for which every host name leads to the test's server. Answers may have 1 MiB.
func strangeHosts(t *testing.T, handler http.HandlerFunc, secure bool) *salesforce.Client {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	address := "http://simulator"
	if secure {
		server.StartTLS()
		address = "https://acme.my.salesforce.com"
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	transport := salesforce.NewTransport()
	transport.Proxy, transport.TLSHandshakeTimeout = nil, time.Minute
	transport.DialContext = dialTo(server.Listener.Addr().String())
	if secure {
		trusted := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		trusted.ServerName = "example.com" // the name in the server's certificate
		transport.TLSClientConfig = trusted
	}
	cfg := salesforce.DefaultConfig()
	cfg.TrustedHosts, cfg.MaxResponseBytes = []string{"simulator"}, 1<<20
	return salesforce.NewClient(cfg, salesforce.StaticToken{AccessToken: secret.New("t"), InstanceURL: address},
		salesforce.Deps{Transport: transport})
}

func TestRedirectsStayWithinSalesforce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		to   string
		code string
	}{
		"another host":                 {"https://evil.example/steal", salesforce.CodeForeignHost},
		"a name that looks like it":    {"https://acme.my.salesforce.com.evil.example/", salesforce.CodeForeignHost},
		"a name that ends like it":     {"https://evilsalesforce.com/", salesforce.CodeForeignHost},
		"a user before the host":       {"https://acme.my.salesforce.com@evil.example/", salesforce.CodeForeignHost},
		"no encryption":                {"http://acme.my.salesforce.com/", salesforce.CodeForeignHost},
		"no encryption, trusted":       {"http://simulator/", salesforce.CodeForeignHost},
		"an address, not a name":       {"https://10.0.0.1/", salesforce.CodeForeignHost},
		"another scheme":               {"ftp://acme.my.salesforce.com/", salesforce.CodeForeignHost},
		"another org":                  {"https://other.my.salesforce.com/services/data/v66.0/query", salesforce.CodeRedirected},
		"a login page":                 {"https://login.salesforce.com/?startURL=x", salesforce.CodeRedirected},
		"in a circle on the same host": {"https://acme.my.salesforce.com/services/data/v66.0/query", salesforce.CodeRedirected},
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			var elsewhere, here atomic.Int64
			client := strangeHosts(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Host != "acme.my.salesforce.com" {
					elsewhere.Add(1)
				}
				here.Add(1)
				w.Header().Set("Location", c.to)
				w.WriteHeader(status)
			}, true)
			_, err := client.Query(t.Context(), "SELECT Id FROM Lead")
			require.Equal(t, c.code, failure(t, err).Code, "%s %d", name, status)
			require.LessOrEqual(t, here.Load(), int64(3), name)
			before := here.Load()
			_, err = client.Collections(t.Context(), upsert("one"))
			require.Equal(t, c.code, failure(t, err).Code, "%s %d", name, status)
			require.EqualValues(t, 1, here.Load()-before, "a change is never sent again by a redirect")
			require.Zero(t, elsewhere.Load(), "%s: no token leaves the host", name)
		}
	}

	t.Run("OnTheSameHostAQuestionGoesOn", func(t *testing.T) {
		t.Parallel()
		client := strangeHosts(t, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "Bearer t", r.Header.Get("Authorization"))
			if r.URL.Path == "/services/data/v66.0/limits" {
				http.Redirect(w, r, "/services/data/v66.0/limits/", http.StatusMovedPermanently)
				return
			}
			reply(200, `{"DailyApiRequests":{"Max":15000,"Remaining":14999}}`)(w, r)
		}, true)
		limits, err := client.Limits(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 14_999, limits["DailyApiRequests"].Remaining)
	})
}

func TestAnAnswerIsBoundedAfterDecompression(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = io.WriteString(z, `{"done":true,"records":[{"Text":"`+strings.Repeat("x", 8<<20)+`"}]}`)
	require.NoError(t, z.Close())
	require.Less(t, bomb.Len(), 1<<20)
	var small atomic.Pointer[[]byte]
	small.Store(new(bomb.Bytes()))
	client := strangeHosts(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "gzip", r.Header.Get("Accept-Encoding"))
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(*small.Load())
	}, false)
	_, err := client.Query(t.Context(), "SELECT Id FROM Lead")
	require.Equal(t, salesforce.CodeTooLarge, failure(t, err).Code)

	var packed bytes.Buffer
	z.Reset(&packed)
	_, _ = io.WriteString(z, `{"done":true,"records":[{"Id":"1"}]}`)
	require.NoError(t, z.Close())
	small.Store(new(packed.Bytes()))
	records, err := client.Query(t.Context(), "SELECT Id FROM Lead")
	require.NoError(t, err)
	require.Equal(t, "1", records[0].String("Id"))
	small.Store(new(packed.Bytes()[:packed.Len()-9])) // the end and its checksum are missing
	_, err = client.Query(t.Context(), "SELECT Id FROM Lead")
	require.Equal(t, salesforce.CodeConnection, failure(t, err).Code)
}

// inBubble is a client of a server in memory, for a synctest bubble: time passes, and a request ends by it, only when all wait – so
// never before the request has arrived, however slow the machine is.
func inBubble(t *testing.T, handler http.HandlerFunc) *salesforce.Client {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Hour}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	transport := salesforce.NewTransport()
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return listener.DialContext(ctx) }
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	return salesforce.NewClient(salesforce.DefaultConfig(), &tokens{url: "http://127.0.0.1"}, salesforce.Deps{Transport: transport})
}

// roundTripper stands in for the network, so that a bubble can tell when everything waits.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNoMoreRequestsRunThanMay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running, answered atomic.Int64
		release := make(chan struct{})
		cfg := salesforce.DefaultConfig()
		cfg.MaxConcurrent, cfg.Timeout = 3, time.Minute
		client := salesforce.NewClient(cfg, salesforce.StaticToken{AccessToken: secret.New("t"), InstanceURL: "https://acme.my.salesforce.com"},
			salesforce.Deps{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				running.Add(1)
				defer running.Add(-1)
				select {
				case <-release:
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
				if answered.Add(1)%2 == 0 {
					return nil, errors.New("connection reset") // a failure gives its place back too
				}
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"done":true,"records":[]}`)), Request: r}, nil
			})})
		done := make(chan error, 10)
		ask := func(ctx context.Context) { done <- second(client.Query(ctx, "SELECT Id FROM Lead")) }
		for range 5 {
			go ask(t.Context())
		}
		synctest.Wait()
		require.EqualValues(t, 3, running.Load(), "all that may run do")
		require.EqualValues(t, 3, client.Calls(), "the others have sent nothing")

		// One that waits can give up, and nothing of it was sent.
		ctx, cancel := context.WithCancel(t.Context())
		given := make(chan error, 1)
		go func() { given <- second(client.Collections(ctx, upsert("one"))) }()
		synctest.Wait()
		cancel()
		e := failure(t, <-given)
		require.Equal(t, salesforce.CodeCancelled, e.Code)
		require.False(t, e.Ambiguous)
		require.EqualValues(t, 3, client.Calls())

		failed := 0
		for left := 5; left > 0; left-- {
			release <- struct{}{}
			if err := <-done; err != nil {
				failed++
			}
			synctest.Wait()
			require.EqualValues(t, min(3, left-1), running.Load())
		}
		require.EqualValues(t, 5, client.Calls())
		require.Equal(t, 2, failed)

		// One that is never answered ends after its time, and its place is free again.
		go ask(t.Context())
		require.ErrorIs(t, <-done, context.DeadlineExceeded)
		go ask(t.Context())
		synctest.Wait()
		require.EqualValues(t, 1, running.Load())
		release <- struct{}{}
		require.Error(t, <-done, "the sixth that was answered")
		require.EqualValues(t, 7, client.Calls())
	})
}
