package normalize_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/internal/normalize"
)

func TestTextKeepsWhatPeopleWroteAndRemovesControls(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		in, want string
		limit    int
		cut      bool
	}{
		"plain":                    {"Product tour", "Product tour", 255, false},
		"Japanese, both widths":    {"資料ﾃﾞﾓ（全角）", "資料ﾃﾞﾓ（全角）", 255, false},
		"emoji with joiners":       {"👩‍👩‍👧 and 🇯🇵", "👩‍👩‍👧 and 🇯🇵", 255, false},
		"control characters":       {"a\x00b\x1b[31mc\u0085", "ab[31mc", 255, false},
		"line breaks":              {"one\r\ntwo\tthree ", "one  two three", 255, false},
		"reversed text":            {"invoice\u202efdp.exe", "invoicefdp.exe", 255, false},
		"invalid UTF-8":            {"a\xffb", "a\ufffdb", 255, false},
		"exactly the limit":        {"abcde", "abcde", 5, false},
		"one over":                 {"abcdef", "abcd…", 5, true},
		"cut between graphemes":    {"ab👩‍👩‍👧", "ab…", 5, true},
		"combining mark not split": {"abce\u0301f", "abc…", 5, true},
		"limit zero":               {"abc", "", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, cut := normalize.Text(tc.in, tc.limit)
			require.Equal(t, tc.want, got)
			require.Equal(t, tc.cut, cut)
		})
	}
}

func TestLinksLoseWhatMayNameAPerson(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "LOOM-30")

	require.Equal(t, "https://v.example/w/1?v=2", normalize.ContentLink("https://v.example/w/1?v=2"))
	require.Equal(t, "https://v.example/w/1", normalize.ContentLink("https://v.example/w/1?anon_email=a%40b.example"))
	require.Equal(t, "https://v.example/w/1?v=2&t=3#x", normalize.ContentLink("https://v.example/w/1?v=2&Anon%5FEmail=a&t=3#x"))
	require.Equal(t, "https://v.example/buy", normalize.TargetLink(" https://v.example/buy?email=a%40b.example#a@b.example"))
	require.Equal(t, "https://v.example/buy", normalize.TargetLink("https://taro:secret@v.example/buy"))
	for _, bad := range []string{"", "javascript:alert(1)", "mailto:a@b.example", "https://", "https://x y", "//v.example", "https://?a", "https:///a"} {
		require.Empty(t, normalize.TargetLink(bad), bad)
		require.Empty(t, normalize.ContentLink(bad), bad)
	}
}

func FuzzText(f *testing.F) {
	f.Add("plain", 255)
	f.Add("a\xff\x00\u202e👩‍👩‍👧", 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = min(max(limit, 0), 4096)
		got, _ := normalize.Text(s, limit)
		require.True(t, utf8.ValidString(got))
		require.LessOrEqual(t, utf8.RuneCountInString(got), limit)
		require.Negative(t, strings.IndexFunc(got, unicode.IsControl))
		again, cut := normalize.Text(got, limit)
		require.Equal(t, got, again)
		require.False(t, cut)
	})
}

func FuzzLinks(f *testing.F) {
	f.Add("https://u:p@v.example/w?anon_email=a&b=c#d")
	f.Fuzz(func(t *testing.T, s string) {
		require.NotContains(t, normalize.TargetLink(s), "?")
		link := normalize.ContentLink(s)
		require.Equal(t, link, normalize.ContentLink(link))
		target := normalize.TargetLink(s)
		require.Equal(t, target, normalize.TargetLink(target))
	})
}
