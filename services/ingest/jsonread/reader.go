package jsonread

import (
	"errors"
	"strconv"
	"unicode/utf8"
)

// MaxDepth is how deeply objects and arrays may nest; a bound on the reader's stack.
const MaxDepth = 100

// What can be wrong with a text. None of the errors quotes it; Offset tells where.
var (
	ErrSyntax    = errors.New("not valid JSON")
	ErrEnd       = errors.New("the JSON ends too early")
	ErrTrailing  = errors.New("more data follows the JSON value")
	ErrUTF8      = errors.New("not valid UTF-8")
	ErrDuplicate = errors.New("a name occurs twice in one object")
	ErrDepth     = errors.New("nested too deeply")
	ErrRange     = errors.New("a number is out of range")
)

// Reader reads one text. It keeps its memory for the next one; one goroutine uses it at a time. After an error it must
// be Reset.
type Reader struct {
	text  string
	at    int
	depth int
	// names are those of all open objects, innermost last.
	names []string
}

// Reset starts reading text. The strings that the reader returns are parts of it where they need no unescaping.
func (r *Reader) Reset(text string) error {
	r.text, r.at, r.depth, r.names = text, 0, 0, r.names[:0]
	if !utf8.ValidString(text) {
		return ErrUTF8
	}
	return nil
}

// Offset is where the reader stands, in bytes.
func (r *Reader) Offset() int { return r.at }

// Kind skips white space and returns the first byte of what comes next, which tells the kind of a value: '{', '[', '"',
// 't', 'f', 'n', and '0' for every number. At the end it is 0.
func (r *Reader) Kind() byte {
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			r.at++
		case c == '-' || '0' <= c && c <= '9':
			return '0'
		default:
			return c
		}
	}
	return 0
}

// End fails unless only white space is left.
func (r *Reader) End() error {
	if r.Kind() != 0 || r.at < len(r.text) {
		return ErrTrailing
	}
	return nil
}

// Object reads an object. field is called for every name and must read exactly one value; its error ends the reading.
func (r *Reader) Object(field func(name string) error) error {
	if err := r.open('{'); err != nil {
		return err
	}
	seen := names{start: len(r.names)}
	for first := true; r.Kind() != '}'; first = false {
		if !first {
			if err := r.expect(','); err != nil {
				return err
			}
			r.Kind()
		}
		name, err := r.String()
		if err != nil {
			return err
		}
		if !r.remember(&seen, name) {
			return ErrDuplicate
		}
		if r.Kind() != ':' {
			return r.unexpected()
		}
		r.at++
		if err := field(name); err != nil {
			return err
		}
		r.Kind()
	}
	r.names = r.names[:seen.start]
	r.close()
	return nil
}

// Array reads an array. item is called ahead of every item and must read exactly one value; its error ends the reading.
func (r *Reader) Array(item func(index int) error) error {
	if err := r.open('['); err != nil {
		return err
	}
	for i := 0; r.Kind() != ']'; i++ {
		if i > 0 {
			if err := r.expect(','); err != nil {
				return err
			}
		}
		if err := item(i); err != nil {
			return err
		}
		r.Kind()
	}
	r.close()
	return nil
}

// Number reads a number. ErrRange means that it is one, but too large for a float64.
func (r *Reader) Number() (float64, error) {
	r.Kind()
	start := r.at
	if err := r.skipNumber(); err != nil {
		return 0, err
	}
	n, err := strconv.ParseFloat(r.text[start:r.at], 64)
	if err != nil {
		return 0, ErrRange
	}
	return n, nil
}

// Bool reads true or false.
func (r *Reader) Bool() (bool, error) {
	if r.Kind() == 't' {
		return true, r.literal("true")
	}
	return false, r.literal("false")
}

// Null reads null.
func (r *Reader) Null() error {
	r.Kind()
	return r.literal("null")
}

// Skip reads any value and checks it as strictly as if somebody had asked for it.
func (r *Reader) Skip() error {
	switch r.Kind() {
	case '{':
		return r.Object(func(string) error { return r.Skip() })
	case '[':
		return r.Array(func(int) error { return r.Skip() })
	case '"':
		_, err := r.String()
		return err
	case '0':
		return r.skipNumber()
	case 't':
		return r.literal("true")
	case 'f':
		return r.literal("false")
	}
	return r.literal("null")
}

func (r *Reader) open(c byte) error {
	if r.Kind() != c {
		return r.unexpected()
	}
	if r.depth == MaxDepth {
		return ErrDepth
	}
	r.depth++
	r.at++
	return nil
}

func (r *Reader) close() {
	r.depth--
	r.at++
}

func (r *Reader) expect(c byte) error {
	if r.at >= len(r.text) || r.text[r.at] != c {
		return r.unexpected()
	}
	r.at++
	return nil
}

func (r *Reader) unexpected() error {
	if r.at >= len(r.text) {
		return ErrEnd
	}
	return ErrSyntax
}

func (r *Reader) literal(word string) error {
	rest := r.text[r.at:]
	if len(rest) >= len(word) && rest[:len(word)] == word {
		r.at += len(word)
		return nil
	}
	if len(rest) < len(word) && rest == word[:len(rest)] {
		return ErrEnd
	}
	return ErrSyntax
}

// skipNumber reads the grammar of RFC 8259 §6, which is narrower than strconv's.
func (r *Reader) skipNumber() error {
	if r.at < len(r.text) && r.text[r.at] == '-' {
		r.at++
	}
	if r.at < len(r.text) && r.text[r.at] == '0' {
		r.at++
	} else if err := r.digits(); err != nil {
		return err
	}
	if r.at < len(r.text) && r.text[r.at] == '.' {
		r.at++
		if err := r.digits(); err != nil {
			return err
		}
	}
	if r.at < len(r.text) && r.text[r.at]|0x20 == 'e' {
		r.at++
		if r.at < len(r.text) && (r.text[r.at] == '+' || r.text[r.at] == '-') {
			r.at++
		}
		return r.digits()
	}
	return nil
}

func (r *Reader) digits() error {
	start := r.at
	for r.at < len(r.text) && '0' <= r.text[r.at] && r.text[r.at] <= '9' {
		r.at++
	}
	if r.at == start {
		return r.unexpected()
	}
	return nil
}
