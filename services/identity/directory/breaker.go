package directory

import (
	"sync"
	"time"
)

// breaker keeps a failing org from being asked over and over: after threshold failures in a row it opens for rest, and
// twice as long with every further failure, up to longest. When the time is over one question is let through.
type breaker struct {
	threshold     int
	rest, longest time.Duration
	// places is how many questions of the process may be under way at the org, so that a slow one does not take all there are.
	places chan struct{}

	mu       sync.Mutex
	failures int
	until    time.Time
}

// allow reports whether the org may be asked now.
func (b *breaker) allow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < b.threshold {
		return true
	}
	if now.Before(b.until) {
		return false
	}
	b.until = now.Add(b.rest) // Others wait for what this question brings.
	return true
}

func (b *breaker) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures = 0
}

func (b *breaker) failed(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	if b.failures < b.threshold {
		return
	}
	wait := b.rest << min(b.failures-b.threshold, 16)
	b.until = now.Add(min(wait, b.longest))
}
