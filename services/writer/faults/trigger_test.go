package faults

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// trigger kills a process with SIGKILL when it has got as far as planned: as seen by who stands between the writers and the
// orgs, or by who reads what they say.
type trigger struct {
	mu     sync.Mutex
	victim *os.Process
	kill   kill
	killed chan struct{}
}

// arm makes a process the next to be killed. The returned channel is closed when it is.
func (t *trigger) arm(victim *os.Process, k kill) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.victim, t.kill, t.killed = victim, k, make(chan struct{})
	return t.killed
}

// pass notes progress, and kills if it is time.
func (t *trigger) pass(m moment, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.victim == nil || t.kill.in <= 0 || t.kill.at != m {
		return
	}
	if t.kill.in -= n; t.kill.in > 0 {
		return
	}
	_ = t.victim.Kill()
	t.victim = nil
	close(t.killed)
}

// between serves an address of the orgs at which every request passes the trigger. What has passed arrives, whether or not
// anybody is left to hear the answer.
func between(t *testing.T, orgs string, trigger *trigger) string {
	t.Helper()
	target, err := url.Parse(orgs)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // the orgs' addresses are those that one came by
		},
		ModifyResponse: func(r *http.Response) error {
			trigger.pass(afterRequest, 1)
			if step(r.Request) {
				trigger.pass(afterStep, 1)
			}
			return nil
		},
		// A connection that the simulator drops is dropped here too.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		trigger.pass(beforeRequest, 1)
		if step(r) {
			trigger.pass(beforeStep, 1)
		}
		proxy.ServeHTTP(w, r.WithContext(context.WithoutCancel(r.Context())))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// step reports whether a request is one about a bulk job.
func step(r *http.Request) bool { return strings.Contains(r.URL.Path, "/jobs/ingest") }
