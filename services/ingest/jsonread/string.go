package jsonread

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// String reads a string. It is a part of the text unless it contains an escape.
func (r *Reader) String() (string, error) {
	if r.Kind() != '"' {
		return "", r.unexpected()
	}
	text := r.text
	start := r.at + 1
	for i := start; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			r.at = i + 1
			return text[start:i], nil
		case c == '\\':
			return r.escaped(start, i)
		case c < ' ':
			r.at = i
			return "", ErrSyntax
		}
	}
	r.at = len(text)
	return "", ErrEnd
}

// escaped reads a string whose first escape is at i.
func (r *Reader) escaped(start, i int) (string, error) {
	text := r.text
	plain := append(make([]byte, 0, 2*(i-start)+16), text[start:i]...)
	for i < len(text) {
		switch c := text[i]; {
		case c == '"':
			r.at = i + 1
			return string(plain), nil
		case c < ' ':
			r.at = i
			return "", ErrSyntax
		case c != '\\':
			plain = append(plain, c)
			i++
		default:
			value, size := unescape(text[i:])
			if size == 0 {
				r.at = i
				if len(text)-i < len(`\u0000\u0000`) {
					return "", r.cutOff(i)
				}
				return "", ErrSyntax
			}
			plain = utf8.AppendRune(plain, value)
			i += size
		}
	}
	r.at = len(text)
	return "", ErrEnd
}

// cutOff tells an escape that the end of the text interrupts from one that is wrong; a wrong guess only words the
// refusal differently.
func (r *Reader) cutOff(i int) error {
	for ; i < len(r.text); i++ {
		if r.text[i] == '"' && r.text[i-1] != '\\' {
			return ErrSyntax
		}
	}
	r.at = len(r.text)
	return ErrEnd
}

// unescape returns the character that an escape at the beginning of s stands for and its length in s, 0 if it is none.
func unescape(s string) (rune, int) {
	if len(s) < 2 {
		return 0, 0
	}
	switch s[1] {
	case '"', '\\', '/':
		return rune(s[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		return unescapeUnicode(s)
	}
	return 0, 0
}

func unescapeUnicode(s string) (rune, int) {
	high, ok := hex4(s)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(high) {
		return high, 6
	}
	// Half a character is not a character: RFC 3629 has no bytes for it.
	if len(s) < 8 || s[6] != '\\' || s[7] != 'u' {
		return 0, 0
	}
	low, ok := hex4(s[6:])
	if !ok {
		return 0, 0
	}
	if pair := utf16.DecodeRune(high, low); pair != utf8.RuneError {
		return pair, 12
	}
	return 0, 0
}

// hex4 reads the four digits of \uXXXX.
func hex4(s string) (rune, bool) {
	if len(s) < 6 {
		return 0, false
	}
	n, err := strconv.ParseUint(s[2:6], 16, 16)
	return rune(n), err == nil
}
