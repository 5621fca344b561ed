package push

import (
	"errors"
	"time"
)

// Config bounds what runs cost. Start from DefaultConfig.
type Config struct {
	// Workers is how many runs are carried out at once.
	Workers int `yaml:"workers"`
	// Poll is how often a worker without a run asks for one.
	Poll time.Duration `yaml:"poll"`
	// CallTimeout bounds one call to the config service.
	CallTimeout time.Duration `yaml:"call_timeout"`
	// ChunkRows is the most rows of one chunk, ChunkBytes about the most of their mapped cells.
	ChunkRows  int `yaml:"chunk_rows"`
	ChunkBytes int `yaml:"chunk_bytes"`
	// Rows is the most rows of a delivery; a run takes 33 bytes of memory for each.
	Rows int64 `yaml:"rows"`
	// AggregatedKeys is how many keys of several rows each may become one row in a run; each takes the memory of its mapped cells.
	AggregatedKeys int `yaml:"aggregated_keys"`
	// Queries is how many queries of a run are in flight. QueryKeys is the most keys in one, QueryKeysMin the fewest that slow
	// answers shrink it to. An answer is slow from SlowQuery on.
	Queries      int           `yaml:"queries"`
	QueryKeys    int           `yaml:"query_keys"`
	QueryKeysMin int           `yaml:"query_keys_min"`
	SlowQuery    time.Duration `yaml:"slow_query"`
	// WaitMin and WaitMax bound the wait before an org in trouble is asked again; it doubles. A run waits until it is stopped, or
	// takes longer than the config service allows.
	WaitMin time.Duration `yaml:"wait_min"`
	WaitMax time.Duration `yaml:"wait_max"`
	// Tries is how often an answer nobody can classify is met before the run fails.
	Tries int `yaml:"tries"`
	// QuotaTotal is the share of the org's calls in 24 hours, in percent and used by anybody, from which runs wait: they give way
	// before what people wait for does.
	QuotaTotal int `yaml:"quota_total_percent"`
	// Ahead is how many writes of the connection's partition may wait for the writer before a run waits for it.
	Ahead int64 `yaml:"ahead"`
}

// DefaultConfig returns two runs at once, chunks of 2,000 rows, and 80 % of an org's calls.
func DefaultConfig() Config {
	return Config{
		Workers: 2, Poll: 2 * time.Second, CallTimeout: 10 * time.Second,
		ChunkRows: 2000, ChunkBytes: 16 << 20, Rows: 5_000_000, AggregatedKeys: 100_000,
		Queries: 4, QueryKeys: 1000, QueryKeysMin: 25, SlowQuery: 5 * time.Second,
		WaitMin: 2 * time.Second, WaitMax: time.Minute, Tries: 3, QuotaTotal: 80, Ahead: 30_000,
	}
}

// Validate names the first key that does not fit.
func (c Config) Validate() error {
	switch {
	case c.Workers < 1 || c.Workers > 100:
		return errors.New("workers: must be 1 to 100")
	case c.Poll <= 0 || c.CallTimeout <= 0:
		return errors.New("poll and call_timeout: must be above 0")
	case c.ChunkRows < 1 || c.ChunkRows > 5000:
		return errors.New("chunk_rows: must be 1 to 5000")
	case c.ChunkBytes < 1<<20 || c.ChunkBytes > 256<<20:
		return errors.New("chunk_bytes: must be 1 MiB to 256 MiB")
	case c.Rows < 1 || c.Rows > 100_000_000:
		return errors.New("rows: must be 1 to 100000000")
	case c.AggregatedKeys < 1:
		return errors.New("aggregated_keys: must be at least 1")
	case c.Queries < 1 || c.Queries > 20:
		return errors.New("queries: must be 1 to 20")
	case c.QueryKeysMin < 1 || c.QueryKeys < c.QueryKeysMin || c.QueryKeys > 2000:
		return errors.New("query_keys: must be query_keys_min to 2000")
	case c.SlowQuery <= 0 || c.WaitMin <= 0 || c.WaitMax < c.WaitMin:
		return errors.New("slow_query and wait_min: must be above 0, and wait_min at most wait_max")
	case c.Tries < 1:
		return errors.New("tries: must be at least 1")
	case c.QuotaTotal < 1 || c.QuotaTotal > 100:
		return errors.New("quota_total_percent: must be 1 to 100")
	case c.Ahead < 1:
		return errors.New("ahead: must be at least 1")
	}
	return nil
}
