package main

import (
	"fmt"
	"io"
	"time"

	"github.com/throughline-dev/throughline/services/internal/replay"
)

// replayLine draws the progress of a replay in place, on one line of a terminal.
type replayLine struct {
	out   io.Writer
	began time.Time
	drawn bool
}

// draw replaces the line: how many, how fast, and how long it still takes at the speed so far.
func (l *replayLine) draw(p replay.Progress, now time.Time) {
	if l.began.IsZero() {
		l.began = now
	}
	l.drawn = true
	text := fmt.Sprintf("%d of %d dead letters", p.Done, p.Total)
	if p.Total > 0 {
		text += fmt.Sprintf("  %d %%", 100*p.Done/p.Total)
	}
	if spent := now.Sub(l.began); spent > 0 && p.Done > 0 {
		perSecond := float64(p.Done) / spent.Seconds()
		text += fmt.Sprintf("  %.1f/s", perSecond)
		if left := p.Total - p.Done; left > 0 {
			text += "  " + time.Duration(float64(left)/perSecond*float64(time.Second)).Round(time.Second).String() + " left"
		}
	}
	fmt.Fprintf(l.out, "\r\033[K%s", text)
}

// end leaves the line as it is and goes on below it.
func (l *replayLine) end() {
	if l.drawn {
		fmt.Fprintln(l.out)
	}
}
