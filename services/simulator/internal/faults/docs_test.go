package faults

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDocsListTheRoutes: docs/simulator.md lists the routes that rules may name, all of them and no others.
func TestDocsListTheRoutes(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../../../docs/simulator.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(raw), "| resource | route name | notes |")
	require.True(t, found)
	table, _, _ := strings.Cut(rest, "\n\n")
	listed := map[string]bool{"unknown": true, pubsubSubscribe: true} // named below the rules
	name := regexp.MustCompile("`([a-z.]+)`")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " | ")
		if len(cells) < 3 {
			continue
		}
		for _, m := range name.FindAllStringSubmatch(cells[1], -1) {
			listed[m[1]] = true
		}
	}
	for _, route := range Routes {
		require.True(t, listed[route], "%s is not in the table", route)
		delete(listed, route)
	}
	require.Empty(t, listed, "in the table, but no route")
}
