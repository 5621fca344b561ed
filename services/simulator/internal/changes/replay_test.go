package changes

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func logOf(epoch string, state state, commits ...commit) *Log {
	state.Epoch = epoch
	return &Log{state: state, commits: commits}
}

// TestReplayIDsAreNumbers reads ids as public clients do: eight bytes, big endian, a number that JavaScript can hold.
func TestReplayIDsAreNumbers(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 8, 10, 9, 0, 0, 0, time.UTC)
	l := logOf("a", state{Last: 7}, commit{Events: []Event{{Number: 3, At: now.UnixMilli()}, {Number: 7, At: now.UnixMilli()}}})
	var last uint64
	for _, number := range []uint64{0, 3, 7} {
		id := l.ReplayID(Position{Number: number})
		require.Len(t, id, 8)
		n := binary.BigEndian.Uint64(id)
		require.Less(t, n, uint64(1)<<53)
		require.Greater(t, n, last, "in the order of events")
		last = n
		p, ok := l.Position(id, now)
		require.True(t, ok)
		require.Equal(t, number, p.Number)
	}
	for name, id := range map[string][]byte{
		"short": []byte("x"), "long": append(l.ReplayID(Position{Number: 3}), 0), "nothing": make([]byte, 8),
		"not yet": l.ReplayID(Position{Number: 8}), "of another log": logOf("b", state{Last: 7}).ReplayID(Position{Number: 3}),
	} {
		_, ok := l.Position(id, now)
		require.False(t, ok, name)
	}
}

func TestReplayIDsGrowOld(t *testing.T) {
	t.Parallel()
	then := time.Date(2026, 8, 10, 9, 0, 0, 0, time.UTC)
	l := logOf("a", state{Last: 3}, commit{Events: []Event{{Number: 3, At: then.UnixMilli()}}})
	id := l.ReplayID(Position{Number: 3})
	_, ok := l.Position(id, then.Add(71*time.Hour))
	require.True(t, ok)
	_, ok = l.Position(id, then.Add(73*time.Hour))
	require.False(t, ok, "the event is older than events are kept")

	// A keepalive says that nothing came since, so that the place is as good as new.
	require.Equal(t, uint64(3), l.Latest(then.Add(70*time.Hour)).Number)
	_, ok = l.Position(id, then.Add(73*time.Hour))
	require.True(t, ok)
	_, ok = l.Position(id, then.Add(143*time.Hour))
	require.False(t, ok)
	_, ok = logOf("a", state{Last: 9, Floor: 4}).Position(id, then)
	require.False(t, ok, "events after it were forgotten")
}
