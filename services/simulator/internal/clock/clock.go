// Package clock is the time of the simulated orgs: that of the machine, moved or stopped as a test wishes.
package clock

import (
	"sync"
	"time"
)

// Source is where real time comes from.
type Source interface{ Now() time.Time }

// Clock can be set, moved and stopped. It is safe for concurrent use.
type Clock struct {
	source Source

	mu     sync.Mutex
	offset time.Duration
	frozen *time.Time
}

// New returns a clock that shows what source shows.
func New(source Source) *Clock { return &Clock{source: source} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() time.Time {
	if c.frozen != nil {
		return *c.frozen
	}
	return c.source.Now().Add(c.offset)
}

// Set makes the clock show t now. A running clock goes on from there.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.frozen != nil {
		c.frozen = &t
		return
	}
	c.offset = t.Sub(c.source.Now())
}

// Advance moves the clock by d.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.frozen != nil {
		t := c.frozen.Add(d)
		c.frozen = &t
		return
	}
	c.offset += d
}

// Freeze stops the clock, or lets it run on from where it stands.
func (c *Clock) Freeze(frozen bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if frozen {
		c.frozen = &now
		return
	}
	c.frozen = nil
	c.offset = now.Sub(c.source.Now())
}

// Reset shows the source's time again.
func (c *Clock) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset, c.frozen = 0, nil
}

// Frozen reports whether the clock stands still.
func (c *Clock) Frozen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frozen != nil
}
