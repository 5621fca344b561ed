package changes

import (
	"encoding/binary"
	"hash/fnv"
	"time"
)

// Position is a place in a log: after the event with the number, as known at a time in milliseconds since the Unix epoch.
type Position struct {
	Number uint64
	At     int64
}

const replayLength = 8

// base is what a log's numbers start from in replay ids. It differs from log to log, so that an id of another log, or one that is
// damaged, names no place in this one.
func (l *Log) base() uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(l.state.Epoch)) // never fails
	return h.Sum64()>>13 | 1<<50
}

// ReplayID returns a position as clients see it: as in Salesforce a number of eight bytes, and small enough for those that take
// numbers for doubles. It is good for this log alone: not for that of another org, nor for that of an org that was made anew
// under the same key.
func (l *Log) ReplayID(p Position) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 0, replayLength), l.base()+p.Number)
}

// Position reads a replay id. It reports false for one that is damaged, of another log, or so old that events after it may
// have been forgotten.
func (l *Log) Position(id []byte, now time.Time) (Position, bool) {
	if len(id) != replayLength {
		return Position{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p := Position{Number: binary.BigEndian.Uint64(id) - l.base()}
	if p.Number < l.state.Floor || p.Number > l.state.Last {
		return Position{}, false
	}
	p.At = l.at(p.Number)
	return p, p.At >= oldest(now)
}

// at is when a place was reached: when its event was made, or when it was last seen to be the newest. It needs the lock to be
// held.
func (l *Log) at(number uint64) int64 {
	at := int64(0)
	if number == l.state.Last {
		at = l.seen
	}
	for i := range l.commits {
		if l.commits[i].last() < number {
			continue
		}
		for j := range l.commits[i].Events {
			if e := &l.commits[i].Events[j]; e.Number >= number {
				return max(at, e.At)
			}
		}
	}
	return at
}

// Retention is how long events are kept (Pub/Sub API guide, "Event Message Durability").
const Retention = 72 * time.Hour

// oldest is the time from which on events are kept.
func oldest(now time.Time) int64 { return now.Add(-Retention).UnixMilli() }
