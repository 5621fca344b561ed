package integration

import (
	"errors"
	"fmt"
	"strings"
)

// Problem is one thing wrong with an integration.
type Problem struct {
	// Path names the field, e.g. actions[0].fields[3].expression.
	Path string
	// Line and Column place it within a CEL text or template, from 1; both 0 when the whole field is meant.
	Line, Column int
	// Message says what is wrong and what would be right.
	Message string
}

// String returns "path:line:column: message", without a position that is not known.
func (p Problem) String() string {
	if p.Line == 0 {
		return p.Path + ": " + p.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.Path, p.Line, p.Column, p.Message)
}

// Error holds every problem of an integration, in field order. The caller should show all of them and save nothing.
type Error struct {
	// Integration is the rule's id.
	Integration string
	// Problems is never empty.
	Problems []Problem
}

// Error names the integration and lists every problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return fmt.Sprintf("integration %q is not valid: %s", e.Integration, strings.Join(lines, "; "))
}

// problems collects what Compile finds.
type problems struct{ list []Problem }

func (p *problems) add(path, format string, args ...any) {
	p.list = append(p.list, Problem{Path: path, Message: fmt.Sprintf(format, args...)})
}

// addErr adds a problem of a text, with its place when err is a *positioned.
func (p *problems) addErr(path string, err error) {
	var at *positioned
	if errors.As(err, &at) {
		p.list = append(p.list, Problem{Path: path, Line: at.line, Column: at.column, Message: at.message})
		return
	}
	p.list = append(p.list, Problem{Path: path, Message: err.Error()})
}

// positioned is an error at a place in a text.
type positioned struct {
	line, column int
	message      string
}

func (e *positioned) Error() string { return e.message }
