package app

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/telemetry"
)

func TestOperatorsChangeTheLogLevelOfOneServiceWhileItRuns(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-27")
	var out bytes.Buffer
	cfg := DefaultConfig()
	cfg.Admin.Listen = "127.0.0.1:0"
	tel, err := telemetry.New(t.Context(), cfg.Telemetry, "test", "v0", telemetry.WithLogWriter(&out))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tel.Close(context.Background())) })
	writer, ingest := tel.For("writer"), tel.For("ingest")
	a, err := newAdmin(t.Context(), &cfg, tel, func() error { return nil })
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.close()) })
	ask := func(method, path, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+a.address()+path, strings.NewReader(body))
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(answer)
	}
	code, answer := ask(http.MethodGet, "/log-level", "")
	require.Equal(t, http.StatusOK, code)
	require.JSONEq(t, `{"process":"INFO","writer":"INFO","ingest":"INFO","admin":"INFO"}`, answer)
	code, answer = ask(http.MethodPut, "/log-level/writer", "debug\n")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, answer, `"writer":"DEBUG"`)
	require.True(t, writer.Enabled(t.Context(), slog.LevelDebug))
	require.False(t, ingest.Enabled(t.Context(), slog.LevelDebug))
	require.Contains(t, out.String(), "the log level was changed")
	for path, body := range map[string]string{"/log-level": "loud", "/log-level/writer": strings.Repeat("x", 100), "/log-level/ingest": ""} {
		code, _ = ask(http.MethodPut, path, body)
		require.Equal(t, http.StatusBadRequest, code, path)
	}
	code, answer = ask(http.MethodPut, "/log-level/nobody", "info")
	require.Equal(t, http.StatusNotFound, code)
	require.Contains(t, answer, "writer")
	code, _ = ask(http.MethodPut, "/log-level", "error")
	require.Equal(t, http.StatusOK, code)
	require.False(t, ingest.Enabled(t.Context(), slog.LevelWarn))
}

// panics is a service whose Run panics with a value that quotes somebody.
type panics struct{}

func (panics) Run(context.Context) error { panic("about Mia Zebrafink <mia@viewer.example>") }
func (panics) Ready() error              { return nil }

func TestAPanickingServiceTellsThePlaceAndNotTheValue(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-27")
	g := group{members: []member{{"loud", panics{}}}, stopTimeout: time.Second, logger: slog.New(slog.DiscardHandler)}
	err := g.run(t.Context())
	require.ErrorContains(t, err, "loud: panicked at")
	require.ErrorContains(t, err, "loglevel_test.go")
	require.NotContains(t, err.Error(), "Zebrafink")
	require.NotErrorIs(t, err, context.Canceled)
}
