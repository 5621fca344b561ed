package catalogue

import (
	"context"
	"sync"
)

// lanes let one question at a time through to each connection, so that many who want to know of a slow org wait for it and
// not for each other's orgs (promise 6).
type lanes struct {
	mu   sync.Mutex
	open map[connectionKey]*lane
}

type lane struct {
	turn  chan struct{}
	users int
}

// enter waits for the connection's lane, or for ctx to end. The caller must leave.
func (l *lanes) enter(ctx context.Context, key connectionKey) error {
	l.mu.Lock()
	if l.open == nil {
		l.open = map[connectionKey]*lane{}
	}
	at := l.open[key]
	if at == nil {
		at = &lane{turn: make(chan struct{}, 1)}
		l.open[key] = at
	}
	at.users++
	l.mu.Unlock()
	select {
	case at.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		l.forget(key, at)
		return ctx.Err()
	}
}

func (l *lanes) leave(key connectionKey) {
	l.mu.Lock()
	at := l.open[key]
	l.mu.Unlock()
	<-at.turn
	l.forget(key, at)
}

func (l *lanes) forget(key connectionKey, at *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at.users--; at.users == 0 {
		delete(l.open, key)
	}
}
