package integration

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// language is one of the languages that texts are generated in.
type language string

const (
	english  language = "en"
	japanese language = "ja"
)

// parseLanguage reads "ja", "en" or a Salesforce locale key such as "en_US"; ok is false for any other language.
func parseLanguage(key string) (l language, ok bool) {
	base, _, _ := strings.Cut(key, "_")
	switch l = language(base); l {
	case english, japanese:
		return l, true
	}
	return english, false
}

func (l language) date(t time.Time) string {
	if l == japanese {
		return t.Format("2006年1月2日")
	}
	return t.Format("January 2, 2006")
}

func (l language) dateTime(t time.Time) string {
	return l.date(t) + t.Format(" 15:04 (MST)")
}

// duration writes whole seconds as hours, minutes and seconds, leaving out what is zero.
func (l language) duration(seconds float64) string {
	total := int64(math.Round(seconds))
	words, gap := [3]string{" h", " min", " s"}, " "
	if l == japanese {
		words, gap = [3]string{"時間", "分", "秒"}, ""
	}
	var b strings.Builder
	for i, n := range [3]int64{total / 3600, total / 60 % 60, total % 60} {
		if n == 0 && (i < 2 || b.Len() > 0) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(gap)
		}
		b.WriteString(strconv.FormatInt(n, 10))
		b.WriteString(words[i])
	}
	return b.String()
}

// formatNumber writes n with at most the given decimals and with thousands grouped, as both languages do.
func formatNumber(n float64, decimals int) string {
	s := strconv.FormatFloat(n, 'f', decimals, 64)
	whole, fraction, _ := strings.Cut(s, ".")
	fraction = strings.TrimRight(fraction, "0")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	if whole == "0" && fraction == "" {
		sign = ""
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction == "" {
		return sign + whole
	}
	return sign + whole + "." + fraction
}
