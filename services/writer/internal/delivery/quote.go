package delivery

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

// quoted stands in a text of Salesforce's for a value of the record.
const quoted = "[value]"

// unquoted returns the error without the record's own values in its text. Promise 8: validation rules and triggers quote
// names and titles in words of their own, which nobody can tell from other words without knowing the record.
func (p *parcel) unquoted(e *salesforce.Error) *salesforce.Error {
	detail := e.Detail
	for _, v := range p.texts() {
		detail = cutOut(detail, v)
	}
	if detail == e.Detail {
		return e
	}
	clean := *e
	clean.Detail = detail
	return &clean
}

// texts lists the record's texts as they would stand in a message, the longest first, without those too short to mean
// anybody.
func (p *parcel) texts() []string {
	var texts []string
	for _, f := range p.fields {
		text, _ := f.Value.(string)
		text = strings.Join(strings.Fields(text), " ")
		if utf8.RuneCountInString(text) > 1 {
			texts = append(texts, text)
		}
	}
	slices.SortFunc(texts, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return texts
}

// cutOut replaces a value wherever it stands for itself, and not as a part of a longer word. Languages that put no space
// between words have no such parts.
func cutOut(text, value string) string {
	var out strings.Builder
	for {
		i := strings.Index(text, value)
		if i < 0 {
			out.WriteString(text)
			return out.String()
		}
		end := i + len(value)
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[end:])
		first, _ := utf8.DecodeRuneInString(value)
		last, _ := utf8.DecodeLastRuneInString(value)
		if joined(before, first) || joined(last, after) {
			out.WriteString(text[:end])
		} else {
			out.WriteString(text[:i] + quoted)
		}
		text = text[end:]
	}
}

// joined reports whether two neighbouring characters belong to one word.
func joined(a, b rune) bool {
	word := func(r rune) bool {
		return r != utf8.RuneError && (unicode.IsDigit(r) || unicode.In(r, unicode.Latin, unicode.Cyrillic, unicode.Greek))
	}
	return word(a) && word(b)
}
