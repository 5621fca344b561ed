package keys_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/sync/keys"
)

// equal reports whether a row's key is equal to what a record holds.
func equal(t *testing.T, r keys.Rule, row string, record any) bool {
	t.Helper()
	key, blank := r.Of(row)
	require.False(t, blank)
	held, ok := r.Record(record)
	if !ok {
		return false
	}
	for _, s := range key.Spellings() {
		if s == held {
			return true
		}
	}
	return false
}

func TestKeysAreComparedByTheirType(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-39")
	const guid = "0f8fad5b-d9cb-469f-a165-70867728950e"
	for _, c := range []struct {
		fieldType  string
		ignoreCase bool
		row        string
		record     any
		want       bool
	}{
		{"email", false, " Taro@Toyo.Example ", "taro@toyo.example", true},
		{"email", false, "ｔａｒｏ＠toyo.example", "taro@toyo.example", true},
		{"email", false, "taro@xn--bcher-kva.example", "taro@xn--bcher-kva.example", true},
		{"email", false, "not an address", "Not An Address", true},
		{"email", false, "taro@toyo.example", "jiro@toyo.example", false},
		{"string", false, "AB-1", "AB-1", true},
		{"string", false, "ab-1", "AB-1", false},
		{"string", true, "ab-1", "AB-1", true},
		{"string", false, " AB-1\u3000", "AB-1", true},
		{"string", false, "ＡＢ－１", "AB-1", true},
		{"string", false, "ＡＢ－１", "ＡＢ－１", true},
		{"string", false, "{" + guid + "}", guid, true},
		{"string", false, guid, "{" + guid + "}", true},
		{"string", false, guid, "0F8FAD5B-D9CB-469F-A165-70867728950E", false},
		{"string", true, guid, "0F8FAD5B-D9CB-469F-A165-70867728950E", true},
		{"string", false, "{" + guid, guid + "0", false},
		{"id", false, "003000000000001", "003000000000001AAA", true},
		{"id", false, "003000000000001AAA", "003000000000001AAA", true},
		{"id", false, "003000000000001AAB", "003000000000001AAA", false},
		{"reference", false, "003000000000001", "003000000000001AAA", true},
		{"double", false, " 12.50", 12.5, true},
		{"double", false, "twelve", 12.0, false},
		{"date", false, "2026-08-10", "2026-08-10", true},
		{"string", false, "x", "", false},
		{"string", false, "x", nil, false},
	} {
		t.Run(fmt.Sprintf("%s %q %v %v", c.fieldType, c.row, c.record, c.ignoreCase), func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, equal(t, keys.NewRule(keys.Field{Type: c.fieldType}, c.ignoreCase, nil), c.row, c.record))
		})
	}
}

func TestWhatHoldsNothingIsBlank(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-27")
	for _, row := range []string{"", " \t", "\u3000", "null", "NULL", " N/A ", "none", "-", "－", "ｎｕｌｌ"} {
		_, blank := keys.NewRule(keys.Field{Type: "string"}, false, nil).Of(row)
		require.True(t, blank, "%q", row)
	}
	chosen := keys.NewRule(keys.Field{Type: "string"}, false, []string{"unknown"})
	_, blank := chosen.Of(" Unknown")
	require.True(t, blank)
	_, blank = chosen.Of("n/a")
	require.False(t, blank, "the push has a list of its own")
}

func TestNoRecordHasTheKeysOfTwoRowsThatCountAsDifferent(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-26")
	texts := []string{
		"a", "A", "ａ", " a", "{a}", "0f8fad5b-d9cb-469f-a165-70867728950e", "{0f8fad5b-d9cb-469f-a165-70867728950e}",
		"0F8FAD5B-D9CB-469F-A165-70867728950E", "taro@toyo.example", "Taro@Toyo.example", "1", "1.0", "003000000000001", "003000000000001AAA",
	}
	for _, fieldType := range []string{"string", "email", "id", "double"} {
		for _, ignore := range []bool{false, true} {
			r := keys.NewRule(keys.Field{Type: fieldType}, ignore, nil)
			for _, a := range texts {
				for _, b := range texts {
					x, _ := r.Of(a)
					y, _ := r.Of(b)
					for _, s := range x.Spellings() {
						if x.Norm != y.Norm {
							require.NotContains(t, y.Spellings(), s, "%s: %q and %q", fieldType, a, b)
						}
					}
				}
			}
		}
	}
}

// row is a row of the model.
type row struct{ key, content string }

// model says by the plain words of the requirement which rows are written.
func model(rows []row, policy keys.Policy) map[int]bool {
	groups := map[string][]int{}
	for i, r := range rows {
		groups[r.key] = append(groups[r.key], i)
	}
	written := map[int]bool{}
	for _, g := range groups {
		same := true
		for _, i := range g {
			same = same && rows[i].content == rows[g[0]].content
		}
		switch {
		case same, policy == keys.First:
			written[g[0]] = true
		case policy == keys.Last:
			written[g[len(g)-1]] = true
		case policy == keys.Aggregate:
			seen, last := map[string]bool{}, 0
			for _, i := range g {
				if !seen[rows[i].content] {
					seen[rows[i].content], last = true, i
				}
			}
			written[last] = true
		}
	}
	return written
}

func TestAtMostOneRowOfAKeyIsWrittenWhateverTheRows(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-26")
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		rows := make([]row, 1+rng.IntN(40))
		for i := range rows {
			rows[i] = row{strconv.Itoa(rng.IntN(12)), strconv.Itoa(rng.IntN(3))}
		}
		for _, policy := range []keys.Policy{keys.None, keys.First, keys.Last, keys.Aggregate} {
			b := keys.NewBuilder(int64(len(rows)))
			for i, r := range rows {
				require.NoError(t, b.Add(int64(i+1), r.key, []byte(r.content)))
			}
			x, want := b.Build(policy), model(rows, policy)
			for i := range rows {
				v := x.Of(int64(i + 1))
				require.Equal(t, want[i], v == keys.Alone || v == keys.Whole, "seed %d policy %d row %d: %d", seed, policy, i+1, v)
			}
		}
	}
}

func TestTheMemoryOfAnIndexIsBoundedByTheNumberOfRowsAlone(t *testing.T) {
	t.Attr("requirement", "WALK-37")
	require.Equal(t, uintptr(1), unsafe.Sizeof(keys.Alone), "one byte a row once it is built")
	const rows = 100_000
	b := keys.NewBuilder(rows)
	content := []byte("content")
	n := int64(0)
	// No allocation for a key: what is held was taken when the builder was made.
	allocated := testing.AllocsPerRun(rows-1, func() {
		n++
		if err := b.Add(n, "a key of some length, as reports have them", content); err != nil {
			t.Error(err)
		}
	})
	require.Zero(t, allocated)
	require.ErrorIs(t, b.Add(rows+1, "one too many", content), keys.ErrTooManyRows)
	x := b.Build(keys.None)
	require.Equal(t, keys.Equal, x.Of(rows))
}

func BenchmarkIndexOfAMillionRows(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		builder := keys.NewBuilder(1_000_000)
		for i := range int64(1_000_000) {
			_ = builder.Add(i+1, "0f8fad5b-d9cb-469f-a165-"+fmt.Sprintf("%012x", i), []byte("1:1"))
		}
		builder.Build(keys.None)
	}
}
