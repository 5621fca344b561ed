package delivery

import (
	"errors"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

// Config bounds lanes and requests.
type Config struct {
	// LaneRecords is the most writes that wait in one lane; HeldRecords the most that wait in one partition's lanes together. Bulk
	// jobs carry up to twice as many.
	LaneRecords int `yaml:"lane_records"`
	HeldRecords int `yaml:"held_records"`
	// BatchRecords is the most records in one request, MinBatchRecords the fewest that lock errors shrink it to, BatchBytes
	// the most of field values.
	BatchRecords    int `yaml:"batch_records"`
	MinBatchRecords int `yaml:"min_batch_records"`
	BatchBytes      int `yaml:"batch_bytes"`
	// Parallelism is how many requests of one connection may be in flight when the connection says nothing.
	Parallelism int `yaml:"parallelism"`
	// Linger is how long a write waits for company; it stretches to MaxLinger (bulk writes: BulkLinger) as the org's calls
	// are used up.
	Linger     time.Duration `yaml:"linger"`
	MaxLinger  time.Duration `yaml:"max_linger"`
	BulkLinger time.Duration `yaml:"bulk_linger"`
	// RetryMin and RetryMax bound the wait before a write is sent again; it doubles, with jitter. After Attempts requests or
	// HoldFor a write that still meets passing trouble is parked.
	RetryMin time.Duration `yaml:"retry_min"`
	RetryMax time.Duration `yaml:"retry_max"`
	Attempts int           `yaml:"attempts"`
	HoldFor  time.Duration `yaml:"hold_for"`
	// UnknownTries is how often an answer nobody can classify is met before the write fails.
	UnknownTries int `yaml:"unknown_tries"`
	// LookAfter is how long to wait, after a create whose answer was lost or that a process sent before it died, before
	// looking whether it took effect. Salesforce takes some 10 s for 200 records with heavy automation, answer or not.
	LookAfter time.Duration `yaml:"look_after"`
	// BulkFrom is how many upserts or updates of one object may be pending before they go by the Bulk API, once collections
	// have let the oldest of them wait for BulkAfter; 0 turns the Bulk API off. Salesforce points to it above 2,000.
	BulkFrom  int           `yaml:"bulk_from"`
	BulkAfter time.Duration `yaml:"bulk_after"`
	// BulkHold is how long from the beginning of a job a further backlog of more than BulkFrom waits for the next job; then it
	// goes in collections again, beside the jobs.
	BulkHold time.Duration `yaml:"bulk_hold"`
	// BulkRecords is the most records in one connection's jobs together, BulkBytes the most of field values. As many jobs are under
	// way as requests may be in flight, with BulkFrom to 10,000 records each, which are one batch of the org's allocation; fewer and
	// larger ones when calls or batches run out, and after row locks.
	BulkRecords int `yaml:"bulk_records"`
	BulkBytes   int `yaml:"bulk_bytes"`
	// BulkLeave is the percent of the org's bulk batches in 24 hours that we leave to others.
	BulkLeave int `yaml:"bulk_leave_percent"`
	// BulkPollMin and BulkPollMax: the wait between two looks at a job grows from one to the other. After BulkFor a job that
	// has not ended is aborted; what it did not come to goes in collections.
	BulkPollMin time.Duration `yaml:"bulk_poll_min"`
	BulkPollMax time.Duration `yaml:"bulk_poll_max"`
	BulkFor     time.Duration `yaml:"bulk_for"`
	// BulkPause is how long no job begins after the org refused one, or has no batches left.
	BulkPause time.Duration `yaml:"bulk_pause"`
	// ClockSkew is how much the org's clock may differ from ours.
	ClockSkew time.Duration `yaml:"clock_skew"`
	// PartitionLag: when a lane is full but moving, the partition waits for it until the writes in it are this late; then the
	// lane's writes are parked, for the sake of the others. A partition that serves nobody else waits for LoneLag.
	PartitionLag time.Duration `yaml:"partition_lag"`
	LoneLag      time.Duration `yaml:"lone_lag"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		LaneRecords: 20_000, HeldRecords: 32_000,
		BatchRecords: salesforce.MaxCollection, MinBatchRecords: 10, BatchBytes: 4 << 20,
		Parallelism: 4,
		Linger:      100 * time.Millisecond, MaxLinger: 2 * time.Second, BulkLinger: 30 * time.Second,
		RetryMin: 200 * time.Millisecond, RetryMax: 10 * time.Second, Attempts: 8, HoldFor: time.Minute,
		UnknownTries: 3, LookAfter: 10 * time.Second, ClockSkew: 10 * time.Minute,
		BulkFrom: 2000, BulkAfter: 250 * time.Millisecond, BulkHold: time.Minute, BulkRecords: 40_000, BulkBytes: 16 << 20, BulkLeave: 10,
		BulkPollMin: time.Second, BulkPollMax: 10 * time.Second, BulkFor: 10 * time.Minute, BulkPause: 5 * time.Minute,
		PartitionLag: 2 * time.Second, LoneLag: time.Minute,
	}
}

// Validate names the first key that does not fit.
func (c Config) Validate() error {
	switch {
	case c.BatchRecords < 1 || c.BatchRecords > salesforce.MaxCollection:
		return errors.New("batch_records: must be 1 to 200")
	case c.MinBatchRecords < 1 || c.MinBatchRecords > c.BatchRecords:
		return errors.New("min_batch_records: must be 1 to batch_records")
	case c.BatchBytes < 1<<10 || c.BatchBytes > 32<<20:
		return errors.New("batch_bytes: must be 1 KiB to 32 MiB")
	case c.LaneRecords < c.BatchRecords:
		return errors.New("lane_records: must be at least batch_records")
	case c.HeldRecords < c.LaneRecords:
		return errors.New("held_records: must be at least lane_records")
	case c.Parallelism < 1 || c.Parallelism > 20:
		return errors.New("parallelism: must be 1 to 20")
	case c.Linger < 0 || c.MaxLinger < c.Linger || c.MaxLinger > 2*time.Second:
		return errors.New("linger: must be 0 to max_linger, and max_linger at most 2s")
	case c.BulkLinger < c.Linger || c.BulkLinger > 10*time.Minute:
		return errors.New("bulk_linger: must be linger to 10m")
	case c.RetryMin <= 0 || c.RetryMax < c.RetryMin:
		return errors.New("retry_min: must be above 0 and at most retry_max")
	case c.Attempts < 1 || c.UnknownTries < 1:
		return errors.New("attempts and unknown_tries: must be at least 1")
	case c.HoldFor <= 0 || c.HoldFor > 10*time.Minute:
		return errors.New("hold_for: must be above 0 and at most 10m")
	case c.LookAfter < 0 || c.ClockSkew < 0:
		return errors.New("look_after and clock_skew: must not be negative")
	case c.PartitionLag < 0 || c.LoneLag < c.PartitionLag:
		return errors.New("partition_lag: must be 0 to lone_lag")
	}
	return c.validateBulk()
}

func (c Config) validateBulk() error {
	switch {
	case c.BulkFrom != 0 && c.BulkFrom < salesforce.MaxCollection:
		return errors.New("bulk_from: must be 0, for never, or at least 200")
	case c.BulkAfter < 0 || c.BulkHold < 0:
		return errors.New("bulk_after and bulk_hold: must not be negative")
	case c.BulkRecords < c.BulkFrom || c.BulkRecords > 150_000:
		return errors.New("bulk_records: must be bulk_from to 150000")
	case c.BulkBytes < 1<<10 || c.BulkBytes > salesforce.MaxBulkUpload:
		return errors.New("bulk_bytes: must be 1 KiB to 24 MiB")
	case c.BulkLeave < 0 || c.BulkLeave > 100:
		return errors.New("bulk_leave_percent: must be 0 to 100")
	case c.BulkPollMin <= 0 || c.BulkPollMax < c.BulkPollMin:
		return errors.New("bulk_poll_min: must be above 0 and at most bulk_poll_max")
	case c.BulkFor < c.BulkPollMax || c.BulkFor > 24*time.Hour:
		return errors.New("bulk_for: must be bulk_poll_max to 24h")
	case c.BulkPause <= 0:
		return errors.New("bulk_pause: must be above 0")
	}
	return nil
}
