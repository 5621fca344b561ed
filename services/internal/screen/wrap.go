package screen

import (
	"strings"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/rivo/uniseg"
)

// wrap breaks lines that are wider than width, between words and where Japanese may be broken, and goes on under the line's own
// indent. A word that is wider than that stays whole.
func wrap(s string, width int) string {
	var out []string
	for line := range strings.SplitSeq(s, "\n") {
		out = append(out, wrapLine(line, width)...)
	}
	return strings.Join(out, "\n")
}

func wrapLine(line string, width int) []string {
	rest := strings.TrimLeft(line, " ")
	indent := line[:len(line)-len(rest)]
	var out []string
	current := ""
	for _, part := range parts(rest) {
		if current != "" && text.StringWidthWithoutEscSequences(strings.TrimRight(indent+current+part, " ")) > width {
			out = append(out, indent+strings.TrimRight(current, " "))
			current = ""
		}
		current += part
	}
	return append(out, strings.TrimRight(indent+current, " "))
}

// parts are what a line may be broken between: after spaces, and around wide characters but for those that may not begin or end a
// line (Unicode Standard Annex #14). Not after a hyphen or a slash: ids and addresses stay whole.
func parts(line string) []string {
	var out []string
	for word := range strings.SplitAfterSeq(line, " ") {
		joined, rest := "", word
		for state := -1; rest != ""; {
			var segment string
			segment, rest, _, state = uniseg.FirstLineSegmentInString(rest, state)
			joined += segment
			last, _ := utf8.DecodeLastRuneInString(segment)
			next, _ := utf8.DecodeRuneInString(rest)
			if rest == "" || text.RuneWidth(last) > 1 || text.RuneWidth(next) > 1 {
				out, joined = append(out, joined), ""
			}
		}
	}
	return out
}
