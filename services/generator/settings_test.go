package generator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/generator"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	g := newGenerator(t, config(1))
	s, err := generator.NewSettings(g.World(), func(workspace string) generator.Access {
		return generator.Access{LoginURL: "http://127.0.0.1/" + workspace, ClientID: "id", ClientSecret: "s"}
	})
	require.NoError(t, err)
	require.Len(t, s.Workspaces, 3)
	require.Len(t, s.Connections, 3)
	require.Len(t, s.Integrations, 3+3+1, "globex has no package")
	for _, ws := range s.Workspaces {
		require.NotNil(t, ws.GetVisits().GetSettle(), "no settling delay is not the default one")
		require.Zero(t, ws.GetVisits().GetSettle().AsDuration())
	}
	for _, i := range s.Integrations {
		_, err := integration.Compile(i)
		require.NoError(t, err)
		require.True(t, i.GetEffectiveFrom().AsTime().Before(noon.Add(-config(1).Window)))
		if i.GetWorkspace() == "sakura" && i.GetRecipe() == "document-close-task" {
			require.Equal(t, []configv1.Assignee{
				configv1.Assignee_ASSIGNEE_CONTENT_OWNER, configv1.Assignee_ASSIGNEE_RECORD_OWNER,
			}, i.GetActions()[0].GetAssignment().GetChain())
		}
	}
	off := 0
	for _, c := range s.ContentSettings {
		require.False(t, c.GetTracking())
		off++
	}
	require.NotZero(t, off)
}
