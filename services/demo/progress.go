package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/services/ingest"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/visits"
	"github.com/throughline-dev/throughline/services/writer"
)

const (
	// showEvery is the time between two looks, printEvery between two lines where nothing can be drawn in place.
	showEvery  = 250 * time.Millisecond
	printEvery = 2 * time.Second

	progressFile = "progress.json"
)

// parkedHop is where writes wait for an org.
var parkedHop = hop{"tl-writer-parked", topic.Parked}

// snapshot is the progress at one moment. Counts are since this process started; Sent is since the demo began.
type snapshot struct {
	Sent        int64 `json:"sent"`
	Of          int   `json:"of"`
	In          int64 `json:"in"`
	Rejected    int64 `json:"rejected"`
	Engagements int64 `json:"engagements"`
	Written     int64 `json:"written"`
	Skipped     int64 `json:"skipped"`
	Failed      int64 `json:"failed"`
	Parked      int64 `json:"parked"`
	Lag         int64 `json:"lag"`
}

// progress shows how the demo gets on, and tells it to others in a file.
type progress struct {
	env   *environment
	feed  *feeder
	began time.Time
	last  time.Time
}

func newProgress(e *environment, feed *feeder) *progress {
	return &progress{env: e, feed: feed, began: time.Now()}
}

// start shows the progress until the function it returns is called.
func (p *progress) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(showEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				p.look(ctx, false)
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
		p.look(context.WithoutCancel(ctx), true)
	}
}

func (p *progress) look(ctx context.Context, final bool) {
	s, err := p.snapshot(ctx)
	if err != nil {
		return // the next look may succeed; what matters is judged at the end
	}
	if data, err := json.Marshal(s); err == nil {
		_ = writeFile(p.env.path(progressFile), data)
	}
	text := fmt.Sprintf("%6.1fs  events %d/%d  rejected %d  engagements %d  written %d  skipped %d  failed %d  parked %d  lag %d",
		time.Since(p.began).Seconds(), s.Sent, s.Of, s.Rejected, s.Engagements, s.Written, s.Skipped, s.Failed, s.Parked, s.Lag)
	switch {
	case p.env.opts.Live && final:
		fmt.Fprintf(p.env.opts.Out, "\r\033[K%s\n", text)
	case p.env.opts.Live:
		fmt.Fprintf(p.env.opts.Out, "\r\033[K%s", text)
	case final || time.Since(p.last) >= printEvery:
		p.last = time.Now()
		fmt.Fprintln(p.env.opts.Out, text)
	}
}

func (p *progress) snapshot(ctx context.Context) (snapshot, error) {
	s := snapshot{Sent: p.feed.sent.Load(), Of: p.env.state.Events}
	if in, ok := p.env.service("ingest").(*ingest.Service); ok {
		st := in.Stats()
		s.In = st.In
		s.Rejected, s.Skipped = sum(st.Rejected), sum(st.Skipped)
	}
	if v, ok := p.env.service("visits").(*visits.Service); ok {
		s.Engagements = v.Stats().Engagements
	}
	if w, ok := p.env.service("writer").(*writer.Service); ok {
		st := w.Stats()
		s.Written, s.Skipped, s.Failed, s.Parked = st.Written, s.Skipped+sum(st.Skipped), sum(st.Failed), st.ParkedNow
	}
	behind, err := lags(ctx, p.env.kafka, p.env.flow())
	for _, n := range behind {
		s.Lag += n
	}
	return s, err
}

func sum[K comparable](counts map[K]int64) int64 {
	var n int64
	for _, c := range counts {
		n += c
	}
	return n
}
