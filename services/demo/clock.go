package demo

import (
	"sync/atomic"
	"time"
)

// clock is the real time plus what it was moved ahead. The demo moves it at the end, so that visits nobody closed do not keep
// everybody waiting for half an hour.
type clock struct{ ahead atomic.Int64 }

// Now implements stage.Clock.
func (c *clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// advance moves the clock.
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }
