package changes

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/throughline-dev/throughline/services/simulator/internal/journal"
	"github.com/throughline-dev/throughline/services/simulator/internal/org"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// maxEvents is how many events a log keeps; beyond it the oldest go before their time.
const maxEvents = 200_000

// Event is one change as it is delivered. Events do not change.
type Event struct {
	Number   uint64
	At       int64 // milliseconds since the Unix epoch
	ID       string
	Object   string
	SchemaID string
	Payload  []byte
}

// Position is the place after the event.
func (e *Event) Position() Position { return Position{Number: e.Number, At: e.At} }

// commit is the events of one transaction; they are kept and forgotten together.
type commit struct {
	Events []Event
}

func (c *commit) last() uint64 { return c.Events[len(c.Events)-1].Number }

// state is what is kept beside the events.
type state struct {
	// Epoch tells logs apart. Last is the number of the newest event, Floor that of the newest which was forgotten.
	Epoch       string
	Last, Floor uint64
}

// Log is the change events of one org. It is safe for concurrent use.
type Log struct {
	key     string
	gap     func(object string) string
	byName  map[*schema.Object]*kind
	byEvent map[string]*kind

	mu      sync.Mutex
	state   state
	schemas map[string]string
	commits []commit
	size    int   // events in commits
	seen    int64 // when somebody was last told that the newest event is the newest, in milliseconds since the Unix epoch
	changed chan struct{}
	closed  bool
}

// Deps is what a log needs from outside.
type Deps struct {
	Org *org.Org
	// Gap may say that a change of an object gives a gap event only: "" for an event, "GAP" for a gap event of the change's kind,
	// "GAP_OVERFLOW" for an overflow event. May be nil.
	Gap func(object string) string
}

// New returns an empty log with the schemas of the org's objects.
func New(d Deps) (*Log, error) {
	l := &Log{
		key: org.EventsKey(d.Org.Key), gap: d.Gap, byName: map[*schema.Object]*kind{}, byEvent: map[string]*kind{},
		state: state{Epoch: uuid.NewString()}, schemas: map[string]string{}, changed: make(chan struct{}),
	}
	for _, o := range d.Org.Schema.Objects() {
		if !captured(o) {
			continue
		}
		k, err := newKind(o)
		if err != nil {
			return nil, err
		}
		l.byName[o], l.byEvent[eventName(o)], l.schemas[k.schemaID] = k, k, k.json
	}
	return l, nil
}

// Commit is the org's feed: it adds the events of a commit and returns how they are kept.
func (l *Log) Commit(c org.Commit) []journal.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	entries := l.purge(oldest(c.At))
	events := l.events(c)
	if len(events) == 0 {
		return l.noted(entries)
	}
	kept := commit{Events: events}
	l.commits = append(l.commits, kept)
	l.size += len(events)
	l.state.Last = kept.last()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.noted(append(entries, entry(l.commitKey(events[0].Number), kept)))
}

// noted adds the log's state to entries, if there are any.
func (l *Log) noted(entries []journal.Entry) []journal.Entry {
	if len(entries) == 0 {
		return nil
	}
	return append(entries, entry(l.key+stateKey, l.state))
}

func entry(key string, value any) journal.Entry {
	data, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("changes: %s: %v", key, err)) // these types can be marshalled
	}
	return journal.Entry{Key: key, Value: data}
}

// purge forgets the commits before a time, and the oldest of too many. It needs the lock to be held.
func (l *Log) purge(before int64) []journal.Entry {
	var entries []journal.Entry
	gone := 0
	for gone < len(l.commits) && (l.commits[gone].Events[0].At < before || l.size > maxEvents) {
		c := &l.commits[gone]
		entries = append(entries, journal.Entry{Key: l.commitKey(c.Events[0].Number)})
		l.state.Floor = c.last()
		l.size -= len(c.Events)
		gone++
	}
	l.commits = slices.Delete(l.commits, 0, gone)
	return entries
}

// Latest is the place after the newest event.
func (l *Log) Latest(now time.Time) Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = max(l.seen, now.UnixMilli())
	return Position{Number: l.state.Last, At: l.seen}
}

// Earliest is the place before the oldest event that is kept.
func (l *Log) Earliest(now time.Time) Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := Position{Number: l.state.Floor, At: now.UnixMilli()}
	for i := range l.commits {
		if l.commits[i].Events[0].At >= oldest(now) {
			break
		}
		p.Number = l.commits[i].last()
	}
	return p
}

// After returns up to limit events after a position that the topic has, and the position after all events that were looked at.
func (l *Log) After(p Position, topic Topic, limit int) ([]Event, Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from, _ := slices.BinarySearchFunc(l.commits, p.Number+1, func(c commit, n uint64) int {
		if c.last() < n {
			return -1
		}
		return 1
	})
	var out []Event
	for i := from; i < len(l.commits); i++ {
		for j := range l.commits[i].Events {
			e := &l.commits[i].Events[j]
			if e.Number <= p.Number {
				continue
			}
			if topic.Object == nil || e.Object == topic.Object.Name {
				if len(out) == limit {
					return out, p
				}
				out = append(out, *e)
			}
			p = e.Position()
		}
	}
	return out, p
}

// Changed returns a channel that is closed when there are more events or the log is closed.
func (l *Log) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// Closed reports whether the log's org is gone.
func (l *Log) Closed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// Close ends the log: nothing is added any more.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.changed)
	}
}
