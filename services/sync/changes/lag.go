package changes

import (
	"sync"
	"time"
)

// lag is how far a subscription is behind its org. It has a lock of its own, so that nobody who asks waits for what is being told.
// Safe for concurrent use.
type lag struct {
	mu       sync.Mutex
	standing bool
	// heard is when the org last sent something; delay is how old that was.
	heard time.Time
	delay time.Duration
	// unavailable: the org has no such events, and nothing is late.
	unavailable bool
}

// received notes that something came that the org did at a time.
func (l *lag) received(now, done time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.standing, l.unavailable, l.heard, l.delay = true, false, now, max(0, now.Sub(done))
}

// broke notes that nothing can come any more.
func (l *lag) broke() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.standing = false
}

// missing notes whether the org has no such events.
func (l *lag) missing(is bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unavailable = is
}

// behind is how far the subscription is behind at a time.
func (l *lag) behind(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.unavailable:
		return 0
	case l.standing:
		return l.delay
	}
	return max(0, now.Sub(l.heard))
}
