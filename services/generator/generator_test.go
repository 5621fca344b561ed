package generator

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func testConfig(events int) Config {
	cfg := DefaultConfig()
	cfg.Now, cfg.Events = noon, events
	return cfg
}

func TestTmp(t *testing.T) {
	g, err := New(testConfig(20000))
	require.NoError(t, err)
	n := 0
	for e := range g.Events() {
		n++
		if n < 6 || e.Malformed != 0 && n < 1000 {
			t.Logf("%s %v %s\n%.600s", e.Malformed, e.At, e.Key, e.Value)
		}
	}
	require.Equal(t, 20000, n)
}

func BenchmarkEvents(b *testing.B) {
	g, err := New(testConfig(1 << 30))
	require.NoError(b, err)
	b.ReportAllocs()
	n, bytes := 0, 0
	for e := range g.Events() {
		bytes += len(e.Value)
		if n++; n >= b.N {
			break
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(bytes)/float64(b.N), "B/event")
}
