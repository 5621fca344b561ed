package store

import (
	"context"
	"fmt"
	"sync"
)

// bucketRows is about how many rows share a bucket. Small enough that a bucket's part of an index stays in few pages,
// large enough that trying every bucket is quick: 10 million rows are 600 buckets.
const bucketRows = 16 << 10

// bucketCounter hands out the bucket for new rows. Every start begins a new one.
type bucketCounter struct {
	mu     sync.Mutex
	number int64
	rows   int
}

// take returns the bucket for a batch. A bucket is known to all before the first row goes into it. Two replicas that begin
// one at the same moment collide; the loser's batch is tried again, as after any failure.
func (b *bucketCounter) take(ctx context.Context, s *Store, rows int) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.number != 0 && b.rows < bucketRows {
		b.rows += rows
		return b.number, nil
	}
	var next int64
	err := s.write.QueryRowContext(ctx, `INSERT INTO outcome_buckets (bucket)
		SELECT COALESCE(MAX(bucket), 0) + 1 FROM outcome_buckets RETURNING bucket`).Scan(&next)
	if err != nil {
		return 0, fmt.Errorf("begin a bucket: %w", err)
	}
	b.number, b.rows = next, rows
	return next, nil
}
