package integration

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// awkward draws texts of what breaks naive cutting: surrogate pairs, joined emoji, combining marks, flags, half-width
// kana with sound marks, right-to-left names, control characters.
func awkward() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		pieces := rapid.SliceOfN(rapid.OneOf(
			rapid.SampledFrom([]string{
				"👨‍👩‍👧‍👦", "🇯🇵", "e\u0301", "ｶﾞ", "が", "か\u3099", "한", "नि", "👍🏽", "עִבְרִית", "長", "a", " ", "“", "\n", "\r\n", "\t",
				"\x00", "\x1b", "\x7f", "\u0085", "\u2028", "\u200d", "\ufeff", "{", "}", "=", "<b>",
			}),
			rapid.String(),
		), 0, 40).Draw(t, "pieces")
		return strings.Join(pieces, "")
	})
}

func TestFit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := awkward().Draw(t, "s")
		limit := rapid.IntRange(1, 60).Draw(t, "limit")
		cut, from := fit(s, limit)
		utf16Length := len(utf16.Encode([]rune(s)))
		if utf16Length <= limit {
			require.Equal(t, s, cut)
			require.Zero(t, from)
			return
		}
		// The stricter of the two counts holds, the cut says so, and no cluster is torn.
		require.Equal(t, utf16Length, from)
		require.LessOrEqual(t, len(utf16.Encode([]rune(cut))), limit)
		require.LessOrEqual(t, utf8.RuneCountInString(cut), limit)
		kept, found := strings.CutSuffix(cut, ellipsis)
		require.True(t, found)
		require.True(t, strings.HasPrefix(s, kept))
		boundary := 0
		for g := uniseg.NewGraphemes(s); boundary < len(kept) && g.Next(); {
			_, boundary = g.Positions()
		}
		require.Equal(t, len(kept), boundary)
	})
}

func TestFitCutsBetweenCharactersThatPeopleSee(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s     string
		limit int
		want  string
	}{
		{"abcdef", 6, "abcdef"},
		{"abcdefg", 6, "abcde…"},
		{"👨‍👩‍👧‍👦👨‍👩‍👧‍👦", 12, "👨‍👩‍👧‍👦…"}, // a family is 11 units
		{"👨‍👩‍👧‍👦x", 11, "…"},
		{"ae\u0301o", 3, "a…"},
		{"ae\u0301oo", 4, "ae\u0301…"},
		{"🇯🇵🇯🇵", 5, "🇯🇵…"},
		{"資料の題名", 4, "資料の…"},
		{"x", 0, ""},
	} {
		got, _ := fit(c.s, c.limit)
		require.Equal(t, c.want, got, c.s)
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := awkward().Draw(t, "s") + rapid.SampledFrom([]string{"", "\xff", "\xed\xa0\x80"}).Draw(t, "broken")
		keep := rapid.Bool().Draw(t, "keep lines")
		cleaned, invalid := clean(s, keep)
		require.True(t, utf8.ValidString(cleaned))
		require.Equal(t, !utf8.ValidString(s), invalid)
		for _, r := range cleaned {
			require.False(t, unicode.IsControl(r) && (r != '\n' || !keep), "%q", r)
		}
		again, _ := clean(cleaned, keep)
		require.Equal(t, cleaned, again)
		// Nothing but control characters and broken bytes is touched.
		visible := func(s string) string {
			return strings.Map(func(r rune) rune {
				if isBreak(r) || isControl(r) || r == ' ' {
					return -1
				}
				return r
			}, strings.ToValidUTF8(s, "\uFFFD"))
		}
		if !invalid {
			require.Equal(t, visible(s), visible(cleaned))
		}
	})
}

func TestCleanKeepsWhatPeopleWrote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"ﾊﾝｶｸと全角ＡＢＣ":     "ﾊﾝｶｸと全角ＡＢＣ",
		"a\r\nb\t\tc":    "a b c",
		"bell\x07 end":   "bell end",
		"👨‍👩‍👧 עִבְרִית": "👨‍👩‍👧 עִבְרִית",
		"=1+1":           "=1+1",
	} {
		got, invalid := clean(in, false)
		require.Equal(t, want, got)
		require.False(t, invalid)
	}
}
