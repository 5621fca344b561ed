package changes

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/journal"
	"github.com/throughline-dev/throughline/services/simulator/internal/org"
)

// What the journal's keys have after the org's.
const (
	commitPrefix = "commit/"
	schemaPrefix = "schema/"
	stateKey     = "state"
)

// commitKey sorts like the numbers.
func (l *Log) commitKey(first uint64) string {
	return fmt.Sprintf("%s%s%016x", l.key, commitPrefix, first)
}

// Restore takes back what was kept of the org's events, forgets what is too old by now, and keeps the present schemas.
func (l *Log) Restore(ctx context.Context, o *org.Org, now time.Time) error {
	err := o.Kept(ctx, l.key, func(key string, value []byte) error { return l.take(strings.TrimPrefix(key, l.key), value) })
	if err != nil {
		return fmt.Errorf("org %s: read change events: %w", o.Key, err)
	}
	l.mu.Lock()
	l.seen = now.UnixMilli() // nothing came while nobody was there
	entries := append(l.purge(oldest(now)), entry(l.key+stateKey, l.state))
	for id, text := range l.schemas {
		entries = append(entries, journal.Entry{Key: l.key + schemaPrefix + id, Value: []byte(text)})
	}
	l.mu.Unlock()
	ticket, err := o.Keep(entries, nil)
	if err != nil || ticket == nil {
		return err
	}
	return ticket.Wait(ctx)
}

// take reads one entry.
func (l *Log) take(key string, value []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id, ok := strings.CutPrefix(key, schemaPrefix); ok {
		l.schemas[id] = string(value)
		return nil
	}
	if key == stateKey {
		return json.Unmarshal(value, &l.state)
	}
	if !strings.HasPrefix(key, commitPrefix) {
		return nil
	}
	var c commit
	if err := json.Unmarshal(value, &c); err != nil || len(c.Events) == 0 {
		return err
	}
	l.commits = append(l.commits, c)
	l.size += len(c.Events)
	return nil
}
