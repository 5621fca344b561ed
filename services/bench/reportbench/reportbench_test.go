package reportbench_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/bench/reportbench"
)

func TestRunPushesAndMeasures(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-37")
	cfg := reportbench.DefaultConfig()
	cfg.Rows, cfg.Latency = 5000, 0
	var out bytes.Buffer
	r, err := reportbench.Run(t.Context(), cfg, &out)
	require.NoError(t, err)
	require.Positive(t, r.Ratio)
	require.Positive(t, r.PeakMiB)
	require.Less(t, r.UnchangedCalls, 5.0, "calls for 1,000 rows that nothing is written of")
	require.Less(t, r.UnchangedCalls, r.Calls)
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	var last map[string]any
	require.NoError(t, json.Unmarshal(lines[len(lines)-1], &last))
	for _, key := range []string{"name", "value", "unit", "ratio", "against"} {
		require.Contains(t, last, key)
	}
}

func TestRunRefusesWhatItCannotMeasure(t *testing.T) {
	t.Parallel()
	cfg := reportbench.DefaultConfig()
	cfg.Rows = 10
	_, err := reportbench.Run(t.Context(), cfg, nil)
	require.ErrorContains(t, err, "rows")
}
