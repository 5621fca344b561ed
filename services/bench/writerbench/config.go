package writerbench

import (
	"errors"
	"time"
)

// Config says what to measure.
type Config struct {
	// Program is a throughline binary that runs the simulator in a process of its own, so that its CPU time does not count
	// as the writer's; empty runs it in this process.
	Program string
	// Latencies of a call at which records/s are measured, with Records each.
	Latencies []time.Duration
	Records   int
	// Parallelism is how many requests of one org may be in flight.
	Parallelism int
	// Trickle and Steady are records/s of a paced stream into one org at 150 ms a call. Paced streams last For.
	Trickle, Steady int
	For             time.Duration
	// Orgs in the comparison of healthy orgs, Dead of them refusing, silent or out of service, and records/s over all of them.
	Orgs, Dead, OrgsRate int
	// JSON leaves out everything but the last line.
	JSON bool

	// collectionsOnly turns the Bulk API off: the limit of records/s is that of Collections.
	collectionsOnly bool
}

// DefaultConfig measures for about two minutes.
func DefaultConfig() Config {
	return Config{
		Latencies: []time.Duration{0, 150 * time.Millisecond, 250 * time.Millisecond}, Records: 40_000, Parallelism: 4,
		Trickle: 20, Steady: 2000, For: 15 * time.Second, Orgs: 200, Dead: 10, OrgsRate: 400,
	}
}

// Validate names what is out of range.
func (c Config) Validate() error {
	switch {
	case len(c.Latencies) == 0:
		return errors.New("bench writer: needs at least one latency")
	case c.Records < 200:
		return errors.New("bench writer: needs at least 200 records")
	case c.Parallelism < 1 || c.Parallelism > 20:
		return errors.New("bench writer: parallelism must be 1 to 20")
	case c.Trickle < 1 || c.Steady < 1 || c.OrgsRate < 1 || c.For < time.Second:
		return errors.New("bench writer: rates must be at least 1 record/s, for at least 1s")
	case c.Dead < 1 || c.Dead >= c.Orgs || c.Orgs > 1000:
		return errors.New("bench writer: needs 1 dead org and 1 healthy one at least, and at most 1000")
	}
	return nil
}

// Result is what was measured; its JSON form is the last line. Value is records/s at the longest latency, Ratio its share
// of the limit in Against.
type Result struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Ratio   float64 `json:"ratio"`
	Against string  `json:"against"`
	// Rates are by latency, Calls by how the records came, Healthy compares orgs.
	Rates   []Rate  `json:"rates"`
	Calls   []Calls `json:"calls"`
	Healthy Healthy `json:"healthy"`
}

// Rate is a backlog drained at one latency. Limit is 200 × Parallelism ÷ latency, 0 where nothing limits.
type Rate struct {
	LatencyMS float64 `json:"latency_ms"`
	Records   float64 `json:"records_per_s"`
	Limit     float64 `json:"limit_per_s"`
	Ratio     float64 `json:"ratio"`
	// CPU of this process (writer, embedded broker and the reading of outcomes), in microseconds per record.
	CPU float64 `json:"cpu_us_per_record"`
}

// Calls is what 1,000 delivered records cost.
type Calls struct {
	Load        string  `json:"load"`
	PerThousand float64 `json:"calls_per_1000"`
}

// Healthy is the 99th percentile from sending a write to its outcome, in the orgs that are healthy in both runs. Ratio is
// Some over None.
type Healthy struct {
	None  float64 `json:"p99_ms_none_dead"`
	Some  float64 `json:"p99_ms_some_dead"`
	Ratio float64 `json:"ratio"`
}
