package cells

import (
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// Merge adds the cell of one more row to what the rows before it with the same key came to; sum may be nil for the first. An empty
// cell adds nothing. A cell that cannot be added is a *Misfit.
func (c *Converter) Merge(sum, cell *streamv1.Cell) (*streamv1.Cell, error) {
	if Empty(cell) {
		if sum == nil {
			return cell, nil
		}
		return sum, nil
	}
	switch c.mapping.GetAggregate() {
	case configv1.Aggregate_AGGREGATE_SUM:
		n, ok := numberOf(cell)
		if !ok {
			return nil, c.misfit("the cell is not a number, and so has no sum with others")
		}
		if !Empty(sum) {
			before, _ := numberOf(sum)
			n += before
		}
		return &streamv1.Cell{Value: &streamv1.Cell_Number{Number: n}}, nil
	case configv1.Aggregate_AGGREGATE_MAX:
		return c.greater(sum, cell)
	default:
		return cell, nil
	}
}

func (c *Converter) greater(a, b *streamv1.Cell) (*streamv1.Cell, error) {
	if n, ok := numberOf(b); ok && c.kind != date && c.kind != datetime {
		if Empty(a) {
			return b, nil
		}
		if m, _ := numberOf(a); m > n {
			return a, nil
		}
		return b, nil
	}
	at, _, ok := c.timeOf(b)
	if !ok {
		return nil, c.misfit("the cell is neither a number nor a date, and so none is the greatest")
	}
	if Empty(a) {
		return b, nil
	}
	if before, _, ok := c.timeOf(a); ok && before.After(at) {
		return a, nil
	}
	return b, nil
}
