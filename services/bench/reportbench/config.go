package reportbench

import (
	"errors"
	"time"
)

// Config says what to measure.
type Config struct {
	// Program is a throughline binary that runs the simulator and the broker in processes of their own, so that their memory does not
	// count; empty runs them in this process.
	Program string
	// Rows of the report, each the key of a record.
	Rows int
	// Latency of a call to the org.
	Latency time.Duration
	// JSON leaves out everything but the last line.
	JSON bool
}

// DefaultConfig pushes a million rows into an org that answers after 50 ms.
func DefaultConfig() Config { return Config{Rows: 1_000_000, Latency: 50 * time.Millisecond} }

// Validate names what is out of range.
func (c Config) Validate() error {
	if c.Rows < 1000 || c.Rows > 5_000_000 {
		return errors.New("bench report: needs 1000 to 5000000 rows")
	}
	if c.Latency < 0 || c.Latency > time.Second {
		return errors.New("bench report: latency must be 0 to 1s")
	}
	return nil
}

// Result is what was measured; its JSON form is the last line. Value is rows/s from the first byte of the delivery to the last
// outcome, Ratio its share of the baseline's.
type Result struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Ratio   float64 `json:"ratio"`
	Against string  `json:"against"`
	Rows    int     `json:"rows"`
	// Took is how long the push took, in seconds; Delivered how much of it until the rows were acknowledged.
	Took      float64 `json:"took_s"`
	Delivered float64 `json:"delivered_s"`
	// Calls to Salesforce for 1,000 rows, matching and writing; Baseline's for the same.
	Calls         float64 `json:"calls_per_1000"`
	BaselineCalls float64 `json:"baseline_calls_per_1000"`
	// PeakMiB is the most memory that this process held while rows were pushed.
	PeakMiB float64 `json:"peak_mib"`
	// Unchanged is a second push of the same rows: rows/s and calls for 1,000 of them.
	Unchanged      float64 `json:"unchanged_rows_per_s"`
	UnchangedCalls float64 `json:"unchanged_calls_per_1000"`
}
