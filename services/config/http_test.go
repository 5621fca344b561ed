package config_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/gateway"
)

// httpBundle is a service that speaks HTTP too.
type httpBundle struct{ *testBundle }

func setupHTTP(t *testing.T) *httpBundle {
	t.Helper()
	b := prepare(t)
	b.cfg.HTTP = "127.0.0.1:0"
	b.start(t)
	return &httpBundle{b}
}

// call makes a request as acme's administrator, with headers as name and value, and returns status, headers and the JSON object.
func (b *httpBundle) call(t *testing.T, method, path, body string, headers ...string) (int, http.Header, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+b.svc.HTTPAddr()+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+acmeToken)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var out map[string]any
	require.NoError(t, json.Unmarshal(data, &out), "%s", data)
	return resp.StatusCode, resp.Header, out
}

const acmeRule = `{"name": "Rule", "connection": "main", "enabled": true, "trigger": "TRIGGER_VISIT_CLOSED", "actions": [{
	"name": "task", "object": "Task", "operation": "ACTION_OPERATION_INSERT", "scope": "SCOPE_VISIT", "markerField": "Description",
	"fields": [{"field": "Subject", "constant": {"text": "Hello"}}]}]`

func TestHTTPSpeaksAsGRPCDoes(t *testing.T) {
	t.Parallel()
	b := setupHTTP(t)

	code, _, got := b.call(t, "PUT", "/v1/workspaces/acme", `{"name": "東洋", "language": "ja"}`)
	require.Equal(t, http.StatusOK, code, "%v", got)
	require.Equal(t, "東洋", got["workspace"].(map[string]any)["name"])
	_, err := b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: b.connection("acme")})
	require.NoError(t, err)

	code, _, got = b.call(t, "PUT", "/v1/workspaces/acme/integrations/rule", acmeRule+"}", gateway.ReasonHeader, "%E7%B5%8C%E7%90%86")
	require.Equal(t, http.StatusOK, code, "%v", got)
	require.Equal(t, "1", got["integration"].(map[string]any)["version"], "64-bit numbers are text in JSON")
	code, _, got = b.call(t, "GET", "/v1/workspaces/acme/integrations/rule/versions", "")
	require.Equal(t, http.StatusOK, code, "%v", got)
	require.Equal(t, "経理", got["versions"].([]any)[0].(map[string]any)["reason"])

	code, _, got = b.call(t, "GET", "/v1/workspaces", "")
	require.Equal(t, http.StatusOK, code)
	require.Len(t, got["workspaces"], 1)
}

func TestHTTPErrorsHelp(t *testing.T) {
	t.Parallel()
	b := setupHTTP(t)
	b.workspace(t, "acme")
	code, _, got := b.call(t, "PUT", "/v1/workspaces/acme/integrations/rule", acmeRule+"}")
	require.Equal(t, http.StatusOK, code, "%v", got)

	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		says               string
	}{
		"nobody":          {"GET", "/v1/workspaces", "", []string{"Authorization", ""}, 401, "no valid token"},
		"not theirs":      {"GET", "/v1/workspaces/globex", "", nil, 403, "does not allow"},
		"not there":       {"GET", "/v1/workspaces/acme/integrations/none", "", nil, 404, "no such setting"},
		"no such path":    {"GET", "/v1/nothing", "", nil, 404, "Not Found"},
		"no such field":   {"PUT", "/v1/workspaces/acme/integrations/rule", `{"colour": "red"}`, nil, 400, "colour"},
		"no JSON":         {"PUT", "/v1/workspaces/acme/integrations/rule", `{`, nil, 400, "EOF"},
		"stale":           {"PUT", "/v1/workspaces/acme/integrations/rule", acmeRule + `, "version": 7}`, nil, 409, "version"},
		"too large":       {"PUT", "/v1/workspaces/acme/integrations/rule", strings.Repeat(" ", 5<<20) + "{}", nil, 413, "too large"},
		"no such filter":  {"GET", "/v1/workspaces/acme/outcomes?eventId=e-1&stauts=failed", "", nil, 400, "there is no parameter \"stauts\""},
		"a nested filter": {"GET", "/v1/workspaces/acme/outcomes?eventId=e-1&from=2026-11-01T00:00:00Z", "", nil, 200, ""},
		"another's path":  {"PUT", "/v1/workspaces/globex/integrations/rule", acmeRule + `, "workspace": "acme"}`, nil, 403, "does not allow"},
		"not by metadata": {"GET", "/v1/workspaces", "", []string{"Authorization", "", "Grpc-Metadata-Authorization", "Bearer " + acmeToken}, 401, "no valid token"},
	} {
		t.Run(name, func(t *testing.T) {
			code, header, got := b.call(t, c.method, c.path, c.body, c.headers...)
			require.Equal(t, c.status, code, "%v", got)
			if c.says != "" {
				require.Contains(t, got["message"], c.says)
			}
			require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
			require.Equal(t, "no-store", header.Get("Cache-Control"))
		})
	}

	code, _, got = b.call(t, "PUT", "/v1/workspaces/acme/integrations/rule", `{"name": "x", "connection": "main"}`)
	require.Equal(t, http.StatusBadRequest, code)
	require.Contains(t, got["details"].([]any)[0].(map[string]any)["@type"], "BadRequest")
	require.NotEmpty(t, got["details"].([]any)[0].(map[string]any)["fieldViolations"])
}

// Who guesses tokens is held up by the address that the request came from, whatever it says of itself.
func TestHTTPGuessersAreHeldUpByAddress(t *testing.T) {
	t.Parallel()
	b := prepare(t)
	b.cfg.HTTP = "127.0.0.1:0"
	b.cfg.Access.Failures.Burst = 3
	b.start(t)
	h := &httpBundle{b}
	var code int
	var header http.Header
	for _, from := range []string{"1", "2", "3", "4", "5"} {
		code, header, _ = h.call(t, "GET", "/v1/workspaces", "", "Authorization", "Bearer wrong-token-0123456789",
			"X-Forwarded-For", "192.0.2."+from, "Grpc-Metadata-"+gateway.AddressHeader, "192.0.2."+from)
	}
	require.Equal(t, http.StatusTooManyRequests, code)
	require.NotEmpty(t, header.Get("Retry-After"))
	code, _, _ = h.call(t, "GET", "/v1/workspaces", "")
	require.Equal(t, http.StatusOK, code, "whom the configuration knows is let in")
}

// dataPlane are the calls that are not for people and their programs, and so not there over HTTP.
var dataPlane = map[string]bool{
	"ConfigService_Watch": true, "ConfigService_GetAccessToken": true, "ReportRunService_NoteReportDelivery": true,
	"ReportRunService_ClaimReportRun": true, "ReportRunService_RecordReportRun": true,
}

func TestTheDocumentHasEveryCall(t *testing.T) {
	t.Parallel()
	b := setupHTTP(t)
	code, _, doc := b.call(t, "GET", "/openapi.json", "", "Authorization", "")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "Throughline", doc["info"].(map[string]any)["title"])
	described := map[string]bool{}
	for path, methods := range doc["paths"].(map[string]any) {
		for method, operation := range methods.(map[string]any) {
			id := operation.(map[string]any)["operationId"].(string)
			require.NotEmpty(t, operation.(map[string]any)["summary"], "%s %s", method, path)
			described[id] = true
		}
	}
	for _, method := range b.registered(t) {
		if !strings.HasPrefix(string(method.ParentFile().Package()), "throughline.") {
			continue
		}
		id := string(method.Parent().Name()) + "_" + string(method.Name())
		require.Equal(t, !dataPlane[id], described[id], "say in proto/http.yaml how %s looks over HTTP", id)
	}
}
