package lag_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/lag"
)

var start = time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)

const (
	waitedFor = streamv1.Priority_PRIORITY_INTERACTIVE
	realTime  = streamv1.Priority_PRIORITY_REAL_TIME
	bulk      = streamv1.Priority_PRIORITY_BULK
)

// after is a time some seconds after the start.
func after(seconds int64) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func TestWritesCountUntilTheyAreSettled(t *testing.T) {
	t.Parallel()
	l := lag.New()
	require.Zero(t, l.Pending())
	a, b := l.Partition(0), l.Partition(1)
	a.Accepted(7, realTime, after(2))
	a.Accepted(8, bulk, after(3))
	a.Accepted(9, streamv1.Priority_PRIORITY_UNSPECIFIED, after(4))
	a.Accepted(9, realTime, after(9)) // handed over again
	b.Accepted(7, realTime, after(1))
	b.Accepted(8, waitedFor, after(5))
	require.Equal(t, [...]lag.Pending{{1, after(5)}, {3, after(1)}, {1, after(3)}}, l.Pending())

	a.Settled(9) // out of order
	b.Settled(7, 8)
	require.Equal(t, [...]lag.Pending{{}, {1, after(2)}, {1, after(3)}}, l.Pending())
	a.Settled(7, 99) // one it never saw
	a.Settled(7)
	require.Equal(t, [...]lag.Pending{{}, {}, {1, after(3)}}, l.Pending())

	a.Close()
	a.Settled(8) // too late, by a request that was abandoned
	require.Zero(t, l.Pending())
}

func TestWhatNobodyHasReadIsCountedByOffsets(t *testing.T) {
	t.Parallel()
	l := lag.New()
	require.EqualValues(t, 5, l.Unread(3, 100, 5), "not ours yet")
	p := l.Partition(3)
	require.EqualValues(t, 5, l.Unread(3, 100, 5), "nothing read yet")
	p.Accepted(10, realTime, start)
	for offset := int64(11); offset < 60; offset++ {
		p.Accepted(offset, realTime, start)
		p.Settled(offset)
	}
	require.EqualValues(t, 40, l.Unread(3, 100, 90), "one that is stuck keeps others from being committed")
	require.EqualValues(t, 1, l.Unread(3, -1, 1), "the end is not known")
	require.Zero(t, l.Unread(3, 100, 0), "the others could not be taken in, and were given up")
	again := l.Partition(3)
	p.Close() // late
	again.Accepted(99, realTime, start)
	require.Zero(t, l.Unread(3, 100, 90))
}

func TestOneThatIsStuckKeepsNothingOfTheOthers(t *testing.T) {
	t.Parallel()
	l := lag.New()
	p := l.Partition(0)
	p.Accepted(0, realTime, start)
	for offset := int64(1); offset < 100_000; offset++ {
		p.Accepted(offset, realTime, after(offset))
		p.Settled(offset)
	}
	require.LessOrEqual(t, p.Kept(), 1100)
	p.Accepted(100_000, realTime, after(100_000))
	require.Equal(t, lag.Pending{Writes: 2, Since: start}, l.Pending()[1])
	p.Settled(0)
	require.Equal(t, lag.Pending{Writes: 1, Since: after(100_000)}, l.Pending()[1])
}
