package normalize

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fold is how addresses are compared that let somebody in: without surrounding space and without regard to case, but no letter
// beyond ASCII becomes one within. Lower case of the Kelvin sign is k and of İ is i, so that who owns one address would pass for
// who owns another. Of anything else than ASCII the spelling counts.
func Fold(address string) string {
	return strings.Map(func(r rune) rune {
		if lower := unicode.ToLower(r); r < utf8.RuneSelf || lower >= utf8.RuneSelf {
			return lower
		}
		return r
	}, strings.TrimSpace(address))
}
