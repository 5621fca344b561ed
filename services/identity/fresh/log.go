package fresh

import (
	"sync"
	"time"
)

// Mark is a moment: everything noted later happened after it.
type Mark uint64

// Log remembers changes by org. An org is named by a key of the caller's. Safe for concurrent use.
type Log struct {
	keep  time.Duration
	limit int

	mu   sync.RWMutex
	last Mark
	// all is when everything of every org may have changed.
	all  Mark
	orgs map[string]*org
}

// org is what changed in one org.
type org struct {
	// all and missing are when everything, and what was not found, may have changed.
	all, missing Mark
	// young and old hold the last change of each record id or person key. What is older than both was forgotten, and so was
	// every answer that it could concern.
	young, old map[string]Mark
	since      time.Time
}

// New returns a log of nothing. It remembers changes for keep, which must not be shorter than answers are remembered, and at most
// limit per org and that time: more count as a change of everything (promise 7).
func New(keep time.Duration, limit int) *Log {
	return &Log{keep: keep, limit: limit, orgs: map[string]*org{}}
}

// Now returns the mark of now. Take it before asking.
func (l *Log) Now() Mark {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.last
}

// Changed notes that records or people, by id or key, are not what they were.
func (l *Log) Changed(key string, names []string, now time.Time) {
	l.note(key, func(o *org, at Mark) {
		if now.Sub(o.since) >= l.keep {
			o.young, o.old, o.since = make(map[string]Mark, len(names)), o.young, now
		}
		if len(o.young)+len(names) > l.limit {
			o.all, o.young, o.old = at, map[string]Mark{}, nil
			return
		}
		for _, name := range names {
			o.young[name] = at
		}
	})
}

// Appeared notes that somebody may be there now who was not found.
func (l *Log) Appeared(key string) { l.note(key, func(o *org, at Mark) { o.missing = at }) }

// Everything notes that everything of the org may have changed.
func (l *Log) Everything(key string) {
	l.note(key, func(o *org, at Mark) { *o = org{all: at, missing: at, young: map[string]Mark{}, since: o.since} })
}

// Restart notes that changes may have been missed, of every org.
func (l *Log) Restart() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	l.all = l.last
	clear(l.orgs)
}

func (l *Log) note(key string, change func(*org, Mark)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	o := l.orgs[key]
	if o == nil {
		o = &org{young: map[string]Mark{}}
		l.orgs[key] = o
	}
	change(o, l.last)
}

// Fresh reports whether an answer of the org that was asked for at the mark, or later, still holds: nothing it names has changed
// since, and if it found nothing, nobody can have appeared.
func (l *Log) Fresh(key string, asked Mark, found bool, names ...string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if asked < l.all {
		return false
	}
	o := l.orgs[key]
	if o == nil {
		return true
	}
	if asked < o.all || !found && asked < o.missing {
		return false
	}
	for _, name := range names {
		if asked < o.young[name] || asked < o.old[name] {
			return false
		}
	}
	return true
}
