package bulk

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Line endings and column delimiters as jobs name them.
const (
	LF   = "LF"
	CRLF = "CRLF"
)

var delimiters = map[string]rune{"COMMA": ',', "TAB": '\t', "PIPE": '|', "SEMICOLON": ';', "CARET": '^', "BACKQUOTE": '`'}

// KnownDelimiter reports whether jobs can name this column delimiter.
func KnownDelimiter(name string) bool { return delimiters[name] != 0 }

// sheet is an upload: its columns and rows. Rows that cannot be read have a reason.
type sheet struct {
	header []string
	rows   []row
}

type row struct {
	cells []string
	bad   string
}

// readSheet reads an upload. The reason why the whole job fails is the second result; the rows are there all the same, as
// far as they can be told apart, because they are the job's unprocessed records.
func readSheet(j *Job, data string) (sheet, string) {
	data = strings.TrimPrefix(data, "\ufeff")
	reason := lineEnding(j.LineEnding, data)
	if !utf8.ValidString(data) {
		reason = "ClientInputError : the data is not in UTF-8"
	}
	r := csv.NewReader(strings.NewReader(data))
	r.Comma, r.FieldsPerRecord = delimiters[j.Delimiter], -1
	var sh sheet
	first, err := r.Read()
	switch {
	case err != nil:
		return sh, "InvalidBatch : Failed to parse CSV header: the data has no header row that can be read"
	case utf8.RuneCountInString(data[:r.InputOffset()]) > maxHeader:
		return sh, fmt.Sprintf("InvalidBatch : The header row is longer than %d characters", maxHeader)
	case len(first) > maxColumns:
		return sh, fmt.Sprintf("InvalidBatch : The data has more than %d columns", maxColumns)
	}
	sh.header = first
	for {
		from := r.InputOffset()
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return sh, reason
		}
		sh.rows = append(sh.rows, readRow(len(first), cells, err, data[from:r.InputOffset()]))
	}
}

// readRow judges one row. A row that is no CSV is kept as far as it can be read.
func readRow(columns int, cells []string, err error, raw string) row {
	line := row{cells: cells}
	switch {
	case err != nil:
		line.bad = clientError("a quote is in the wrong place, or a space stands next to a quote")
		line.cells = make([]string, columns)
		line.cells[0] = strings.Trim(raw, "\r\n")
		return line
	case len(cells) != columns:
		line.bad = clientError(fmt.Sprintf("the row has %d columns where the header has %d", len(cells), columns))
		line.cells = make([]string, columns)
		copy(line.cells, cells)
		return line
	case len(raw) > maxRecord && utf8.RuneCountInString(raw) > maxRecord:
		line.bad = clientError(fmt.Sprintf("the record is longer than %d characters", maxRecord))
	}
	for _, cell := range cells {
		if len(cell) > maxField && utf8.RuneCountInString(cell) > maxField {
			line.bad = clientError(fmt.Sprintf("a field is longer than %d characters", maxField))
		}
	}
	return line
}

func clientError(message string) string { return "ClientInputError:" + message + ":--" }

// lineEnding compares the line endings of an upload, also those within quotes, with the job's.
func lineEnding(want, data string) string {
	breaks, pairs := strings.Count(data, "\n"), strings.Count(data, "\r\n")
	if (want == LF && pairs > 0) || (want == CRLF && pairs != breaks) {
		return "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is " + want
	}
	return ""
}

// newWriter writes CSV in the job's own form. As in Salesforce's results every cell is quoted.
func newWriter(j *Job, to *bytes.Buffer) *quoted {
	w := &quoted{to: to, comma: delimiters[j.Delimiter], end: "\n"}
	if j.LineEnding == CRLF {
		w.end = "\r\n"
	}
	return w
}

type quoted struct {
	to    *bytes.Buffer
	comma rune
	end   string
}

func (q *quoted) write(cells ...string) {
	for i, cell := range cells {
		if i > 0 {
			q.to.WriteRune(q.comma)
		}
		cell = strings.ReplaceAll(cell, `"`, `""`)
		if q.end == "\r\n" { // breaks within cells are those of the job too
			cell = strings.ReplaceAll(strings.ReplaceAll(cell, "\r", ""), "\n", q.end)
		}
		q.to.WriteByte('"')
		q.to.WriteString(cell)
		q.to.WriteByte('"')
	}
	q.to.WriteString(q.end)
}
