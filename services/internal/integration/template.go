package integration

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// template is a parsed text with placeholders, in one language.
type template struct{ segments []segment }

// segment is a literal, or a placeholder when read is set.
type segment struct {
	literal string
	read    reader
	yield   bool
}

// parseTemplate parses a text: {placeholder|format}, {{ and }} for braces. The error is a *positioned.
func parseTemplate(s string) (*template, error) {
	p := templateParser{rest: s, line: 1, column: 1}
	for p.rest != "" {
		if err := p.step(); err != nil {
			return nil, err
		}
	}
	p.flush()
	return &template{segments: p.segments}, nil
}

type templateParser struct {
	rest         string
	line, column int
	literal      strings.Builder
	segments     []segment
}

// step consumes one literal character, escaped brace or placeholder.
func (p *templateParser) step() error {
	switch {
	case strings.HasPrefix(p.rest, "{{"), strings.HasPrefix(p.rest, "}}"):
		p.literal.WriteByte(p.rest[0])
		p.advance(2)
	case p.rest[0] == '}':
		return p.fail("a closing brace without an opening one; write }} for a brace")
	case p.rest[0] == '{':
		return p.placeholder()
	default:
		_, size := utf8.DecodeRuneInString(p.rest)
		p.literal.WriteString(p.rest[:size])
		p.advance(size)
	}
	return nil
}

func (p *templateParser) placeholder() error {
	end := strings.IndexAny(p.rest[1:], "{}\n")
	if end < 0 || p.rest[1+end] != '}' {
		return p.fail("a placeholder that does not end; write {{ for a brace")
	}
	compiled, err := compileSource(p.rest[1:1+end], true)
	if err != nil {
		return p.fail("%s", err)
	}
	p.flush()
	p.segments = append(p.segments, segment{read: compiled.read, yield: compiled.yield})
	p.advance(end + 2)
	return nil
}

func (p *templateParser) flush() {
	if p.literal.Len() > 0 {
		literal, _ := clean(p.literal.String(), true)
		p.segments = append(p.segments, segment{literal: literal})
		p.literal.Reset()
	}
}

// advance moves over n bytes and keeps count of lines and columns.
func (p *templateParser) advance(n int) {
	for _, r := range p.rest[:n] {
		p.column++
		if r == '\n' {
			p.line, p.column = p.line+1, 1
		}
	}
	p.rest = p.rest[n:]
}

func (p *templateParser) fail(format string, args ...any) error {
	return &positioned{line: p.line, column: p.column, message: fmt.Sprintf(format, args...)}
}

// render writes the text for one input, at most limit units long. What yields is cut first; if that is not enough,
// the end of the text goes. cutFrom is the length before cutting, 0 when nothing was cut.
func (t *template) render(f *frame, limit int) (rendered string, cutFrom int) {
	parts, bytes := f.parts[:0], 0
	for i := range t.segments {
		part := t.segments[i].literal
		if t.segments[i].read != nil {
			part = f.clean(t.segments[i].read(f).asText(f), false)
		}
		parts = append(parts, part)
		bytes += len(part)
	}
	f.parts = parts
	if bytes <= limit {
		return strings.Join(parts, ""), 0
	}
	total := 0
	for _, part := range parts {
		total += units(part)
	}
	if total <= limit {
		return strings.Join(parts, ""), 0
	}
	t.yieldTo(limit, total, parts)
	rendered, _ = fit(strings.Join(parts, ""), limit)
	return rendered, total
}

// yieldTo cuts the yielding parts, first to last, until the total is within the limit or nothing is left to cut.
func (t *template) yieldTo(limit, total int, parts []string) {
	for i := range t.segments {
		if total <= limit {
			return
		}
		if !t.segments[i].yield {
			continue
		}
		had := units(parts[i])
		parts[i], _ = fit(parts[i], max(had-(total-limit), 1))
		total -= had - units(parts[i])
	}
}
