package configbench

import (
	"errors"

	"github.com/throughline-dev/throughline/libs/secret"
)

// Config says what to measure.
type Config struct {
	// Watchers follow the settings, each on a connection of its own. Integrations are spread over Workspaces; Changes of one
	// integration are timed.
	Watchers, Workspaces, Integrations, Changes int
	// Outcomes in the run log, and Queries of every kind; no outcomes leave this part out.
	Outcomes, Queries int
	// TokenCalls in all, by Callers at a time; no calls leave this part out.
	TokenCalls, Callers int
	// Keep is a folder for the SQLite run log; a later run of as many outcomes takes up what it finds there and fills in only
	// what is missing. On Postgres the schema bench_kept is kept likewise. Empty: none is kept.
	Keep string
	// SQLite is whether the run log is measured there.
	SQLite bool
	// Postgres is a server on which the run log is measured too, in a schema of its own that is dropped afterwards.
	Postgres secret.String
	// JSON leaves out everything but the last line.
	JSON bool
}

// DefaultConfig measures what the design promises: 50 watchers, 10,000 integrations, 10 million outcomes. Filling takes most
// of the time.
func DefaultConfig() Config {
	return Config{
		Watchers: 50, Workspaces: 100, Integrations: 10_000, Changes: 30,
		Outcomes: 10_000_000, Queries: 500, SQLite: true, TokenCalls: 40_000, Callers: 16,
	}
}

// Validate names what is out of range.
func (c Config) Validate() error {
	switch {
	case c.Watchers < 1 || c.Watchers > 1000:
		return errors.New("bench config: watchers must be 1 to 1000")
	case c.Workspaces < 1 || c.Workspaces > c.Integrations:
		return errors.New("bench config: needs at least one workspace, and an integration for each")
	case c.Changes < 1:
		return errors.New("bench config: needs at least one change")
	case c.Outcomes != 0 && c.Outcomes < 1000 || c.Outcomes < 0:
		return errors.New("bench config: needs at least 1000 outcomes, or none")
	case c.Outcomes > 0 && !c.SQLite && c.Postgres.IsEmpty():
		return errors.New("bench config: needs SQLite or a PostgreSQL server for the outcomes")
	case c.Queries < 1:
		return errors.New("bench config: needs at least one query of each kind")
	case c.TokenCalls < 0 || c.Callers < 1:
		return errors.New("bench config: needs at least one caller")
	}
	return nil
}

// Result is what was measured; its JSON form is the last line. Value is the longest time from a save to the last watcher.
// Ratio is its median over that of the baseline in Against.
type Result struct {
	Name    string     `json:"name"`
	Value   float64    `json:"value"`
	Unit    string     `json:"unit"`
	Ratio   float64    `json:"ratio"`
	Against string     `json:"against"`
	FanOut  FanOut     `json:"fan_out"`
	RunLogs []RunLog   `json:"run_logs,omitempty"`
	Tokens  *Tokens    `json:"tokens,omitempty"`
	Fill    []FillRate `json:"fill"`
}

// FanOut is how settings reach the watchers.
type FanOut struct {
	Watchers     int `json:"watchers"`
	Integrations int `json:"integrations"`
	Workspaces   int `json:"workspaces"`
	// Begin is the time in seconds until all watchers, beginning at once with nothing, have everything.
	Begin float64 `json:"begin_s"`
	// Changes are from the call that saves to the last watcher's receipt, decoded and ready for use. Bare is one integration
	// from a bare gRPC server to as many streams.
	Changes Spread `json:"changes_ms"`
	Bare    Spread `json:"bare_ms"`
	// CPU of one change, saving included, in milliseconds.
	CPU float64 `json:"cpu_ms_per_change"`
}

// RunLog is how one database answers.
type RunLog struct {
	Database string `json:"database"`
	Outcomes int    `json:"outcomes"`
	// Bytes is the size of the database; Indexes is the part of it that the indexes of outcomes take, where the database says so.
	Bytes   int64 `json:"bytes"`
	Indexes int64 `json:"index_bytes,omitempty"`
	// Recording is one batch of outcomes as the service takes them from its topic, into the full run log; Recorded is rows a second.
	Recording Spread  `json:"recording_ms"`
	Recorded  float64 `json:"recorded_per_s"`
	// Bare is a look-up of one setting by primary key.
	Bare    Spread  `json:"bare_ms"`
	Queries []Query `json:"queries"`
	// Cleaning is every kind of query in turn while retention deletes the oldest rows, Deleted of them a second.
	Cleaning Spread  `json:"cleaning_ms"`
	Deleted  float64 `json:"deleted_per_s"`
}

// Query is one kind of question. Ratio is its median over the bare look-up's.
type Query struct {
	Kind  string  `json:"kind"`
	Ratio float64 `json:"ratio"`
	Spread
}

// Tokens is how access tokens are handed out.
type Tokens struct {
	PerSecond float64 `json:"per_s"`
	CPU       float64 `json:"cpu_us_per_call"`
	Bare      float64 `json:"bare_per_s"`
	BareCPU   float64 `json:"bare_cpu_us_per_call"`
	Ratio     float64 `json:"ratio"`
}

// FillRate is how fast something was filled.
type FillRate struct {
	What      string  `json:"what"`
	N         int     `json:"n"`
	PerSecond float64 `json:"per_s"`
}
