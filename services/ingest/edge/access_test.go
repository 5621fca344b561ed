package edge_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/ingest/edge"
)

func TestOnlyTheWorkspacesOwnKeyIsLetIn(t *testing.T) {
	t.Attr("requirement", "XC-21")
	t.Parallel()
	for name, header := range map[string]string{
		"none":              "",
		"basic":             "Basic dGw6eA==",
		"not one of ours":   "Bearer sk_acme_player_s3cr3t",
		"wrong secret":      "Bearer tl_acme_player_s3cr3t",
		"empty secret":      "Bearer tl_acme_player_",
		"another's secret":  "Bearer tl_globex_player_s3cr3t_with_underscores",
		"unknown key":       "Bearer tl_acme_nobody_s3cr3t_with_underscores",
		"unknown workspace": "Bearer tl_initech_player_s3cr3t_with_underscores",
		"expired":           "Bearer tl_acme_old_s3cr3t",
		"parts missing":     "Bearer tl_acme",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			r := request("application/json", []byte(eventJSON("e")))
			r.Header.Set("Authorization", header)
			w := b.do(r)
			require.Equal(t, http.StatusUnauthorized, w.Code)
			require.Contains(t, w.Header().Get("WWW-Authenticate"), "Bearer")
			require.NotContains(t, w.Body.String(), "s3cr3t")
			require.Empty(t, b.kafka.messages)
		})
	}
}

func TestFloodOfOneWorkspaceLeavesTheOthersTheirShare(t *testing.T) {
	t.Attr("requirement", "XC-15")
	t.Attr("requirement", "XC-21")
	t.Parallel()
	b := setup(t)
	b.cfg.EventsPerSecond, b.cfg.BatchEvents, b.cfg.Burst = 2, 3, 3
	h := edge.NewHandler(b.cfg, b.deps)
	post := func(token string, events int) *httptest.ResponseRecorder {
		r := request("application/x-ndjson", []byte(strings.Repeat(eventJSON("e")+"\n", events)))
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	require.Equal(t, http.StatusAccepted, post(key, 3).Code)
	w := post(key, 3)
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, "RATE_LIMITED", body[edge.Problem](t, w).Reason)
	seconds, err := strconv.Atoi(w.Header().Get("Retry-After"))
	require.NoError(t, err)
	require.Equal(t, 2, seconds, "three events at two per second")
	require.Equal(t, http.StatusAccepted, post("tl_globex_player_other", 3).Code)
}

func TestPlacesForRequestsAreShared(t *testing.T) {
	t.Attr("requirement", "XC-15")
	t.Parallel()
	b := setup(t)
	b.cfg.InFlight = 2
	entered, leave := make(chan struct{}), make(chan struct{})
	b.kafka.hook = func(context.Context) error { entered <- struct{}{}; <-leave; return nil }
	h := edge.NewHandler(b.cfg, b.deps)
	post := func(token string) int {
		r := request("application/json", []byte(eventJSON("e")))
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	codes := make(chan int, 2)
	go func() { codes <- post(key) }()
	<-entered
	require.Equal(t, http.StatusServiceUnavailable, post(key), "half of the places are one workspace's most")
	go func() { codes <- post("tl_globex_player_other") }()
	<-entered
	close(leave)
	require.Equal(t, http.StatusAccepted, <-codes)
	require.Equal(t, http.StatusAccepted, <-codes)
	b.kafka.hook = nil
	require.Equal(t, http.StatusAccepted, post(key), "places are given back")
}

func TestOtherPathsMethodsAndMissingSettings(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, http.StatusNotFound, b.do(httptest.NewRequest(http.MethodPost, "/v2/events", nil)).Code)
	w := b.do(httptest.NewRequest(http.MethodGet, edge.Path, nil))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, http.MethodPost, w.Header().Get("Allow"))
	b.deps.Settings = source{}
	require.Equal(t, http.StatusServiceUnavailable, b.do(request("application/json", nil)).Code)
}
