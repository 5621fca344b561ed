package gateway

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// described is what is looked at of the OpenAPI document.
type described struct {
	Paths map[string]map[string]struct {
		OperationID string `json:"operationId"`
		Summary     string
		Parameters  []struct {
			Name, In string
			Required bool
		}
	}
	Definitions map[string]json.RawMessage
}

func TestTheDocumentIsOneThatOthersRead(t *testing.T) {
	t.Parallel()
	var d described
	require.NoError(t, json.Unmarshal(document, &d))
	named := regexp.MustCompile(`\{([^}]+)\}`)
	shapes, operations := map[string]string{}, map[string]bool{}
	for path, methods := range d.Paths {
		shape := named.ReplaceAllString(path, "{}")
		require.Empty(t, shapes[shape], "%s is the same path as %s", path, shapes[shape])
		shapes[shape] = path
		for method, call := range methods {
			require.False(t, operations[call.OperationID], "%s is there twice", call.OperationID)
			operations[call.OperationID] = true
			require.NotEmpty(t, call.Summary, "%s %s", method, path)
			var wanted, have []string
			for _, m := range named.FindAllStringSubmatch(path, -1) {
				wanted = append(wanted, m[1])
			}
			for _, p := range call.Parameters {
				if p.In == "path" {
					require.True(t, p.Required, "%s %s: %s", method, path, p.Name)
					have = append(have, p.Name)
				}
			}
			require.ElementsMatch(t, wanted, have, "%s %s", method, path)
		}
	}
	require.Greater(t, len(operations), 80)
	for _, m := range regexp.MustCompile(`"\$ref":\s*"([^"]+)"`).FindAllStringSubmatch(string(document), -1) {
		require.Contains(t, d.Definitions, strings.TrimPrefix(m[1], "#/definitions/"))
	}
}
