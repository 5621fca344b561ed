package record_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
)

func TestDecodeGivesBackWhatEncodeTook(t *testing.T) {
	t.Parallel()
	value := rapid.OneOf(
		rapid.Just[record.Value](nil),
		rapid.Map(rapid.String(), func(s string) record.Value { return s }),
		rapid.Map(rapid.Bool(), func(b bool) record.Value { return b }),
		rapid.Map(rapid.Int64(), func(n int64) record.Value { return n }),
		rapid.Map(rapid.Float64(), func(n float64) record.Value { return n }),
		rapid.Map(rapid.Int32(), func(n int32) record.Value { return record.Date(n) }),
		rapid.Map(rapid.Int64(), func(n int64) record.Value { return record.DateTime(n) }),
	)
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(value, 0, 20).Draw(t, "in")
		out := make([]record.Value, len(in))
		if err := record.Decode(record.Encode(nil, in), func(slot int, v record.Value) { out[slot] = v }); err != nil {
			t.Fatal(err)
		}
		for i := range in {
			if in[i] != out[i] {
				t.Fatalf("slot %d: %v became %v", i, in[i], out[i])
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(record.Encode(nil, []record.Value{"a", nil, true, int64(-1), 0.5, record.Date(1), record.DateTime(2)}))
	f.Add([]byte{0, 1, 255, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		var values []record.Value
		err := record.Decode(data, func(slot int, v record.Value) {
			if slot < 1000 {
				for len(values) <= slot {
					values = append(values, nil)
				}
				values[slot] = v
			}
		})
		if err != nil {
			require.ErrorIs(t, err, record.ErrCorrupt)
			return
		}
		again := record.Encode(nil, values)
		var back []record.Value
		require.NoError(t, record.Decode(again, func(_ int, v record.Value) { back = append(back, v) }))
		require.True(t, bytes.Equal(again, record.Encode(nil, values)))
	})
}
