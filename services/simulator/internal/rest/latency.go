package rest

import (
	"context"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/scenario"
)

// latency draws how long requests take from a log-normal distribution. A nil latency takes no time.
type latency struct {
	mu        sync.Mutex
	random    *rand.Rand
	mean, dev float64 // of the logarithm of seconds
}

// z99 is the 99th percentile of the standard normal distribution.
const z99 = 2.3263

// maxLatency cuts the tail off.
const maxLatency = 2 * time.Minute

func newLatency(spec scenario.Latency, seed string) *latency {
	if spec.Median <= 0 {
		return nil
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(seed)) // never fails
	l := &latency{random: rand.New(rand.NewPCG(h.Sum64(), 1)), mean: math.Log(spec.Median.Seconds())}
	if spec.P99 > spec.Median {
		l.dev = math.Log(spec.P99.Seconds()/spec.Median.Seconds()) / z99
	}
	return l
}

func (l *latency) draw() time.Duration {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	seconds := math.Exp(l.mean + l.dev*l.random.NormFloat64())
	return min(time.Duration(seconds*float64(time.Second)), maxLatency)
}

func (l *latency) wait(ctx context.Context) { wait(ctx, l.draw()) }
