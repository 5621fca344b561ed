package screen

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// none is what stands in place of a table without rows.
const none = "None."

// Row is one row of a table.
type Row = table.Row

// Table is a table for people. It holds what it is given until Render. On a terminal that is too narrow, columns of prose are wrapped between words; where that is
// not enough, since ids are never broken so that they can be copied, every row becomes a block of its own. Elsewhere it is as wide as
// it needs to be. Not for concurrent use.
type Table struct {
	draw   table.Writer
	out    io.Writer
	width  int
	limit  int
	right  int
	title  string
	header Row
	rows   []Row
	footer Row
	note   string
}

// NewTable begins a table on w.
func NewTable(w io.Writer, header ...any) *Table { return newTable(w, Width(w), header...) }

func newTable(w io.Writer, width int, header ...any) *Table {
	t := &Table{draw: table.NewWriter(), out: w, width: width, header: header, note: none}
	t.draw.SetOutputMirror(w)
	t.draw.SetStyle(table.StyleLight)
	if len(header) > 0 {
		t.draw.AppendHeader(header)
	}
	return t
}

// SetTitle sets a line above the header.
func (t *Table) SetTitle(format string, a ...any) {
	t.title = fmt.Sprintf(format, a...)
	t.draw.SetTitle("%s", t.title)
}

// WrapAt wraps columns that are wider than the given width, also where the terminal has room, and where there is none.
func (t *Table) WrapAt(width int) *Table { t.limit = width; return t }

// WhenEmpty sets the line that stands in place of a table without rows.
func (t *Table) WhenEmpty(note string) *Table { t.note = note; return t }

// RightAlign aligns the column of that number, from 1, to the right: figures.
func (t *Table) RightAlign(column int) *Table { t.right = column; return t }

// AppendRow adds a row.
func (t *Table) AppendRow(row Row) {
	t.rows = append(t.rows, row)
	t.draw.AppendRow(row)
}

// AppendRows adds rows.
func (t *Table) AppendRows(rows []Row) {
	for _, row := range rows {
		t.AppendRow(row)
	}
}

// AppendSeparator draws a line below the last row.
func (t *Table) AppendSeparator() { t.draw.AppendSeparator() }

// AppendFooter adds a last row.
func (t *Table) AppendFooter(row Row) {
	t.footer = row
	t.draw.AppendFooter(row)
}

// Render prints the table.
func (t *Table) Render() {
	if len(t.rows) == 0 {
		if t.title != "" {
			fmt.Fprintln(t.out, t.title)
		}
		fmt.Fprintln(t.out, t.note)
		return
	}
	columns, fits := fit(t.measure(), t.width)
	if !fits {
		t.blocks()
		return
	}
	if t.right > 0 {
		columns[t.right-1].Align = text.AlignRight
	}
	t.draw.SetColumnConfigs(columns)
	if t.width > 0 && text.StringWidthWithoutEscSequences(t.title) > t.width-4 {
		t.draw.SetTitle("%s", wrap(t.title, t.width-4))
	}
	t.draw.Render()
}

// span is how wide a column would be, and how narrow it can be without breaking a word.
type span struct{ natural, least int }

func (t *Table) measure() []span {
	var spans []span
	for _, row := range append([]Row{t.header, t.footer}, t.rows...) {
		for i, cell := range row {
			if i == len(spans) {
				spans = append(spans, span{})
			}
			for line := range strings.SplitSeq(fmt.Sprint(cell), "\n") {
				spans[i].natural = max(spans[i].natural, text.StringWidthWithoutEscSequences(line))
				indent := len(line) - len(strings.TrimLeft(line, " "))
				for _, part := range parts(line[indent:]) {
					spans[i].least = max(spans[i].least, indent+text.StringWidthWithoutEscSequences(strings.TrimRight(part, " ")))
				}
			}
		}
	}
	for i := range spans {
		spans[i].least = max(spans[i].least, min(leastWidth, spans[i].natural))
		if t.limit > 0 {
			spans[i].natural = max(spans[i].least, min(spans[i].natural, t.limit))
		}
	}
	return spans
}

// leastWidth is how narrow a column of prose may become.
const leastWidth = 12

// fit shares the width among the columns, taking from the widest first; without a width all have what they want. It reports
// false if words would have to be broken.
func fit(spans []span, width int) ([]table.ColumnConfig, bool) {
	limit := math.MaxInt
	if width > 0 {
		free := width - 3*len(spans) - 1 // a border and two spaces for each, and the last border
		if used(spans, 0) > free {
			return nil, false
		}
		for limit = free; used(spans, limit) > free; {
			limit--
		}
	}
	configs := make([]table.ColumnConfig, len(spans))
	for i, s := range spans {
		configs[i] = table.ColumnConfig{Number: i + 1, WidthMax: s.under(limit), WidthMaxEnforcer: wrap}
	}
	return configs, true
}

// under is the width of a column where none is wider than limit, if it can.
func (s span) under(limit int) int { return max(s.least, min(s.natural, limit)) }

func used(spans []span, limit int) int {
	n := 0
	for _, s := range spans {
		n += s.under(limit)
	}
	return n
}

// blocks prints every row as lines of column and value.
func (t *Table) blocks() {
	if t.title != "" {
		fmt.Fprintln(t.out, t.title)
	}
	names := 0
	for _, name := range t.header {
		names = max(names, text.StringWidthWithoutEscSequences(fmt.Sprint(name)))
	}
	for n, row := range t.rows {
		if n > 0 || t.title != "" {
			fmt.Fprintln(t.out)
		}
		t.block(row, names)
	}
	if len(t.footer) > 0 {
		fmt.Fprintln(t.out)
		t.block(t.footer, names)
	}
}

func (t *Table) block(row Row, names int) {
	for i, cell := range row {
		value := fmt.Sprint(cell)
		if value == "" {
			continue
		}
		name := ""
		if i < len(t.header) {
			name = fmt.Sprint(t.header[i])
		}
		for n, line := range strings.Split(value, "\n") {
			if n > 0 {
				name = ""
			}
			fmt.Fprintf(t.out, "%s  %s\n", Pad(name, names), line)
		}
	}
}
