package rows

import (
	"encoding/csv"
	"errors"
	"io"
	"unicode/utf8"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// table reads CSV (RFC 4180) with the names of the columns in its first line. How many rows there are is said in a header of the
// request, for CSV has no end marker.
type table struct {
	in      *csv.Reader
	bound   *boundedRows
	cfg     *Config
	columns int
	rows    int64
}

func newTable(in io.Reader, cfg *Config, rows int64) *table {
	bound := &boundedRows{in: in, most: int64(cfg.LineBytes)}
	t := &table{in: csv.NewReader(bound), bound: bound, cfg: cfg, rows: rows}
	t.in.FieldsPerRecord, t.in.ReuseRecord = -1, true
	return t
}

// boundedRows ends the reading of a row that has no end: the CSV reader would hold all of it. Promise 7.
type boundedRows struct {
	in         io.Reader
	read, most int64
	// until is the position up to which may be read.
	until int64
}

var errEndlessRow = bad("a row of the CSV has no end within the limit; is a quote not closed?")

func (b *boundedRows) Read(p []byte) (int, error) {
	if b.read >= b.until {
		return 0, errEndlessRow
	}
	p = p[:min(int64(len(p)), b.until-b.read)]
	n, err := b.in.Read(p)
	b.read += int64(n)
	return n, err
}

// record reads one record and tells how long it was.
func (t *table) record() (fields []string, size int64, err error) {
	start := t.in.InputOffset()
	t.bound.until = start + t.bound.most
	fields, err = t.in.Read()
	return fields, t.in.InputOffset() - start, err
}

func (t *table) begin() ([]string, error) {
	fields, _, err := t.record()
	if errors.Is(err, io.EOF) {
		return nil, bad("the CSV is empty; its first line names the columns")
	}
	if _, broken := errors.AsType[*csv.ParseError](err); broken {
		return nil, bad("the first line of the CSV cannot be read")
	}
	if err != nil {
		return nil, err
	}
	t.columns = len(fields)
	columns := make([]string, len(fields))
	copy(columns, fields)
	if !utf8.ValidString(columns[0]) {
		return nil, bad("the CSV is not UTF-8")
	}
	const byteOrderMark = "\ufeff"
	if len(columns[0]) > len(byteOrderMark) && columns[0][:len(byteOrderMark)] == byteOrderMark {
		columns[0] = columns[0][len(byteOrderMark):]
	}
	return columns, nil
}

func (t *table) next() (*streamv1.Row, bool, error) {
	fields, size, err := t.record()
	if errors.Is(err, io.EOF) {
		return nil, false, nil
	}
	if _, broken := errors.AsType[*csv.ParseError](err); broken {
		return refusedRow(refusedBadSchema), true, nil
	}
	if err != nil {
		return nil, false, err
	}
	if size > int64(t.cfg.RowBytes) {
		return refusedRow(refusedTooLarge), true, nil
	}
	if len(fields) != t.columns {
		return refusedRow(refusedBadSchema), true, nil
	}
	row := &streamv1.Row{Cells: make([]*streamv1.Cell, len(fields))}
	for i, f := range fields {
		if !utf8.ValidString(f) {
			return refusedRow(refusedBadSchema), true, nil
		}
		row.Cells[i] = textCell(f)
	}
	return row, true, nil
}

func (t *table) declared() int64 { return t.rows }
