package changes

import (
	"encoding/binary"
	"hash/crc32"
	"time"
)

// Position is a place in a log: after the event with the number, as known at a time in milliseconds since the Unix epoch.
type Position struct {
	Number uint64
	At     int64
}

const replayLength = 20

// ReplayID returns the opaque form of a position. It is good for this log alone: not for that of another org, nor for that of
// an org that was made anew under the same key.
func (l *Log) ReplayID(p Position) []byte {
	id := make([]byte, 0, replayLength)
	id = binary.BigEndian.AppendUint64(id, p.Number)
	id = binary.BigEndian.AppendUint64(id, uint64(p.At))
	return binary.BigEndian.AppendUint32(id, l.sum(id))
}

func (l *Log) sum(id []byte) uint32 {
	return crc32.ChecksumIEEE(append([]byte(l.state.Epoch), id...))
}

// Position reads a replay id. It reports false for one that is damaged, of another log, or so old that events after it may
// have been forgotten.
func (l *Log) Position(id []byte, now time.Time) (Position, bool) {
	if len(id) != replayLength || binary.BigEndian.Uint32(id[16:]) != l.sum(id[:16]) {
		return Position{}, false
	}
	p := Position{Number: binary.BigEndian.Uint64(id), At: int64(binary.BigEndian.Uint64(id[8:]))}
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.At < oldest(now) || p.Number > l.state.Last || p.Number < l.state.Floor {
		return Position{}, false
	}
	return p, true
}

// Retention is how long events are kept (Pub/Sub API guide, "Event Message Durability").
const Retention = 72 * time.Hour

// oldest is the time from which on events are kept.
func oldest(now time.Time) int64 { return now.Add(-Retention).UnixMilli() }
