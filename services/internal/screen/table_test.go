package screen

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/stretchr/testify/require"
)

func draw(width int, rows ...Row) string {
	var out bytes.Buffer
	t := newTable(&out, width, "id", "name", "detail")
	t.AppendRows(rows)
	t.Render()
	return out.String()
}

const prose = "The org refused it: 金額が大きすぎます。担当者に確認してください。 Correct the rule and replay what failed before, then look once more."

func TestATableFitsItsTerminal(t *testing.T) {
	t.Parallel()
	row := Row{"0199d5a2-7c1e-7e61-a3c5-2f4f2f0c9d11", "さくら商事 🎉", prose}
	for _, width := range []int{80, 100, 120, 200} {
		out := draw(width, row)
		require.Contains(t, out, "0199d5a2-7c1e-7e61-a3c5-2f4f2f0c9d11", "an id is never broken")
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		for _, line := range lines {
			require.LessOrEqual(t, text.StringWidthWithoutEscSequences(line), width, "%d:\n%s", width, out)
			require.Equal(t, text.StringWidthWithoutEscSequences(lines[0]), text.StringWidthWithoutEscSequences(line), "aligned:\n%s", out)
		}
	}
	require.Contains(t, draw(0, row), prose, "no terminal, no limit")
}

func TestWhatDoesNotFitBecomesBlocks(t *testing.T) {
	t.Parallel()
	require.Equal(t, `id      0199d5a2-7c1e-7e61-a3c5-2f4f2f0c9d11
name    さくら商事
detail  one
          two

id      b
detail  three
`, draw(40, Row{"0199d5a2-7c1e-7e61-a3c5-2f4f2f0c9d11", "さくら商事", "one\n  two"}, Row{"b", "", "three"}))
}

func TestNoRows(t *testing.T) {
	t.Parallel()
	require.Equal(t, "None.\n", draw(0))
	var out bytes.Buffer
	empty := newTable(&out, 80, "id").WhenEmpty("Nothing was given up.")
	empty.SetTitle("100 %% of %s", "acme")
	empty.Render()
	require.Equal(t, "100 % of acme\nNothing was given up.\n", out.String())
}

func TestFit(t *testing.T) {
	t.Parallel()
	require.Equal(t, "abc", Fit("abc", 0))
	require.Equal(t, "さく…", Fit("さくら商事", 5))
	require.Equal(t, "さくら商事", Fit("さくら商事", 10))
	require.Equal(t, "さくら  ", Pad("さくら", 8))
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in    string
		width int
		want  string
	}{
		{"one two", 10, "one two"},
		{"one two", 4, "one\ntwo"},
		{"  PATCH /composite/sobjects: HTTP 200", 28, "  PATCH /composite/sobjects:\n  HTTP 200"},
		{"  PATCH /composite/sobjects: HTTP 200", 26, "  PATCH\n  /composite/sobjects:\n  HTTP 200"},
		{"0199d5a2-7c1e-7e61-a3c5-2f4f2f0c9d11", 10, "0199d5a2-7c1e-7e61-a3c5-2f4f2f0c9d11"},
		{"金額が大きい。確認", 13, "金額が大き\nい。確認"},
		{"金額", 3, "金\n額"},
		{"", 5, ""},
	} {
		require.Equal(t, c.want, wrap(c.in, c.width), c.in)
	}
}
