package parking_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/writer/internal/parking"
)

var now = time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)

func TestPark(t *testing.T) {
	t.Parallel()
	delay := parking.Delay{Min: time.Second, Max: 5 * time.Second}
	rec := stage.Record{
		Topic: topic.Writes, Key: []byte("acme/main"), Value: []byte("write"), Headers: []stage.Header{
			{Key: stage.HeaderID, Value: []byte("id")},
			{Key: stage.HeaderTraceParent, Value: []byte("00-trace")},
			{Key: stage.HeaderTime, Value: []byte("2026-07-31T00:00:00Z")},
		},
	}
	m, ticket := parking.Park(&rec, parking.Why{Reason: streamv1.Reason_REASON_SF_LIMIT}, delay, now)
	require.Equal(t, parking.Ticket{Since: now, Reason: streamv1.Reason_REASON_SF_LIMIT, Times: 1, Due: now.Add(time.Second)}, ticket)
	require.Equal(t, topic.Parked, m.Topic)
	require.Equal(t, "acme/main", string(m.Key))
	require.Equal(t, "write", string(m.Value))
	require.Equal(t, "id", m.ID)
	require.Equal(t, "00-trace", m.TraceParent)
	require.Equal(t, now.Add(-24*time.Hour), m.Time)

	// Parked again after it came back: since when stays, the wait grows.
	for times, wait := range map[int]time.Duration{2: 2 * time.Second, 3: 4 * time.Second, 4: 5 * time.Second, 5: 5 * time.Second} {
		back := stage.Record{Headers: m.Headers}
		for i := 2; i < times; i++ {
			again, _ := parking.Park(&back, parking.Why{Reason: streamv1.Reason_REASON_SF_LIMIT}, delay, now)
			back = stage.Record{Headers: again.Headers}
		}
		_, ticket := parking.Park(&back, parking.Why{Reason: streamv1.Reason_REASON_SF_LOCKED}, delay, now.Add(time.Hour))
		require.Equal(t, now, ticket.Since)
		require.Equal(t, times, ticket.Times)
		require.Equal(t, now.Add(time.Hour+wait), ticket.Due)
	}
}

func FuzzTicket(f *testing.F) {
	f.Add([]byte("1785542400000"), []byte("3"), []byte("SF_LIMIT"), []byte("1785542400000"))
	f.Add([]byte("-1"), []byte("x"), []byte(""), []byte("99999999999999999999"))
	f.Fuzz(func(t *testing.T, since, times, reason, due []byte) {
		rec := stage.Record{Headers: []stage.Header{
			{Key: "tl-parked-since", Value: since},
			{Key: "tl-parked-times", Value: times},
			{Key: "tl-parked-reason", Value: reason},
			{Key: "tl-parked-due", Value: due},
		}}
		ticket, ok := parking.Of(&rec)
		require.GreaterOrEqual(t, ticket.Times, 0)
		if !ok {
			require.True(t, ticket.Since.IsZero())
		}
		_, next := parking.Park(&rec, parking.Why{Reason: streamv1.Reason_REASON_SF_LIMIT}, parking.Delay{Min: time.Second, Max: time.Minute}, now)
		require.False(t, next.Since.IsZero())
		require.LessOrEqual(t, next.Due.Sub(now), time.Minute)
	})
}

func TestCloneKeepsNothingOfTheOriginal(t *testing.T) {
	t.Parallel()
	rec := stage.Record{Key: []byte("key"), Value: []byte("value"), Headers: []stage.Header{{Key: "h", Value: []byte("v")}, {Key: "nil"}}}
	c := parking.Clone(rec)
	require.Equal(t, rec, c)
	rec.Value[0], rec.Headers[0].Value[0] = 'X', 'X'
	require.Equal(t, "value", string(c.Value))
	require.Equal(t, "v", string(c.Headers[0].Value))
}
