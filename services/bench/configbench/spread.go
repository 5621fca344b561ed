package configbench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"syscall"
	"time"
)

// Spread is how durations are distributed, in milliseconds.
type Spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// spread takes the nearest rank; it sorts its argument.
func spread(took []time.Duration) Spread {
	if len(took) == 0 {
		return Spread{}
	}
	slices.Sort(took)
	at := func(share float64) float64 {
		return milliseconds(took[max(0, int(math.Ceil(share*float64(len(took))))-1)])
	}
	return Spread{P50: at(0.50), P99: at(0.99), Max: at(1)}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

const spreadHeader = "%-34s %10s %10s %10s %8s\n"

func (s Spread) writeTo(w io.Writer, what string, ratio float64) {
	share := ""
	if ratio > 0 {
		share = fmt.Sprintf("%.1f", ratio)
	}
	fmt.Fprintf(w, "%-34s %10.2f %10.2f %10.2f %8s\n", what, s.P50, s.P99, s.Max, share)
}

// progress says every few seconds how far a long part is.
type progress struct {
	w     io.Writer
	what  string
	total int
	began time.Time
	first int
	// said is when it was said last, upTo how far it was then: what is left goes as what came last, and a full database is slower than an
	// empty one.
	said time.Time
	upTo int
}

const sayEvery = 5 * time.Second

func newProgress(w io.Writer, what string, first, total int) *progress {
	now := time.Now()
	return &progress{w: w, what: what, total: total, began: now, said: now, first: first, upTo: first}
}

func (p *progress) at(n int) {
	if time.Since(p.said) < sayEvery {
		return
	}
	rate := float64(n-p.upTo) / time.Since(p.said).Seconds()
	p.said, p.upTo = time.Now(), n
	left := time.Duration(float64(p.total-n) / max(rate, 1) * float64(time.Second)).Round(time.Second)
	fmt.Fprintf(p.w, "  %s: %d of %d, %.0f/s, %s to go\n", p.what, n, p.total, rate, left)
}

func (p *progress) rate(n int) float64 { return float64(n-p.first) / time.Since(p.began).Seconds() }

func (p *progress) done(n int) FillRate {
	f := FillRate{What: p.what, N: n - p.first, PerSecond: p.rate(n)}
	if f.N > 0 {
		fmt.Fprintf(p.w, "  %s: %d in %s, %.0f/s\n", p.what, f.N, time.Since(p.began).Round(time.Millisecond), f.PerSecond)
	}
	return f
}

// cpuTime is what the process has used, in user and system mode.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
