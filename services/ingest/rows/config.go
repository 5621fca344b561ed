package rows

import (
	"errors"
	"fmt"
	"time"
)

// Config bounds what one delivery may hold and cost. Start from DefaultConfig.
type Config struct {
	// RowBytes is the largest row as it is sent; a larger one is TOO_LARGE, and the others go on.
	RowBytes int `yaml:"row_bytes"`
	// LineBytes is how far a row is looked for its end; a CSV row that has none by then ends the delivery.
	LineBytes int `yaml:"line_bytes"`
	// SkipBytes is how far the end of a line of JSON is looked for that is larger than a row may be, and how much of nothing may lie
	// between two rows; then the delivery ends.
	SkipBytes int `yaml:"skip_bytes"`
	// BatchRows and BatchBytes are the most one record of tl.rows.v1 carries, before it is sealed.
	BatchRows  int `yaml:"batch_rows"`
	BatchBytes int `yaml:"batch_bytes"`
	// Rows and Columns are the most of one delivery.
	Rows    int `yaml:"rows"`
	Columns int `yaml:"columns"`
	// InFlight is the most deliveries that are taken at once, a workspace at most half of them; more are answered 503. Each holds
	// about twice BatchBytes and LineBytes of memory at most.
	InFlight int `yaml:"in_flight"`
	// IdleTimeout bounds the wait for the next bytes, DeliveryTimeout a whole delivery.
	IdleTimeout     time.Duration `yaml:"idle_timeout"`
	DeliveryTimeout time.Duration `yaml:"delivery_timeout"`
}

// DefaultConfig returns rows of 128 KiB, the ends of longer ones within 1 MiB of CSV and 64 MiB of JSON, batches of 500 rows and
// 512 KiB, deliveries of five million rows and 500 columns, eight at once, 30 s without a byte and two hours for all of it.
func DefaultConfig() Config {
	return Config{
		RowBytes: 128 << 10, LineBytes: 1 << 20, SkipBytes: 64 << 20, BatchRows: 500, BatchBytes: 512 << 10,
		Rows: 5_000_000, Columns: 500, InFlight: 8,
		IdleTimeout: 30 * time.Second, DeliveryTimeout: 2 * time.Hour,
	}
}

// Validate reports every setting that is out of range, by its key.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("rows."+format, args...))
		}
	}
	need(c.RowBytes >= 1<<10 && c.RowBytes <= 256<<10, "row_bytes must be 1 KiB to 256 KiB, not %d", c.RowBytes)
	need(c.LineBytes >= c.RowBytes && c.LineBytes <= 64<<20, "line_bytes must be row_bytes to 64 MiB, not %d", c.LineBytes)
	need(c.SkipBytes >= c.RowBytes && c.SkipBytes <= 1<<30, "skip_bytes must be row_bytes to 1 GiB, not %d", c.SkipBytes)
	need(c.BatchRows >= 1 && c.BatchRows <= 10_000, "batch_rows must be 1 to 10000, not %d", c.BatchRows)
	need(c.BatchBytes >= 1<<10 && c.BatchBytes <= 512<<10, "batch_bytes must be 1 KiB to 512 KiB, not %d", c.BatchBytes)
	need(c.Rows >= 1 && c.Rows <= 100_000_000, "rows must be 1 to 100000000, not %d", c.Rows)
	need(c.Columns >= 1 && c.Columns <= 500, "columns must be 1 to 500, not %d", c.Columns)
	need(c.InFlight >= 2, "in_flight must be at least 2, not %d", c.InFlight)
	need(c.IdleTimeout > 0, "idle_timeout must be positive, not %s", c.IdleTimeout)
	need(c.DeliveryTimeout >= c.IdleTimeout, "delivery_timeout must not be below idle_timeout, is %s", c.DeliveryTimeout)
	return errors.Join(errs...)
}
