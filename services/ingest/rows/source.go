package rows

import (
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// source takes a body apart.
type source interface {
	// begin reads the columns.
	begin() ([]string, error)
	// next reads a row; more is false after the last one.
	next() (row *streamv1.Row, more bool, err error)
	// declared is how many rows the sender says there are; known once next has returned false.
	declared() int64
}

// Refusals of single rows, as Row.refused has them.
const (
	refusedTooLarge  = "TOO_LARGE"
	refusedBadSchema = "BAD_SCHEMA"
)

func refusedRow(reason string) *streamv1.Row { return &streamv1.Row{Refused: reason} }

func textCell(s string) *streamv1.Cell {
	if s == "" {
		return &streamv1.Cell{}
	}
	return &streamv1.Cell{Value: &streamv1.Cell_Text{Text: s}}
}

// badDelivery is why a body cannot be taken apart into rows.
type badDelivery struct{ detail string }

func (e *badDelivery) Error() string { return e.detail }

func bad(detail string) error { return &badDelivery{detail} }

// checkColumns holds the header against the rules of a report (WALK-8).
func checkColumns(columns []string, most int) error {
	if len(columns) == 0 {
		return bad("the delivery has no columns; begin it with their names")
	}
	if len(columns) > most {
		return bad("the delivery has more columns than a report may have")
	}
	seen := make(map[string]bool, len(columns))
	for _, name := range columns {
		if name == "" || len(name) > maxColumnName {
			return bad("a column has no name, or one of more than 255 bytes")
		}
		if seen[name] {
			return bad("two columns have the same name")
		}
		seen[name] = true
	}
	return nil
}

const maxColumnName = 255
