package generator_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/generator"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	g := newGenerator(t, config(1))
	s, err := generator.NewSettings(g.World(), func(workspace string) generator.Access {
		return generator.Access{LoginURL: "http://127.0.0.1/" + workspace, ClientID: "id", ClientSecret: secret.New("s")}
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

func TestScenarioHoldsEveryRecordOfTheWorld(t *testing.T) {
	t.Parallel()
	g := newGenerator(t, config(1))
	out, err := generator.Scenario(g.World(), func(workspace string) generator.Access {
		return generator.Access{ClientID: "client-" + workspace, ClientSecret: secret.New("s")}
	})
	require.NoError(t, err)
	var read struct {
		Orgs []struct {
			Key     string
			Apps    []map[string]string
			Users   []map[string]any
			Queues  []map[string]any
			Records map[string][]map[string]any
		}
	}
	require.NoError(t, yaml.Unmarshal(out, &read))
	require.Len(t, read.Orgs, 3)
	for i, org := range read.Orgs {
		ws := g.World().Workspaces[i]
		require.Equal(t, ws.ID, org.Key)
		require.Equal(t, "throughline@"+ws.ID+".example", org.Apps[0]["run_as"])
		require.Len(t, org.Users, len(ws.Org.Users))
		require.Len(t, org.Queues, len(ws.Org.Queues))
		require.Len(t, org.Records["Account"], len(ws.Org.Accounts))
		require.Len(t, org.Records["Contact"], len(ws.Org.Contacts))
		require.Len(t, org.Records["Lead"], len(ws.Org.Leads))
		require.IsType(t, "", org.Records["Lead"][0]["CreatedDate"])
	}
}
