package writerbench_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/bench/writerbench"
	"github.com/throughline-dev/throughline/services/simulator"
)

func TestAFileIsDrainedIntoAnOrg(t *testing.T) {
	t.Parallel()
	sim, err := simulator.New(simulator.DefaultConfig(), simulator.Deps{})
	require.NoError(t, err)
	require.NoError(t, sim.Seed(t.Context(), &simulator.Scenario{Orgs: []simulator.Org{{
		Key: "acme", Package: true, Apps: []simulator.App{{ClientID: "app", ClientSecret: "secret", RunAs: "bench@acme.example"}},
		Users: []simulator.User{{Username: "bench@acme.example", LastName: "Bench"}},
	}}}))
	server := httptest.NewServer(sim.Handler())
	t.Cleanup(server.Close)
	var lines strings.Builder
	for i := range 450 {
		fmt.Fprintf(&lines, "{\"External_Id__c\":\"row%d\",\"Title__c\":\"A title\",\"View_Count__c\":%d}\n", i, i)
	}
	file := filepath.Join(t.TempDir(), "records.ndjson")
	require.NoError(t, os.WriteFile(file, []byte(lines.String()), 0o600))

	cfg := writerbench.DefaultDrainConfig()
	cfg.LoginURL, cfg.ClientID, cfg.ClientSecret, cfg.Records = server.URL+"/orgs/acme", "app", secret.New("secret"), file
	cfg.CollectionsOnly = true
	got, err := writerbench.Drain(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, 450, got.Records)
	require.Positive(t, got.Seconds)
	var exported strings.Builder
	require.NoError(t, sim.Export(t.Context(), &exported, simulator.Selection{Org: "acme", Object: "Engagement__c"}))
	require.Equal(t, 450, strings.Count(exported.String(), `"Title__c":"A title"`))

	require.NoError(t, os.WriteFile(file, []byte("{\"Title__c\":\"no key\"}\n"), 0o600))
	_, err = writerbench.Drain(t.Context(), cfg)
	require.ErrorContains(t, err, "line 1: the record has no External_Id__c")
	cfg.Records = ""
	_, err = writerbench.Drain(t.Context(), cfg)
	require.ErrorContains(t, err, "--records")
}
