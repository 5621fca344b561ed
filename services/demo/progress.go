package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/services/ingest"
	"github.com/throughline-dev/throughline/services/internal/flow"
	"github.com/throughline-dev/throughline/services/internal/screen"
	"github.com/throughline-dev/throughline/services/mapping"
	"github.com/throughline-dev/throughline/services/visits"
	"github.com/throughline-dev/throughline/services/writer"
)

const (
	// showEvery is the time between two looks, printEvery between two lines where nothing can be drawn in place.
	showEvery  = 250 * time.Millisecond
	printEvery = 2 * time.Second

	progressFile = "progress.json"
)

// snapshot is the progress at one moment. Counts are since this process started; Sent is since the demo began.
type snapshot struct {
	Sent        int64 `json:"sent"`
	Of          int   `json:"of"`
	In          int64 `json:"in"`
	Rejected    int64 `json:"rejected"`
	Engagements int64 `json:"engagements"`
	Written     int64 `json:"written"`
	// Skipped counts by reason.
	Skipped map[string]int64 `json:"skipped"`
	Failed  int64            `json:"failed"`
	Parked  int64            `json:"parked"`
	Lag     int64            `json:"lag"`
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
	// What is cut off on a narrow terminal is what matters least.
	text := fmt.Sprintf("%6.1fs  events %d/%d  written %d  lag %d  parked %d  failed %d  rejected %d  engagements %d  skipped %s",
		time.Since(p.began).Seconds(), s.Sent, s.Of, s.Written, s.Lag, s.Parked, s.Failed, s.Rejected, s.Engagements, byReason(s.Skipped))
	switch {
	case p.env.opts.Live && final:
		fmt.Fprintf(p.env.opts.Out, "\r\033[K%s\n", text)
	case p.env.opts.Live: // a line that is wider than the terminal could not be drawn in place
		fmt.Fprintf(p.env.opts.Out, "\r\033[K%s", screen.Fit(text, screen.Width(p.env.opts.Out)-1))
	case final || time.Since(p.last) >= printEvery:
		p.last = time.Now()
		fmt.Fprintln(p.env.opts.Out, text)
	}
}

func (p *progress) snapshot(ctx context.Context) (snapshot, error) {
	s := snapshot{Sent: p.feed.sent.Load(), Of: p.env.state.Events, Skipped: map[string]int64{}}
	if in, ok := p.env.service("ingest").(*ingest.Service); ok {
		st := in.Stats()
		s.In, s.Rejected = st.In, sum(st.Rejected)
		add(s.Skipped, st.Skipped)
	}
	if v, ok := p.env.service("visits").(*visits.Service); ok {
		st := v.Stats()
		s.Engagements = st.Engagements
		add(s.Skipped, map[string]int64{"IDENTITY_UNKNOWN": st.Anonymous})
	}
	if m, ok := p.env.service("mapping").(*mapping.Service); ok {
		add(s.Skipped, m.Stats().Refused)
	}
	if w, ok := p.env.service("writer").(*writer.Service); ok {
		st := w.Stats()
		s.Written, s.Failed, s.Parked = st.Written, sum(st.Failed), st.ParkedNow
		for reason, n := range st.Skipped {
			add(s.Skipped, map[string]int64{strings.TrimPrefix(reason.String(), "REASON_"): n})
		}
	}
	behind, err := flow.Lags(ctx, p.env.kafka, flow.Hops(customerTopic))
	for _, n := range behind {
		s.Lag += n
	}
	return s, err
}

// reasonsShown is how many reasons a line of progress names.
const reasonsShown = 3

// byReason is the sum and the most frequent reasons: "120 (TRACKING_OFF 80, OWN_VIEW 30, …)".
func byReason(counts map[string]int64) string {
	reasons := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	reasons = slices.DeleteFunc(reasons, func(r string) bool { return counts[r] == 0 })
	var named []string
	for i, r := range reasons {
		if i == reasonsShown {
			named = append(named, "…")
			break
		}
		named = append(named, fmt.Sprintf("%s %d", r, counts[r]))
	}
	if len(named) == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%s)", sum(counts), strings.Join(named, ", "))
}

func add(to, counts map[string]int64) {
	for k, n := range counts {
		to[k] += n
	}
}

func sum[K comparable](counts map[K]int64) int64 {
	var n int64
	for _, c := range counts {
		n += c
	}
	return n
}
