package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// Topics reads partitions; *kafka.Client does.
type Topics interface {
	// Partitions returns how many a topic has.
	Partitions(ctx context.Context, topic string) (int, error)
	// Fetch reads one partition from an offset on; see stage.Broker.
	Fetch(ctx context.Context, req stage.FetchRequest) (stage.Fetched, error)
}

// Listener is told of changes, from several goroutines.
type Listener interface {
	// Changed is told of one change.
	Changed(c *streamv1.Change)
	// Missed says that changes may have been missed, of every org.
	Missed()
}

// Config is what a user sets.
type Config struct {
	// Topic is read.
	Topic string `yaml:"topic"`
	// Wait is how long one question waits for changes, and Retry the pause after one that failed.
	Wait  time.Duration `yaml:"wait"`
	Retry time.Duration `yaml:"retry"`
}

// DefaultConfig waits a second for changes, and as long after trouble.
func DefaultConfig() Config {
	return Config{Topic: topic.Changes, Wait: time.Second, Retry: time.Second}
}

// Validate reports every setting that is out of range, by its key.
func (c Config) Validate() error {
	var errs []error
	if c.Topic == "" {
		errs = append(errs, errors.New("topic is missing"))
	}
	if c.Wait <= 0 || c.Wait > time.Minute {
		errs = append(errs, fmt.Errorf("wait must be between 0s and 1m, not %s", c.Wait))
	}
	if c.Retry <= 0 {
		errs = append(errs, fmt.Errorf("retry must be positive, not %s", c.Retry))
	}
	return errors.Join(errs...)
}

// fetchBytes is about how much one question brings.
const fetchBytes = 1 << 20

// Follower reads the topic.
type Follower struct {
	cfg      Config
	topics   Topics
	listener Listener
	log      *slog.Logger
	changes  atomic.Int64
	panicked atomic.Int64
	// defects are those that were logged, so that each is said once of an org.
	defects sync.Map
	// waiting is how many partitions have not been found the end of; -1 while that is not known.
	waiting atomic.Int64
}

// New returns a follower that has read nothing.
func New(cfg Config, topics Topics, listener Listener, log *slog.Logger) *Follower {
	f := &Follower{cfg: cfg, topics: topics, listener: listener, log: log}
	f.waiting.Store(-1)
	return f
}

// Changes counts what was read since the start.
func (f *Follower) Changes() *atomic.Int64 { return &f.changes }

// Panicked counts how often that failed by a defect.
func (f *Follower) Panicked() *atomic.Int64 { return &f.panicked }

// Ready reports an error until the follower reads every partition. Trouble afterwards makes it late, not unready: what is
// remembered has an age limit as well.
func (f *Follower) Ready() error {
	if f.waiting.Load() != 0 {
		return errors.New("identity: waiting for the topic of changes")
	}
	return nil
}

// Run reads until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	partitions := 0
	f.insist(ctx, func() (err error) {
		partitions, err = f.topics.Partitions(ctx, f.cfg.Topic)
		return err
	})
	f.waiting.Store(int64(partitions))
	var reading sync.WaitGroup
	for p := range partitions {
		reading.Go(func() { f.read(ctx, p) })
	}
	reading.Wait()
}

// read reads one partition from its end on.
func (f *Follower) read(ctx context.Context, partition int) {
	req := stage.FetchRequest{Topic: f.cfg.Topic, Partition: partition, Offset: -1, MinBytes: 1, MaxBytes: 1, MaxWait: time.Millisecond}
	f.insist(ctx, func() error {
		got, err := f.topics.Fetch(ctx, req)
		if err != nil {
			return err
		}
		f.listener.Missed() // What was remembered until here may have changed meanwhile.
		req.Offset = got.End
		return nil
	})
	if ctx.Err() != nil {
		return
	}
	f.waiting.Add(-1)
	req.MaxBytes, req.MaxWait = fetchBytes, f.cfg.Wait
	for ctx.Err() == nil {
		f.insist(ctx, func() error { return f.more(ctx, &req) })
	}
}

// more hands on what is there from an offset on, which it moves.
func (f *Follower) more(ctx context.Context, req *stage.FetchRequest) error {
	got, err := f.topics.Fetch(ctx, *req)
	if errors.Is(err, stage.ErrOffsetOutOfRange) {
		// The topic was shortened or made anew.
		f.listener.Missed()
		req.Offset = got.End
		return nil
	}
	if err != nil {
		return err
	}
	for i := range got.Records {
		if err := f.tell(ctx, &got.Records[i]); err != nil {
			return err
		}
		req.Offset = got.Records[i].Offset + 1
	}
	req.Offset = got.Next
	return nil
}

// tell hands a change on. A defect that it meets is the trouble of its org, of which anything may have changed then, and not of the
// others, whose changes come behind it (promise 6). Only if nobody can be told that either, nor of any org, it is an error: what is
// remembered would be used in spite of the change.
func (f *Follower) tell(ctx context.Context, rec *stage.Record) error {
	defer f.changes.Add(1) // what is counted has been told
	c := new(streamv1.Change)
	if proto.Unmarshal(rec.Value, c) != nil {
		f.listener.Missed() // It may have been anything.
		return nil
	}
	err := stage.Guarded(func() error { f.listener.Changed(c); return nil })
	if err == nil {
		return nil
	}
	f.panicked.Add(1)
	if _, said := f.defects.LoadOrStore([3]string{c.GetWorkspace(), c.GetConnection(), stage.DefectPlace(err)}, true); !said {
		f.log.ErrorContext(ctx, "a change failed by a defect of this program; everything that is remembered of its org is asked for again",
			"workspace", c.GetWorkspace(), "connection", c.GetConnection(), "place", stage.DefectPlace(err))
	}
	all := &streamv1.Change{Workspace: c.GetWorkspace(), Connection: c.GetConnection(), ChangeType: streamv1.ChangeType_CHANGE_TYPE_EVERYTHING}
	if stage.Guarded(func() error { f.listener.Changed(all); return nil }) != nil {
		f.listener.Missed()
	}
	return nil
}

// insist tries until it works or ctx ends, and says once that it does not. So it does with what fails by a defect: whoever reads
// nothing any more must not believe what it remembers, and the process goes on for the rest of its work.
func (f *Follower) insist(ctx context.Context, try func() error) {
	for said := false; ; {
		err := stage.Guarded(try)
		if stage.DefectPlace(err) != "" {
			f.panicked.Add(1)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		if !said {
			said = true
			f.log.WarnContext(ctx, "changes cannot be read; what is remembered is as old as its ages allow until they can", "topic", f.cfg.Topic, "error", err)
		}
		timer := time.NewTimer(f.cfg.Retry)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}
