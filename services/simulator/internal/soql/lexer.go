package soql

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

type tokenKind uint8

const (
	endToken tokenKind = iota
	nameToken
	stringToken
	numberToken
	dateToken
	dateTimeToken
	symbolToken
)

type token struct {
	kind tokenKind
	text string
	pos  int
}

// is reports whether the token is the keyword or symbol.
func (t token) is(word string) bool {
	return (t.kind == nameToken || t.kind == symbolToken) && strings.EqualFold(t.text, word)
}

type lexer struct {
	s string
	i int
}

func (l *lexer) fail(pos int, message string) error { return errorAt(l.s, pos, Malformed, message) }

// next reads one token.
func (l *lexer) next() (token, error) {
	for l.i < len(l.s) && strings.IndexByte(" \t\r\n", l.s[l.i]) >= 0 {
		l.i++
	}
	if l.i >= len(l.s) {
		return token{kind: endToken, pos: l.i}, nil
	}
	start := l.i
	switch c := l.s[l.i]; {
	case c == '\'':
		return l.quoted()
	case letter(c):
		for l.i < len(l.s) && (letter(l.s[l.i]) || decimal(l.s[l.i])) {
			l.i++
		}
		return token{nameToken, l.s[start:l.i], start}, nil
	case decimal(c) || ((c == '-' || c == '+') && l.i+1 < len(l.s) && decimal(l.s[l.i+1])):
		return l.numeric()
	case strings.IndexByte("(),.=:", c) >= 0:
		l.i++
	case c == '<' || c == '>' || c == '!':
		l.i++
		if l.i < len(l.s) && (l.s[l.i] == '=' || (c == '<' && l.s[l.i] == '>')) {
			l.i++
		}
		if l.s[start:l.i] == "!" {
			return token{}, l.fail(start, "unexpected token: '!'")
		}
	default:
		r, _ := utf8.DecodeRuneInString(l.s[l.i:])
		return token{}, l.fail(start, "unexpected char: "+strconv.QuoteRune(r))
	}
	return token{symbolToken, l.s[start:l.i], start}, nil
}

func letter(c byte) bool  { return c == '_' || (c|0x20 >= 'a' && c|0x20 <= 'z') }
func decimal(c byte) bool { return c >= '0' && c <= '9' }

// numeric reads a number, a date or a datetime.
func (l *lexer) numeric() (token, error) {
	start := l.i
	l.i++
	for l.i < len(l.s) && (decimal(l.s[l.i]) || strings.IndexByte(".-+:TZtze", l.s[l.i]) >= 0) {
		l.i++
	}
	text := l.s[start:l.i]
	switch {
	case len(text) == 10 && text[4] == '-':
		return token{dateToken, text, start}, nil
	case len(text) > 10 && (text[10] == 'T' || text[10] == 't'):
		return token{dateTimeToken, strings.ToUpper(text), start}, nil
	}
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		return token{}, l.fail(start, "unexpected token: '"+text+"'")
	}
	return token{numberToken, text, start}, nil
}

// EscapeMark stands before an escaped wildcard in the text of a LIKE pattern. It is no valid UTF-8, so no query holds it.
const EscapeMark = '\xff'

// quoted reads a string. LIKE wildcards that are escaped get a mark, so that the pattern can tell.
func (l *lexer) quoted() (token, error) {
	start := l.i
	l.i++
	plain := l.i
	for l.i < len(l.s) && l.s[l.i] != '\'' && l.s[l.i] != '\\' {
		l.i++
	}
	if l.i < len(l.s) && l.s[l.i] == '\'' {
		l.i++
		return token{stringToken, l.s[plain : l.i-1], start}, nil
	}
	var b strings.Builder
	b.WriteString(l.s[plain:l.i])
	for l.i < len(l.s) {
		c := l.s[l.i]
		l.i++
		switch c {
		case '\'':
			return token{stringToken, b.String(), start}, nil
		case '\\':
			if err := l.escape(&b); err != nil {
				return token{}, err
			}
		default:
			b.WriteByte(c)
		}
	}
	return token{}, l.fail(start, "unterminated string literal")
}

func (l *lexer) escape(b *strings.Builder) error {
	if l.i >= len(l.s) {
		return l.fail(l.i-1, "unterminated string literal")
	}
	c := l.s[l.i]
	l.i++
	if at := strings.IndexByte(`nNrRtTbBfF"'\`, c); at >= 0 {
		b.WriteByte("\n\n\r\r\t\t\b\b\f\f\"'\\"[at])
		return nil
	}
	switch c {
	case '_', '%':
		b.WriteByte(EscapeMark)
		b.WriteByte(c)
		return nil
	case 'u', 'U':
		if l.i+4 <= len(l.s) {
			if n, err := strconv.ParseUint(l.s[l.i:l.i+4], 16, 32); err == nil {
				b.WriteRune(rune(n))
				l.i += 4
				return nil
			}
		}
	}
	return l.fail(l.i-2, `Illegal character sequence '\`+string(rune(c))+`' in string literal`)
}
