package record_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
)

func TestAppendJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 8, 10, 9, 0, 0, 987_000_000, time.FixedZone("JST", 9*3600))
	for want, v := range map[string]record.Value{
		`null`:                           nil,
		`"a\"b\\c\n\u0001é"`:             "a\"b\\c\n\x01é",
		`true`:                           true,
		`7`:                              int64(7),
		`7.0`:                            float64(7),
		`7.25`:                           7.25,
		`"2026-08-10"`:                   record.NewDate(at),
		`"2026-08-10T00:00:00.000+0000"`: record.NewDateTime(at),
	} {
		require.Equal(t, want, string(record.AppendJSON(nil, v)))
	}
}

func TestAppendStringIsReadBackUnchanged(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.String().Draw(t, "in")
		var out string
		if err := json.Unmarshal(record.AppendString(nil, in), &out); err != nil || out != in {
			t.Fatalf("%q came back as %q: %v", in, out, err)
		}
	})
}

func TestParseDateTime(t *testing.T) {
	t.Parallel()
	want := record.NewDateTime(time.Date(2026, 8, 10, 9, 0, 0, 0, time.UTC))
	for _, s := range []string{"2026-08-10T09:00:00Z", "2026-08-10T18:00:00+09:00", "2026-08-10T18:00:00.000+0900", "2026-08-10T09:00:00.999Z"} {
		got, ok := record.ParseDateTime(s)
		require.True(t, ok, s)
		require.Equal(t, want, got, s)
	}
	for _, s := range []string{"", "yesterday", "2026-13-01T00:00:00Z", "2026-08-10T09:00:00"} {
		_, ok := record.ParseDateTime(s)
		require.False(t, ok, s)
	}
}

func TestCompareIgnoresCaseAndPutsNullFirst(t *testing.T) {
	t.Parallel()
	require.Zero(t, record.Compare("ACME Ünï", "acme üNÏ"))
	require.Negative(t, record.Compare(nil, ""))
	require.Negative(t, record.Compare(int64(2), 2.5))
	require.Positive(t, record.Compare(true, false))
}
