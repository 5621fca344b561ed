package writerbench_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/bench/writerbench"
)

func TestRunMeasuresRatesCallsAndHealthyOrgs(t *testing.T) {
	t.Parallel()
	cfg := writerbench.DefaultConfig()
	cfg.Latencies = []time.Duration{0, 20 * time.Millisecond}
	cfg.Records, cfg.Trickle, cfg.Steady, cfg.For = 1000, 10, 200, time.Second
	cfg.Orgs, cfg.Dead, cfg.OrgsRate = 6, 3, 60
	var out bytes.Buffer
	res, err := writerbench.Run(t.Context(), cfg, &out)
	require.NoError(t, err)
	require.Len(t, res.Rates, 2)
	require.Zero(t, res.Rates[0].Limit, "nothing limits at 0 ms")
	require.Positive(t, res.Ratio)
	require.Len(t, res.Calls, 3)
	for _, c := range res.Calls {
		require.Positive(t, c.PerThousand, c.Load)
	}
	require.Positive(t, res.Healthy.Ratio)

	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	var last map[string]any
	require.NoError(t, json.Unmarshal(lines[len(lines)-1], &last))
	for _, key := range []string{"name", "value", "unit", "ratio", "against"} {
		require.Contains(t, last, key)
	}
}

func TestRunRefusesWhatItCannotMeasure(t *testing.T) {
	t.Parallel()
	cfg := writerbench.DefaultConfig()
	cfg.Dead = cfg.Orgs
	_, err := writerbench.Run(t.Context(), cfg, nil)
	require.ErrorContains(t, err, "healthy")
}
