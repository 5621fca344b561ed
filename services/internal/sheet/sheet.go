package sheet

import (
	"encoding/csv"
	"io"
	"strings"
	"unicode/utf8"
)

// starts are the characters that make a cell a formula, in either width, or hide one from the eye. Source: OWASP, "CSV
// Injection".
const starts = "=+-@\t\r\n＝＋－＠"

// Cell returns the text as a spreadsheet shows it and does not calculate it: what could be a formula is given a leading
// apostrophe, also behind spaces.
func Cell(text string) string {
	first, size := utf8.DecodeRuneInString(strings.TrimLeft(text, " \u00a0\u3000"))
	if size > 0 && strings.ContainsRune(starts, first) {
		return "'" + text
	}
	return text
}

// Write writes a header and rows as CSV (RFC 4180).
func Write(w io.Writer, header []string, rows [][]string) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	for _, row := range append([][]string{header}, rows...) {
		cells := make([]string, len(row))
		for i, text := range row {
			cells[i] = Cell(text)
		}
		if err := out.Write(cells); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
