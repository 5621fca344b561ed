package limit

import (
	"container/list"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Config is how often, and for how many.
type Config struct {
	// PerSecond is how many times a second one caller may, in the long run.
	PerSecond float64 `yaml:"per_second"`
	// Burst is how many times at once after a rest.
	Burst int `yaml:"burst"`
	// Callers is how many callers are remembered. Of more, the one not seen for longest is forgotten and begins rested.
	Callers int `yaml:"callers"`
}

// Validate names the key that is wrong.
func (c Config) Validate() error {
	switch {
	case !(c.PerSecond > 0):
		return errors.New("per_second: want more than 0")
	case c.Burst < 1:
		return errors.New("burst: want at least 1")
	case c.Callers < 1:
		return errors.New("callers: want at least 1")
	}
	return nil
}

// Limiter holds one bucket per caller. Safe for concurrent use.
type Limiter struct {
	cfg Config

	mu     sync.Mutex
	byKey  map[string]*list.Element
	recent list.List // of *bucket; the one used last in front
}

type bucket struct {
	key  string
	rate *rate.Limiter
}

// New returns a limiter; the configuration must be valid.
func New(cfg Config) *Limiter { return &Limiter{cfg: cfg, byKey: map[string]*list.Element{}} }

// Take uses one of the caller's times. If none is left it takes none and returns how long until there is one.
func (l *Limiter) Take(key string, now time.Time) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(key)
	if b.AllowN(now, 1) {
		return 0, true
	}
	return l.wait(b, now), false
}

// Left reports whether Take would succeed, without taking, and else how long until it would.
func (l *Limiter) Left(key string, now time.Time) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, known := l.byKey[key]
	if !known {
		return 0, true
	}
	b := e.Value.(*bucket).rate
	if b.TokensAt(now) >= 1 {
		return 0, true
	}
	return l.wait(b, now), false
}

func (l *Limiter) wait(b *rate.Limiter, now time.Time) time.Duration {
	return time.Duration((1 - b.TokensAt(now)) / l.cfg.PerSecond * float64(time.Second))
}

func (l *Limiter) bucket(key string) *rate.Limiter {
	if e, ok := l.byKey[key]; ok {
		l.recent.MoveToFront(e)
		return e.Value.(*bucket).rate
	}
	if l.recent.Len() >= l.cfg.Callers { // promise 7
		oldest := l.recent.Back()
		delete(l.byKey, l.recent.Remove(oldest).(*bucket).key)
	}
	b := &bucket{key: key, rate: rate.NewLimiter(rate.Limit(l.cfg.PerSecond), l.cfg.Burst)}
	l.byKey[key] = l.recent.PushFront(b)
	return b.rate
}
