package sosl

import (
	"path"
	"strings"
	"unicode"
)

// Word is one word or phrase to search for: tokens that follow each other, in lower case, with * and ? as wildcards.
type Word []string

// reserved are the characters that have a meaning among the words unless a backslash stands before them.
const reserved = `&|!{}[]()^~:+`

// ParseWords reads what stands between the braces of FIND: words, of which all must occur, and phrases in quotes.
func ParseWords(text string) ([]Word, error) {
	var words []Word
	var b strings.Builder
	quoted, escaped := false, false
	var failed error
	finish := func() {
		if plain := b.String(); !quoted && (plain == "AND" || plain == "OR" || plain == "NOT") {
			failed = malformed(plain + " among the words is not supported by this simulator")
		}
		if tokens := tokenize(b.String(), true); len(tokens) > 0 {
			words = append(words, tokens)
		}
		b.Reset()
	}
	for _, r := range text {
		switch {
		case escaped:
			if r == '*' || r == '?' {
				r = ' ' // no token holds it
			}
			b.WriteRune(r)
			escaped = false
		case r == '\\':
			escaped = true
		case r == '"':
			finish()
			quoted = !quoted
		case !quoted && unicode.IsSpace(r):
			finish()
		case !quoted && strings.ContainsRune(reserved, r):
			return nil, malformed("the reserved character " + string(r) + " needs a backslash; operators among the words are not supported by this simulator")
		default:
			b.WriteRune(r)
		}
	}
	finish()
	switch {
	case failed != nil:
		return nil, failed
	case quoted || escaped:
		return nil, malformed("a quotation mark or a backslash among the words is not complete")
	case len(words) == 0:
		return nil, malformed("search term must be longer than one character")
	}
	return words, nil
}

// PlainWords reads words in which no character has a meaning but the wildcards.
func PlainWords(text string) ([]Word, error) {
	var words []Word
	for _, w := range strings.Fields(text) {
		if tokens := tokenize(w, true); len(tokens) > 0 {
			words = append(words, tokens)
		}
	}
	if len(words) == 0 {
		return nil, malformed("search term must be longer than one character")
	}
	return words, nil
}

// tokenize splits at everything that is no letter and no digit: (415) 555-1212 has the tokens 415, 555 and 1212.
func tokenize(text string, wildcards bool) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !(wildcards && (r == '*' || r == '?'))
	})
}

// Matches reports whether every word occurs in one of the texts.
func Matches(words []Word, texts []string) bool {
	tokens := make([][]string, len(texts))
	for i, text := range texts {
		tokens[i] = tokenize(text, false)
	}
	for _, w := range words {
		found := false
		for _, t := range tokens {
			found = found || w.in(t)
		}
		if !found {
			return false
		}
	}
	return true
}

func (w Word) in(tokens []string) bool {
	for from := 0; from+len(w) <= len(tokens); from++ {
		same := true
		for i, pattern := range w {
			ok, err := path.Match(pattern, tokens[from+i])
			same = same && ok && err == nil
		}
		if same {
			return true
		}
	}
	return false
}
