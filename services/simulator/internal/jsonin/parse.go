package jsonin

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may nest.
const MaxDepth = 64

// Bounds of the room that is made for an object's members before they are read.
const minWidth, maxWidth = 2, 64

// SyntaxError says what is wrong with a body and where. Line and Column count from 1.
type SyntaxError struct {
	Message      string
	Line, Column int
}

// Error returns the text that the REST API puts into a JSON_PARSER_ERROR.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s at [line:%d, column:%d]", e.Message, e.Line, e.Column)
}

// Position returns line and column, from 1, of an offset in a body.
func Position(body string, offset int) (line, column int) {
	offset = min(offset, len(body))
	before := body[:offset]
	return strings.Count(before, "\n") + 1, offset - strings.LastIndexByte(before, '\n')
}

// Parse reads one JSON value and nothing after it but space. Errors are *SyntaxError.
func Parse(body string) (Value, error) {
	p := &parser{s: body}
	v, err := p.value(0)
	if err != nil {
		return Value{}, err
	}
	p.space()
	if p.i < len(p.s) {
		return Value{}, p.unexpected("expected the end of the body")
	}
	return v, nil
}

type parser struct {
	s string
	i int
	// width is how many members the last object had: the next one of a list has as many.
	width int
}

func (p *parser) fail(pos int, format string, args ...any) error {
	line, column := Position(p.s, pos)
	return &SyntaxError{Message: fmt.Sprintf(format, args...), Line: line, Column: column}
}

func (p *parser) unexpected(want string) error {
	if p.i >= len(p.s) {
		return p.fail(p.i, "Unexpected end-of-input: %s", want)
	}
	r, _ := utf8.DecodeRuneInString(p.s[p.i:])
	return p.fail(p.i, "Unexpected character ('%c' (code %d)): %s", r, r, want)
}

func (p *parser) space() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

func (p *parser) value(depth int) (Value, error) {
	p.space()
	if depth > MaxDepth {
		return Value{}, p.fail(p.i, "Nesting deeper than %d", MaxDepth)
	}
	if p.i >= len(p.s) {
		return Value{}, p.unexpected("expected a value")
	}
	v, err := p.kind(depth)
	v.End = p.i
	return v, err
}

func (p *parser) kind(depth int) (Value, error) {
	pos := p.i
	switch c := p.s[p.i]; {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		text, err := p.text()
		return Value{Kind: String, Pos: pos, Text: text}, err
	case c == '-' || (c >= '0' && c <= '9'):
		return p.number()
	}
	return p.literal()
}

func (p *parser) literal() (Value, error) {
	pos := p.i
	switch rest := p.s[pos:]; {
	case strings.HasPrefix(rest, "null"):
		p.i += len("null")
		return Value{Kind: Null, Pos: pos}, nil
	case strings.HasPrefix(rest, "true"):
		p.i += len("true")
		return Value{Kind: Bool, True: true, Pos: pos}, nil
	case strings.HasPrefix(rest, "false"):
		p.i += len("false")
		return Value{Kind: Bool, Pos: pos}, nil
	}
	return Value{}, p.unexpected("expected a valid value (number, String, array, object, 'true', 'false' or 'null')")
}

func (p *parser) object(depth int) (Value, error) {
	v := Value{Kind: Object, Pos: p.i}
	p.i++
	for {
		p.space()
		if p.i < len(p.s) && p.s[p.i] == '}' && len(v.Members) == 0 {
			p.i++
			return v, nil
		}
		if p.i >= len(p.s) || p.s[p.i] != '"' {
			return v, p.unexpected("was expecting double-quote to start field name")
		}
		m, err := p.member(depth)
		if err != nil {
			return v, err
		}
		if v.Members == nil {
			v.Members = make([]Member, 0, max(p.width, minWidth))
		}
		v.Members = append(v.Members, m)
		if done, err := p.separator('}'); done || err != nil {
			p.width = min(len(v.Members), maxWidth)
			return v, err
		}
	}
}

func (p *parser) member(depth int) (Member, error) {
	key, err := p.text()
	if err != nil {
		return Member{}, err
	}
	p.space()
	if p.i >= len(p.s) || p.s[p.i] != ':' {
		return Member{}, p.unexpected("was expecting a colon to separate field name and value")
	}
	p.i++
	v, err := p.value(depth + 1)
	return Member{Key: key, Value: v}, err
}

func (p *parser) array(depth int) (Value, error) {
	v := Value{Kind: Array, Pos: p.i}
	p.i++
	p.space()
	if p.i < len(p.s) && p.s[p.i] == ']' {
		p.i++
		return v, nil
	}
	for {
		item, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.Members = append(v.Members, Member{Value: item})
		if done, err := p.separator(']'); done || err != nil {
			return v, err
		}
	}
}

// separator reads a comma, or the closing character and then reports true.
func (p *parser) separator(closing byte) (bool, error) {
	p.space()
	if p.i < len(p.s) {
		switch p.s[p.i] {
		case ',':
			p.i++
			return false, nil
		case closing:
			p.i++
			return true, nil
		}
	}
	return false, p.unexpected(fmt.Sprintf("was expecting comma or '%c'", closing))
}

func (p *parser) number() (Value, error) {
	start := p.i
	if p.s[p.i] == '-' {
		p.i++
	}
	whole := p.digits()
	if whole == 0 || (whole > 1 && p.s[p.i-whole] == '0') {
		return Value{}, p.fail(start, "Invalid numeric value")
	}
	if p.i < len(p.s) && p.s[p.i] == '.' {
		p.i++
		if p.digits() == 0 {
			return Value{}, p.fail(start, "Invalid numeric value")
		}
	}
	if p.i < len(p.s) && (p.s[p.i] == 'e' || p.s[p.i] == 'E') {
		p.i++
		if p.i < len(p.s) && (p.s[p.i] == '+' || p.s[p.i] == '-') {
			p.i++
		}
		if p.digits() == 0 {
			return Value{}, p.fail(start, "Invalid numeric value")
		}
	}
	return Value{Kind: Number, Pos: start, Text: p.s[start:p.i]}, nil
}

func (p *parser) digits() int {
	start := p.i
	for p.i < len(p.s) && p.s[p.i] >= '0' && p.s[p.i] <= '9' {
		p.i++
	}
	return p.i - start
}

// text reads a string. Without escapes it is a part of the body, with them a new string.
func (p *parser) text() (string, error) {
	p.i++
	start := p.i
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case c == '"':
			s := p.s[start:p.i]
			p.i++
			return valid(s), nil
		case c == '\\':
			return p.escaped(start)
		case c < ' ':
			return "", p.fail(p.i, "Illegal unquoted character ((CTRL-CHAR, code %d)): has to be escaped using backslash", c)
		default:
			p.i++
		}
	}
	return "", p.unexpected("was expecting closing quote for a string value")
}

func (p *parser) escaped(start int) (string, error) {
	var b strings.Builder
	b.WriteString(p.s[start:p.i])
	for p.i < len(p.s) {
		c := p.s[p.i]
		p.i++
		switch {
		case c == '"':
			return valid(b.String()), nil
		case c < ' ':
			return "", p.fail(p.i-1, "Illegal unquoted character ((CTRL-CHAR, code %d)): has to be escaped using backslash", c)
		case c != '\\':
			b.WriteByte(c)
		default:
			if err := p.escape(&b); err != nil {
				return "", err
			}
		}
	}
	return "", p.unexpected("was expecting closing quote for a string value")
}

func (p *parser) escape(b *strings.Builder) error {
	if p.i >= len(p.s) {
		return p.unexpected("in character escape sequence")
	}
	c := p.s[p.i]
	p.i++
	if at := strings.IndexByte(`"\/bfnrt`, c); at >= 0 {
		b.WriteByte("\"\\/\b\f\n\r\t"[at])
		return nil
	}
	if c != 'u' {
		p.i--
		return p.unexpected("unrecognized character escape")
	}
	r, ok := p.hex4()
	if !ok {
		return p.fail(p.i, "expected a hex-digit for character escape sequence")
	}
	if utf16.IsSurrogate(r) && strings.HasPrefix(p.s[p.i:], `\u`) {
		mark := p.i
		p.i += 2
		low, ok := p.hex4()
		if both := utf16.DecodeRune(r, low); ok && both != utf8.RuneError {
			b.WriteRune(both)
			return nil
		}
		p.i = mark
	}
	b.WriteRune(r)
	return nil
}

func (p *parser) hex4() (rune, bool) {
	if p.i+4 > len(p.s) {
		return 0, false
	}
	var r rune
	for _, c := range []byte(p.s[p.i : p.i+4]) {
		at := strings.IndexByte("0123456789abcdef", c|0x20)
		if at < 0 || (c < '0') {
			return 0, false
		}
		r = r<<4 | rune(at)
	}
	p.i += 4
	return r, true
}

func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s)) // one U+FFFD per bad byte
}
