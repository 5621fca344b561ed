package apply_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/internal/apply"
)

var example = regexp.MustCompile("(?s)```yaml\n(.*?)```")

func TestTheExamplesOfSettingsAreDocuments(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/settings.md")
	require.NoError(t, err)
	examples := example.FindAllSubmatch(text, -1)
	require.NotEmpty(t, examples)
	for _, e := range examples {
		docs, err := apply.Parse("docs/settings.md", e[1])
		require.NoError(t, err)
		require.Len(t, docs, 1)
	}
}
