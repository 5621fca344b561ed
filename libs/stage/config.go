package stage

import (
	"errors"
	"fmt"
	"time"
)

// Config is what a user sets for one stage. Start from DefaultConfig.
type Config struct {
	// Name names the stage in ce_source, dead letters, spans and metrics, and its consumer group.
	Name string `yaml:"name"`
	// Group is the consumer group; "" means "tl-" and the name.
	Group string `yaml:"group"`
	// Topic is read.
	Topic string `yaml:"topic"`
	// StateTopic is the compacted topic of the stage's state, with as many partitions as Topic. "" for a stage without state.
	StateTopic string `yaml:"state_topic"`
	// DeadLetterTopic takes the records that can never be handled. Unless it allows larger messages than Topic, the largest
	// go there without their bytes. Used only when Deps.DeadLetter is nil; that function names its own topic.
	DeadLetterTopic string `yaml:"dead_letter_topic"`

	// BatchRecords is the most records one Process call gets. Below 1000 the cost of a record rises: a batch of 100 costs
	// twice the CPU per record of a batch of 2000.
	BatchRecords int `yaml:"batch_records"`
	// BatchBytes is about how much one fetch asks for; a single larger record still arrives. A partition holds up to three
	// fetches in memory.
	BatchBytes int `yaml:"batch_bytes"`
	// BatchWait is how long a small batch waits for more.
	BatchWait time.Duration `yaml:"batch_wait"`
	// TickEvery is the time between two calls of Ticker.Tick.
	TickEvery time.Duration `yaml:"tick_every"`

	// RetryMin and RetryMax bound the wait between two attempts; it doubles from one to the other, with jitter.
	RetryMin time.Duration `yaml:"retry_min"`
	RetryMax time.Duration `yaml:"retry_max"`
	// RetryBudget is how long a batch may fail before its partition counts as paused. It is retried on, every RetryMax.
	RetryBudget time.Duration `yaml:"retry_budget"`

	// DrainTimeout bounds what a stop or a rebalance waits for work in flight. What is not settled by then comes back.
	DrainTimeout time.Duration `yaml:"drain_timeout"`
	// SessionTimeout is how long the group waits for a silent member before it gives its partitions away. Brokers refuse
	// less than their group.min.session.timeout.ms, 6s unless set otherwise; the embedded one takes 1s.
	SessionTimeout time.Duration `yaml:"session_timeout"`
	// StallAfter is how long a partition with records waiting may make no progress before Ready reports it.
	StallAfter time.Duration `yaml:"stall_after"`
	// MaxUnsettled is the most records of one partition a sink's handler may hold unsettled.
	MaxUnsettled int `yaml:"max_unsettled"`
}

// DefaultConfig returns the defaults for a stage that reads topic.
func DefaultConfig(name, topic string) Config {
	return Config{
		Name:           name,
		Topic:          topic,
		BatchRecords:   2000,
		BatchBytes:     1 << 20,
		BatchWait:      20 * time.Millisecond,
		TickEvery:      time.Second,
		RetryMin:       50 * time.Millisecond,
		RetryMax:       5 * time.Second,
		RetryBudget:    30 * time.Second,
		DrainTimeout:   20 * time.Second,
		SessionTimeout: 10 * time.Second,
		StallAfter:     time.Minute,
		MaxUnsettled:   20_000,
	}
}

// Validate reports every setting that is missing or out of range, by its key.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("stage %q: "+format, append([]any{c.Name}, args...)...))
		}
	}
	need(c.Name != "", "name is missing")
	need(c.Topic != "", "topic is missing")
	need(c.StateTopic == "" || c.Topic != c.StateTopic, "state_topic must differ from topic")
	need(c.BatchRecords > 0, "batch_records must be positive, not %d", c.BatchRecords)
	need(c.BatchBytes > 0 && c.BatchBytes <= 64<<20, "batch_bytes must be between 1 and 64 MiB, not %d", c.BatchBytes)
	need(c.BatchWait >= 0 && c.BatchWait <= 5*time.Second, "batch_wait must be between 0s and 5s, not %s", c.BatchWait)
	need(c.TickEvery > 0, "tick_every must be positive, not %s", c.TickEvery)
	need(c.RetryMin > 0, "retry_min must be positive, not %s", c.RetryMin)
	need(c.RetryMax >= c.RetryMin, "retry_max must not be below retry_min, is %s", c.RetryMax)
	need(c.RetryBudget >= 0, "retry_budget must not be negative, is %s", c.RetryBudget)
	need(c.DrainTimeout > 0 && c.DrainTimeout <= 5*time.Minute, "drain_timeout must be between 0s and 5m, not %s", c.DrainTimeout)
	need(c.SessionTimeout >= time.Second, "session_timeout must be at least 1s, not %s", c.SessionTimeout)
	need(c.StallAfter > 0, "stall_after must be positive, not %s", c.StallAfter)
	need(c.MaxUnsettled > 0, "max_unsettled must be positive, not %d", c.MaxUnsettled)
	return errors.Join(errs...)
}

// GroupID is the consumer group that the stage reads with.
func (c Config) GroupID() string {
	if c.Group != "" {
		return c.Group
	}
	return "tl-" + c.Name
}
