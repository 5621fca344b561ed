package configbench_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/bench/configbench"
)

func small() configbench.Config {
	cfg := configbench.DefaultConfig()
	cfg.Watchers, cfg.Workspaces, cfg.Integrations, cfg.Changes = 3, 4, 12, 2
	cfg.Outcomes, cfg.Queries, cfg.TokenCalls, cfg.Callers = 4000, 5, 100, 2
	return cfg
}

func TestRunMeasuresFanOutRunLogAndTokens(t *testing.T) {
	t.Parallel()
	cfg := small()
	cfg.Keep = t.TempDir()
	if dsn := os.Getenv("THROUGHLINE_TEST_POSTGRES"); dsn != "" {
		cfg.Postgres = secret.New(dsn)
	}
	for _, filled := range []int{3, 2} { // the second run finds the outcomes
		var out bytes.Buffer
		res, err := configbench.Run(t.Context(), cfg, &out)
		require.NoError(t, err, out.String())
		require.Positive(t, res.Value)
		require.Positive(t, res.Ratio)
		require.Positive(t, res.FanOut.Changes.P99)
		require.Positive(t, res.Tokens.PerSecond)
		require.Len(t, res.RunLogs[0].Queries, 12)
		require.Positive(t, res.RunLogs[0].Recorded)
		require.Positive(t, res.RunLogs[0].Bytes)
		require.Positive(t, res.RunLogs[0].Deleted)
		if cfg.Postgres.IsEmpty() {
			require.Len(t, res.Fill, filled-1)
		}
		lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
		var last map[string]any
		require.NoError(t, json.Unmarshal(lines[len(lines)-1], &last))
		for _, key := range []string{"name", "value", "unit", "ratio", "against"} {
			require.Contains(t, last, key)
		}
	}
}

func TestRunRefusesWhatItCannotMeasure(t *testing.T) {
	t.Parallel()
	cfg := small()
	cfg.Workspaces = cfg.Integrations + 1
	_, err := configbench.Run(t.Context(), cfg, nil)
	require.ErrorContains(t, err, "workspace")
}
