package recipe

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"sigs.k8s.io/yaml"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// examples returns the YAML blocks of a page in docs/, as JSON objects.
func examples(t *testing.T, page string) []map[string]json.RawMessage {
	t.Helper()
	raw, err := os.ReadFile("../../../docs/" + page)
	require.NoError(t, err)
	var found []map[string]json.RawMessage
	for _, block := range strings.Split(string(raw), "```yaml\n")[1:] {
		block, _, ok := strings.Cut(block, "```")
		require.True(t, ok)
		var example map[string]json.RawMessage
		require.NoError(t, yaml.UnmarshalStrict([]byte(block), &example), block)
		found = append(found, example)
	}
	require.NotEmpty(t, found)
	return found
}

func compile(t *testing.T, i *configv1.Integration) {
	t.Helper()
	_, err := integration.Compile(i)
	require.NoError(t, err)
}

func TestTheExamplesOfIntegrationsCompile(t *testing.T) {
	t.Parallel()
	for _, example := range examples(t, "integrations.md") {
		require.JSONEq(t, `"Integration"`, string(example["kind"]))
		delete(example, "kind")
		raw, err := json.Marshal(example)
		require.NoError(t, err)
		i := &configv1.Integration{}
		require.NoError(t, protojson.Unmarshal(raw, i))
		compile(t, i)
	}
}

func TestTheExamplesOfRecipesBuild(t *testing.T) {
	t.Parallel()
	written := 0
	for _, example := range examples(t, "recipes.md") {
		raw, err := json.Marshal(example)
		require.NoError(t, err)
		if _, used := example["recipe"]; used {
			name, params, err := Parse(raw)
			require.NoError(t, err)
			i, err := Build(name, params)
			require.NoError(t, err)
			compile(t, i)
			continue
		}
		r, err := parse(raw)
		require.NoError(t, err)
		for _, packaged := range []bool{false, true} {
			compile(t, r.build(Params{Workspace: "acme", ID: "example", Connection: "main", PackageInstalled: packaged}))
		}
		written++
	}
	require.Positive(t, written)
}

// The page names every recipe and parameter there is.
func TestThePageOfRecipesIsComplete(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../../docs/recipes.md")
	require.NoError(t, err)
	for _, r := range List() {
		require.Contains(t, string(raw), "`"+r.Name+"`")
		for _, parameter := range r.Parameters {
			require.Contains(t, string(raw), "| `"+parameter+"` |")
		}
	}
}
