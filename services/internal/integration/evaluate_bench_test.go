package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
	"github.com/throughline-dev/throughline/services/internal/recipe"
)

// BenchmarkEvaluate runs the video row: 23 fields, a CEL condition and a CEL field. To hold: 15 µs per record.
func BenchmarkEvaluate(b *testing.B) {
	for name, in := range map[string]*integration.Input{
		"video-engagement": integrationtest.Video(), "document-close-task": integrationtest.Document(),
	} {
		b.Run(name, func(b *testing.B) {
			i, err := recipe.Build(name, recipe.Params{Workspace: "acme", ID: "rule", Connection: "main", PackageInstalled: true})
			require.NoError(b, err)
			p, err := integration.Compile(i)
			require.NoError(b, err)
			require.Len(b, p.Evaluate(in).Records, 1)
			b.ReportAllocs()
			for b.Loop() {
				p.Evaluate(in)
			}
		})
	}
}

// BenchmarkCompile is what a new version costs once per process.
func BenchmarkCompile(b *testing.B) {
	i, err := recipe.Build("video-engagement", recipe.Params{Workspace: "acme", ID: "rule", Connection: "main", PackageInstalled: true})
	require.NoError(b, err)
	for b.Loop() {
		if _, err := integration.Compile(i); err != nil {
			b.Fatal(err)
		}
	}
}
