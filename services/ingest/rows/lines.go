package rows

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// lines reads newline-delimited JSON: {"begin":{"columns":[…]}}, one array or object a row, {"end":{"rows":n}}.
type lines struct {
	in      *bufio.Reader
	cfg     *Config
	columns []string
	at      map[string]int
	rows    int64
}

func newLines(in io.Reader, cfg *Config) *lines {
	return &lines{in: bufio.NewReaderSize(in, cfg.RowBytes+1), cfg: cfg}
}

var errEndlessLine = bad("a line has no end within the limit, or as much of the delivery is empty; send a row a line")

// line returns the next line that is not empty, without its end. A line that is longer than a row may be is read to its end and
// left out. One whose end is not found within SkipBytes, or that comes after as much of nothing, ends the delivery, or some
// kilobytes of gzip would keep a place for hours: promise 7.
func (l *lines) line() (line []byte, tooLong bool, err error) {
	for read := 0; ; {
		line, err = l.in.ReadSlice('\n')
		read += len(line)
		for errors.Is(err, bufio.ErrBufferFull) && read <= l.cfg.SkipBytes {
			tooLong = true
			var more []byte
			more, err = l.in.ReadSlice('\n')
			read += len(more)
		}
		if read > l.cfg.SkipBytes {
			return nil, false, errEndlessLine
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, false, err
		}
		if tooLong {
			return nil, true, nil
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return line, false, nil
		}
		if err != nil {
			return nil, false, io.EOF
		}
	}
}

func (l *lines) begin() ([]string, error) {
	line, tooLong, err := l.line()
	if errors.Is(err, io.EOF) || tooLong {
		return nil, bad(`the first line must be {"begin":{"columns":["…"]}}`)
	}
	if err != nil {
		return nil, err
	}
	var first struct {
		Begin *struct {
			Columns []string `json:"columns"`
		} `json:"begin"`
	}
	if json.Unmarshal(line, &first) != nil || first.Begin == nil {
		return nil, bad(`the first line must be {"begin":{"columns":["…"]}}`)
	}
	l.columns = first.Begin.Columns
	l.at = make(map[string]int, len(l.columns))
	for i, name := range l.columns {
		l.at[name] = i
	}
	return l.columns, nil
}

func (l *lines) next() (*streamv1.Row, bool, error) {
	line, tooLong, err := l.line()
	switch {
	case errors.Is(err, io.EOF):
		return nil, false, bad(`the delivery ends without {"end":{"rows":n}}; nothing of it is pushed; send it again, whole`)
	case err != nil:
		return nil, false, err
	case tooLong:
		return refusedRow(refusedTooLarge), true, nil
	}
	switch line[0] {
	case '[':
		return l.array(line), true, nil
	case '{':
		if rows, ok := endMarker(line); ok {
			l.rows = rows
			if _, _, err := l.line(); !errors.Is(err, io.EOF) {
				return nil, false, bad("something follows the end marker")
			}
			return nil, false, nil
		}
		return l.object(line), true, nil
	default:
		return refusedRow(refusedBadSchema), true, nil
	}
}

func (l *lines) declared() int64 { return l.rows }

// endMarker reads an end marker. No row looks like one: a cell is never an object.
func endMarker(line []byte) (int64, bool) {
	if len(line) > 64 {
		return 0, false
	}
	var last struct {
		End *struct {
			Rows *int64 `json:"rows"`
		} `json:"end"`
	}
	if json.Unmarshal(line, &last) != nil || last.End == nil || last.End.Rows == nil || *last.End.Rows < 0 {
		return 0, false
	}
	return *last.End.Rows, true
}

// array reads a row that has a cell for every column, in their order.
func (l *lines) array(line []byte) *streamv1.Row {
	var values []any
	if decode(line, &values) != nil || len(values) != len(l.columns) {
		return refusedRow(refusedBadSchema)
	}
	row := &streamv1.Row{Cells: make([]*streamv1.Cell, len(values))}
	for i, v := range values {
		c, ok := cell(v)
		if !ok {
			return refusedRow(refusedBadSchema)
		}
		row.Cells[i] = c
	}
	return row
}

// object reads a row by the names of the columns. One that it lacks is empty; one that the delivery lacks is passed over (WALK-9).
func (l *lines) object(line []byte) *streamv1.Row {
	var values map[string]any
	if decode(line, &values) != nil {
		return refusedRow(refusedBadSchema)
	}
	row := &streamv1.Row{Cells: make([]*streamv1.Cell, len(l.columns))}
	for i := range row.Cells {
		row.Cells[i] = &streamv1.Cell{}
	}
	for name, v := range values {
		i, known := l.at[name]
		if !known {
			continue
		}
		c, ok := cell(v)
		if !ok {
			return refusedRow(refusedBadSchema)
		}
		row.Cells[i] = c
	}
	return row
}

func decode(line []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value in a line")
	}
	return nil
}

// exactDigits is how many digits a number may have and still be the same as a double.
const exactDigits = 15

// cell turns a JSON value into a cell. A number that a double would change, such as a long id, stays a text.
func cell(v any) (*streamv1.Cell, bool) {
	switch v := v.(type) {
	case nil:
		return &streamv1.Cell{}, true
	case string:
		return textCell(v), utf8.ValidString(v)
	case bool:
		return &streamv1.Cell{Value: &streamv1.Cell_Flag{Flag: v}}, true
	case json.Number:
		if len(v) > exactDigits {
			return textCell(v.String()), true
		}
		n, err := strconv.ParseFloat(v.String(), 64)
		if err != nil || math.IsInf(n, 0) {
			return nil, false
		}
		return &streamv1.Cell{Value: &streamv1.Cell_Number{Number: n}}, true
	}
	return nil, false
}
