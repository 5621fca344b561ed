package sheet_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/internal/sheet"
)

func TestNoCellIsAFormula(t *testing.T) {
	t.Attr("requirement", "WALK-5")
	t.Parallel()
	for text, want := range map[string]string{
		"":                                 "",
		"Acme K.K.":                        "Acme K.K.",
		"株式会社アクメ":                          "株式会社アクメ",
		"a=b":                              "a=b",
		"=1+1":                             "'=1+1",
		`=HYPERLINK("https://evil","x")`:   `'=HYPERLINK("https://evil","x")`,
		"+81 3 0000 0000":                  "'+81 3 0000 0000",
		"-1":                               "'-1",
		"@SUM(A1)":                         "'@SUM(A1)",
		"\t=1":                             "'\t=1",
		"\r=1":                             "'\r=1",
		"  =1":                             "'  =1",
		"\u3000＝１":                         "'\u3000＝１",
		"＠x":                               "'＠x",
		"'=1":                              "'=1",
		"\u00a0":                           "\u00a0",
		"2026-03-01T09:00:00Z":             "2026-03-01T09:00:00Z",
		"https://acme.my.salesforce.com/=": "https://acme.my.salesforce.com/=",
	} {
		require.Equal(t, want, sheet.Cell(text), "%q", text)
	}
}

func TestWhatIsWrittenReadsBack(t *testing.T) {
	t.Attr("requirement", "WALK-5")
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, sheet.Write(&out, []string{"id", "name"}, [][]string{{"main", "Acme, \"K.K.\"\nTokyo"}, {"x", "=cmd|' /C calc'!A0"}}))
	require.True(t, strings.HasPrefix(out.String(), "id,name\r\n"))
	rows, err := csv.NewReader(&out).ReadAll()
	require.NoError(t, err)
	require.Equal(t, [][]string{{"id", "name"}, {"main", "Acme, \"K.K.\"\nTokyo"}, {"x", "'=cmd|' /C calc'!A0"}}, rows)
}

func FuzzCell(f *testing.F) {
	f.Add("=1")
	f.Add(" +1")
	f.Fuzz(func(t *testing.T, text string) {
		cell := sheet.Cell(text)
		require.Contains(t, []string{text, "'" + text}, cell)
		if seen := strings.TrimLeft(cell, " \u00a0\u3000"); seen != "" {
			require.NotContains(t, "=+-@\t\r\n", seen[:1])
		}
	})
}
