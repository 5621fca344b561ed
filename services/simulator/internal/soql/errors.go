package soql

import (
	"fmt"
	"strings"
)

// Error says what is wrong with a query. Code is a REST errorCode. The text shows the place, as Salesforce does.
type Error struct {
	Code    string
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Malformed is the code for a query that cannot be read.
const Malformed = "MALFORMED_QUERY"

// Unsupported says that the query is or may be right, but uses a part of SOQL that this org does not have.
func (q *Query) Unsupported(pos int, what string) *Error {
	return errorAt(q.text, pos, Malformed, what+" is not supported by this simulator")
}

// Invalid says that something in the query does not fit the org, with a REST errorCode.
func (q *Query) Invalid(pos int, code, format string, args ...any) *Error {
	return errorAt(q.text, pos, code, fmt.Sprintf(format, args...))
}

// snippet is how many characters of the query are shown on either side of an error.
const snippet = 40

func errorAt(text string, pos int, code, message string) *Error {
	pos = min(max(pos, 0), len(text))
	start, end := max(0, pos-snippet), min(len(text), pos+snippet)
	shown := strings.ToValidUTF8(strings.Map(flatten, text[start:end]), "")
	caret := len([]rune(strings.ToValidUTF8(text[start:pos], "")))
	row := strings.Count(text[:pos], "\n") + 1
	column := pos - strings.LastIndexByte(text[:pos], '\n')
	return &Error{
		Code:    code,
		Message: fmt.Sprintf("\n%s\n%s^\nERROR at Row:%d:Column:%d\n%s", shown, strings.Repeat(" ", caret), row, column, message),
	}
}

func flatten(r rune) rune {
	if r < ' ' {
		return ' '
	}
	return r
}
