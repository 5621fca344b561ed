package collect

import (
	"context"
	"time"

	"github.com/throughline-dev/throughline/libs/stage"
)

// Tick reports, closes and forgets the visits whose time has come.
func (p *Processor) Tick(_ context.Context, now time.Time, out *stage.Outbox) error {
	if err := p.setClock(now); err != nil {
		return err
	}
	arrived := p.clock.tick(p.now)
	if err := p.purge(out); err != nil {
		return err
	}
	if err := p.reschedule(); err != nil {
		return err
	}
	for range p.cfg.TickVisits { // Promise 7: a tick is bounded; what is left is due at the next one.
		id, ok := p.due.pop(p.now)
		if !ok {
			return nil
		}
		if err := p.attend(id, arrived, out); err != nil {
			p.ticked = append(p.ticked, id)
			return err
		}
	}
	return nil
}

// clockStep is how far the clock may go back, as clocks do that are kept right, before it counts as set back.
const clockStep = time.Minute

// setClock follows the stage's clock, backwards too: one that was ahead for a moment must not close, or keep open, all that
// comes after. What was scheduled by it is scheduled anew.
func (p *Processor) setClock(now time.Time) error {
	back := p.now.Sub(now) > clockStep
	p.now = now
	if !back {
		return nil
	}
	p.due = newSchedule()
	return p.restore()
}

// reschedule puts back the visits that the last tick changed, by what the state says of them now: the change, or what
// was before if the change did not take effect.
func (p *Processor) reschedule() error {
	defer p.release()
	for len(p.ticked) > 0 {
		id := p.ticked[len(p.ticked)-1]
		s, ok, err := p.load(id)
		if err != nil {
			return err
		}
		if ok {
			p.due.set(id, s.NextDue(s.rules))
		}
		p.ticked = p.ticked[:len(p.ticked)-1]
	}
	return nil
}

// attend does what is due for one visit, at most one thing.
func (p *Processor) attend(id string, arrived time.Time, out *stage.Outbox) error {
	defer p.release()
	s, ok, err := p.load(id)
	if err != nil || !ok {
		return err
	}
	report, unsent := s.ReportDue(s.rules)
	switch {
	case !s.Closed && !s.CloseDue(s.rules).After(arrived):
		err = p.close(s, out)
	case !s.Closed && unsent && !report.After(p.now):
		err = p.send(s, out)
	case s.Closed && !s.ForgetDue(s.rules).After(arrived):
		p.state.Delete(id)
		p.stats.Forgotten.Add(1)
		p.ticked = append(p.ticked, id)
		return nil
	default:
		p.due.set(id, later(s.NextDue(s.rules), p.now.Add(time.Second)))
		return nil
	}
	if err != nil {
		return err
	}
	p.ticked = append(p.ticked, id)
	return p.save(s)
}

// load reads one visit from the state. ok is false when it is gone, or when a newer program keeps it.
func (p *Processor) load(id string) (s *sitting, ok bool, err error) {
	value, ok := p.state.Get(id)
	if !ok {
		return nil, false, nil
	}
	s = p.blank()
	p.order = append(p.order, s)
	if !s.decode(id, value) {
		return nil, false, nil
	}
	s.rules, err = p.rules.Rules(s.Workspace)
	return s, err == nil, err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// arrivalClock tells until when a partition's records have been seen.
type arrivalClock struct {
	behind time.Duration
	// newest is the broker's time of the newest record handled.
	newest time.Time
	// quiet counts the ticks since the last batch.
	quiet int
}

// quietTicks is how many ticks in a row must find no batch before the partition counts as read to its end.
const quietTicks = 2

func (c *arrivalClock) batch(batch []stage.Record) {
	for i := range batch {
		if batch[i].Time.After(c.newest) {
			c.newest = batch[i].Time
		}
	}
	c.quiet = 0
}

// tick returns the time up to which it is known who was silent: now, or while the partition is behind, the time of its
// newest record.
func (c *arrivalClock) tick(now time.Time) time.Time {
	c.quiet++
	if c.quiet > quietTicks || (!c.newest.IsZero() && now.Sub(c.newest) <= c.behind) {
		return now
	}
	return c.newest
}
