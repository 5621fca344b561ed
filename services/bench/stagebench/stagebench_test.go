package stagebench_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/bench/stagebench"
)

func TestRunMeasuresStageAgainstCopy(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	res, err := stagebench.Run(t.Context(), stagebench.Config{Events: 5000, Rounds: 1, Partitions: 2}, &out)
	require.NoError(t, err)
	require.Positive(t, res.Value)
	require.Positive(t, res.Copy)

	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	var last map[string]any
	require.NoError(t, json.Unmarshal(lines[len(lines)-1], &last))
	for _, key := range []string{"name", "value", "unit", "ratio", "against"} {
		require.Contains(t, last, key)
	}
}

func TestRunRefusesTooSmallSamples(t *testing.T) {
	t.Parallel()
	_, err := stagebench.Run(t.Context(), stagebench.Config{Events: 10, Rounds: 1, Partitions: 1}, nil)
	require.ErrorContains(t, err, "1000 events")
}
