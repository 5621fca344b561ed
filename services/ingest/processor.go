package ingest

import (
	"context"
	"errors"
	"time"

	"golang.org/x/time/rate"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/ingest/edge"
	"github.com/throughline-dev/throughline/services/ingest/event"
	"github.com/throughline-dev/throughline/services/ingest/intake"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// errNoSettings makes the runtime try the batch again: no event is to blame.
var errNoSettings = errors.New("no settings yet: is the config service running?")

// processor handles one partition of a source. It is stateless: the same records cause the same messages again.
type processor struct {
	source   Source
	settings edge.Settings
	clock    stage.Clock
	observer edge.Observer
	intake   *intake.Intake
	// pace is the source's, shared by its partitions; nil without a limit.
	pace *rate.Limiter
}

var _ stage.Processor = (*processor)(nil)

// Process decides about every record of the batch. Promise 3: a record becomes an activity, is skipped with an outcome,
// or is dead-lettered with a reason; whatever a record holds, it causes no error.
func (p *processor) Process(ctx context.Context, batch []stage.Record, out *stage.Outbox) error {
	view := p.settings.View()
	if view == nil {
		return errNoSettings
	}
	if err := p.wait(ctx, len(batch)); err != nil {
		return err
	}
	now := p.clock.Now()
	for i := range batch {
		rec := &batch[i]
		raw := p.source.raw(rec)
		raw.Now, raw.Received = now, arrival(rec, now)
		d, err := p.intake.Take(view, &raw)
		if err != nil {
			return err
		}
		for _, m := range d.Messages {
			if m.Topic == topic.Activities {
				m.Headers = append(m.Headers, topic.Class(rec.Header(topic.HeaderClass))...)
			}
			out.Send(m)
		}
		if d.Rejected() {
			out.DeadLetter(*rec, event.Code(d.Reason), d.Detail)
		}
		p.observer.Observe(p.source.Topic, &d)
	}
	return nil
}

// wait lets n events through at the source's pace. Promise 6: only this source's partitions wait; each has a worker of its own.
func (p *processor) wait(ctx context.Context, n int) error {
	if p.pace == nil {
		return nil
	}
	for n > 0 {
		step := min(n, p.pace.Burst())
		if err := p.pace.WaitN(ctx, step); err != nil {
			return err
		}
		n -= step
	}
	return nil
}

// newPace returns a source's limiter, or nil. A burst is one second's events.
func newPace(s Source) *rate.Limiter {
	if s.EventsPerSecond == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(s.EventsPerSecond), s.EventsPerSecond)
}

// arrival is the broker's time of the record: deciding about it again tomorrow must come out the same. A producer that
// sets the time itself cannot place its records in the future.
func arrival(rec *stage.Record, now time.Time) time.Time {
	if rec.Time.IsZero() || rec.Time.After(now) {
		return now
	}
	return rec.Time
}
