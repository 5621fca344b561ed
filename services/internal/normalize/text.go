package normalize

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

const ellipsis = "…"

// Text makes a human-readable text fit to store: control characters are removed (line breaks and tabs become spaces),
// surrounding space is trimmed, invalid UTF-8 becomes U+FFFD, and what exceeds limit characters (Unicode code points)
// is cut at a grapheme boundary and ends in an ellipsis. It reports whether it cut. A text that needs none of this is
// returned as it is, without an allocation.
func Text(raw string, limit int) (string, bool) {
	s := raw
	if !isClean(s) {
		s = clean(s)
	}
	if len(s) <= limit || utf8.RuneCountInString(s) <= limit {
		return s, false
	}
	return cut(s, limit), true
}

func isClean(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f {
			return isCleanUnicode(s)
		}
	}
	return s == "" || s[0] != ' ' && s[len(s)-1] != ' '
}

func isCleanUnicode(s string) bool {
	if !utf8.ValidString(s) || strings.TrimSpace(s) != s {
		return false
	}
	return strings.IndexFunc(s, isControl) < 0
}

func clean(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\r', r == '\t', r == '\u2028', r == '\u2029', r == '\u0085':
			return ' '
		case isControl(r):
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// isControl holds for the C0 and C1 controls, separators that break lines, and the marks that reverse or hide text.
// The joiners that build emoji and Indic letters are kept.
func isControl(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufeff' ||
		'\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069'
}

func cut(s string, limit int) string {
	if limit <= 0 {
		return ""
	}
	end, count, state := 0, 0, -1
	for rest := s; rest != ""; {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		count += utf8.RuneCountInString(cluster)
		if count > limit-1 {
			break
		}
		end += len(cluster)
	}
	return strings.TrimRight(s[:end], " ") + ellipsis
}
