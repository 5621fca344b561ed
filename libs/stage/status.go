package stage

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// counters count what a partition did. Safe for concurrent use.
type counters struct {
	in, outCount, dead atomic.Int64
	// end is the partition's end as of the last fetch, committed the next offset after what is committed; -1 if unknown.
	end, committed atomic.Int64
	// progress is when a record was settled last, in Unix nanoseconds.
	progress atomic.Int64
}

func (c *counters) add(o *counters) {
	c.in.Add(o.in.Load())
	c.outCount.Add(o.outCount.Load())
	c.dead.Add(o.dead.Load())
}

// lag is how many offsets are not committed yet. As long as that is unknown it is 1, so that a stage which has just started
// does not seem to have caught up.
func (c *counters) lag() int64 {
	end, done := c.end.Load(), c.committed.Load()
	if end < 0 || done < 0 {
		return 1
	}
	return max(0, end-done)
}

// Stats says what a stage has done since it was built, and how far behind it is.
type Stats struct {
	// In counts records settled (or, by a sink, accepted), Out messages produced, Dead dead letters.
	In, Out, Dead int64
	// Partitions holds the assigned ones, in order.
	Partitions []PartitionStats
}

// PartitionStats describes one assigned partition.
type PartitionStats struct {
	ID int
	// Lag is how many offsets are not committed yet; 1 while that is unknown, before the first fetch.
	Lag int64
	// End is the offset behind the partition's last record, as of the last fetch; -1 before the first one.
	End int64
	// Paused says that the retry budget is used up; Trouble is why, or what else keeps the partition from working.
	Paused  bool
	Trouble error
}

// Lag returns the sum over the assigned partitions.
func (s Stats) Lag() int64 {
	var sum int64
	for _, p := range s.Partitions {
		sum += p.Lag
	}
	return sum
}

// Stats returns a snapshot. Safe for concurrent use.
func (s *Stage) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{In: s.totals.in.Load(), Out: s.totals.outCount.Load(), Dead: s.totals.dead.Load()}
	for _, p := range s.parts {
		st.In += p.in.Load()
		st.Out += p.outCount.Load()
		st.Dead += p.dead.Load()
		p.mu.Lock()
		st.Partitions = append(st.Partitions, PartitionStats{
			ID: p.id, Lag: p.lag(), End: p.end.Load(), Paused: p.phase == paused, Trouble: p.trouble,
		})
		p.mu.Unlock()
	}
	slices.SortFunc(st.Partitions, func(a, b PartitionStats) int { return a.ID - b.ID })
	return st
}

// Ready returns nil when the stage is a member of its group and every partition it was given works: its state is
// restored, it is not paused, and it makes progress. A member that was given no partition is ready.
func (s *Stage) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.joined != nil {
		return fmt.Errorf("stage %s: %w", s.cfg.Name, s.joined)
	}
	var errs []error
	for _, p := range s.parts {
		if err := p.ready(); err != nil {
			errs = append(errs, fmt.Errorf("stage %s, partition %d: %w", s.cfg.Name, p.id, err))
		}
	}
	return errors.Join(errs...)
}

func (p *part) ready() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	stalled := time.Since(time.Unix(0, p.progress.Load()))
	switch {
	case p.phase == paused:
		return fmt.Errorf("paused, trying on: %w", p.trouble)
	case p.phase == restoring:
		return errors.New("restoring its state")
	case p.lag() > 0 && stalled > p.cfg.StallAfter:
		return fmt.Errorf("no progress for %s with %d records waiting", stalled.Round(time.Second), p.lag())
	default:
		return nil
	}
}

func (s *Stage) noteCommitted(partition int, next int64) {
	s.mu.Lock()
	p := s.parts[partition]
	s.mu.Unlock()
	if p != nil {
		p.committed.Store(next)
		p.stage.tel.committed(p)
	}
}
