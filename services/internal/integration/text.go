package integration

import (
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

const ellipsis = "…"

// units counts a text the way Salesforce counts at its strictest. Whether a field's length means code points or
// UTF-16 units is not established (XC-37), so the larger of the two counts: UTF-16 units.
func units(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}

// fit cuts s to at most limit units, at a grapheme boundary and with an ellipsis that counts as one of them. It
// returns the length s had, or 0 when nothing was cut.
func fit(s string, limit int) (fitted string, cutFrom int) {
	if len(s) <= limit { // UTF-8 never has fewer bytes than UTF-16 has units
		return s, 0
	}
	n := units(s)
	if n <= limit {
		return s, 0
	}
	if limit < 1 {
		return "", n
	}
	return prefix(s, limit-1) + ellipsis, n
}

// prefix returns the longest run of whole grapheme clusters with at most limit units.
func prefix(s string, limit int) string {
	kept, used, state := 0, 0, -1
	rest := s
	for rest != "" {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		used += units(cluster)
		if used > limit {
			break
		}
		kept += len(cluster)
	}
	return s[:kept]
}

// clean makes s safe as the value of a text field: invalid UTF-8 becomes U+FFFD, line breaks and tabs become one
// space, other control characters vanish. With keepLines, line feeds stay; only a rule's author may break lines, so
// that no title can forge one. The second result reports invalid UTF-8.
func clean(s string, keepLines bool) (cleaned string, invalid bool) {
	if isClean(s, keepLines) {
		return s, false
	}
	var b strings.Builder
	b.Grow(len(s))
	space := false
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			invalid = true
			b.WriteRune(r)
		case r == '\n' && keepLines:
			b.WriteByte('\n')
		case isBreak(r):
			if !space {
				b.WriteByte(' ')
			}
			space = true
			continue
		case isControl(r):
			continue
		default:
			b.WriteRune(r)
		}
		space = false
	}
	return b.String(), invalid
}

func isClean(s string, keepLines bool) bool {
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf {
			return isCleanRunes(s[i:], keepLines)
		}
		if (c < 0x20 || c == 0x7F) && (c != '\n' || !keepLines) {
			return false
		}
	}
	return true
}

func isCleanRunes(s string, keepLines bool) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if (isBreak(r) || isControl(r)) && (r != '\n' || !keepLines) {
			return false
		}
	}
	return true
}

// isBreak tells the characters that a reader takes for the end of a line or column.
func isBreak(r rune) bool {
	switch r {
	case '\n', '\r', '\t', '\v', '\f', 0x85, 0x2028, 0x2029:
		return true
	}
	return false
}

// isControl tells the other control characters (Unicode category Cc). Joiners and direction marks are not among
// them: emoji and right-to-left names survive.
func isControl(r rune) bool { return r < 0x20 || (r >= 0x7F && r < 0xA0) }
