package collect

import (
	"context"
	"errors"
	"time"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/visits/visit"
	"github.com/throughline-dev/throughline/services/visits/wire"
)

// RuleBook knows the rules of every workspace.
type RuleBook interface {
	// Rules returns the rules in force for visits of the workspace; an unknown workspace has the default ones. The error
	// means that settings have not arrived yet: the batch is tried again.
	Rules(workspace string) (visit.Rules, error)
	// TellsUnknown reports whether somebody wants to hear of a visit to the document that ended at the given time, although
	// nobody knows the viewer (IMM-36).
	TellsUnknown(workspace, document string, at time.Time) bool
}

// Processor collects the visits of one partition.
type Processor struct {
	cfg   Config
	rules RuleBook
	state *stage.Table
	due   *schedule
	stats *Stats

	erasures Erasures
	// purged is the mark under which nobody in the state is known to be erased; suppressing is true while anybody is.
	purged      uint64
	suppressing bool

	// now is the stage's clock as of the last tick.
	now   time.Time
	clock arrivalClock
	// ticked are the visits that the last tick changed. They are scheduled by the next one, when the state shows whether the
	// change has taken effect or was rolled back.
	ticked []string

	activity visit.Activity
	key      []byte
	touched  map[string]*sitting
	order    []*sitting
	free     []*sitting
}

// sitting is one visit while a batch works on it.
type sitting struct {
	visit.Visit
	rules visit.Rules
	// changed is true once the visit differs from its state entry.
	changed bool
	// message is the stream's form of the visit as it stands, nil when it was not needed yet.
	message *streamv1.Visit
	// problem is why the state entry cannot be read, "" if it can; the visit must not be touched then.
	problem string
}

// Deps is what code passes in.
type Deps struct {
	Rules RuleBook
	// Erasures tells who was erased; nil for nobody.
	Erasures Erasures
	// Stats counts over all partitions.
	Stats *Stats
	// Now is the stage's clock when the partition was assigned.
	Now time.Time
}

// New builds the processor of one partition on top of what its state holds.
func New(cfg Config, deps Deps, state *stage.Table) (*Processor, error) {
	p := &Processor{
		cfg: cfg, rules: deps.Rules, state: state, stats: deps.Stats, now: deps.Now,
		due: newSchedule(), clock: arrivalClock{behind: cfg.Behind}, touched: map[string]*sitting{}, erasures: deps.Erasures,
	}
	if p.erasures == nil {
		p.erasures = nobody{}
	}
	return p, p.restore()
}

// restore schedules every visit the state holds. What a newer program wrote is left alone.
func (p *Processor) restore() error {
	var s sitting
	var failed error
	p.state.Range(func(id string, value []byte) bool {
		if !s.decode(id, value) {
			p.stats.Unreadable.Add(1)
			return true
		}
		if s.rules, failed = p.rules.Rules(s.Workspace); failed != nil {
			return false
		}
		p.due.set(id, s.NextDue(s.rules))
		return true
	})
	return failed
}

// Process applies a batch of activities.
func (p *Processor) Process(_ context.Context, batch []stage.Record, out *stage.Outbox) error {
	defer p.release()
	mark, err := p.erasures.Mark()
	if err != nil {
		return err
	}
	p.suppressing = mark != 0
	for i := range batch {
		if err := p.take(&batch[i], out); err != nil {
			return err
		}
	}
	for _, s := range p.order {
		if err := p.finish(s, out); err != nil {
			return err
		}
	}
	p.clock.batch(batch)
	return nil
}

// take applies one activity. A record that is no activity, or whose visit a newer program keeps, is given up.
func (p *Processor) take(rec *stage.Record, out *stage.Outbox) error {
	a := &p.activity
	if err := wire.ReadActivity(rec.Value, a); err != nil {
		out.DeadLetter(*rec, "BAD_SCHEMA", err.Error())
		return nil
	}
	a.Offset, a.Arrival, a.TraceParent = rec.Offset, rec.Time, rec.Header(stage.HeaderTraceParent)
	a.Bulk = string(rec.Header(topic.HeaderClass)) == topic.ClassBulk
	if refused, err := p.refuse(a, out); refused || err != nil {
		return err
	}
	if a.Registration != nil {
		return p.register(rec, a, out)
	}
	s, err := p.sitting(a)
	if err != nil {
		return err
	}
	if err := p.blankErased(s, out); err != nil {
		return err
	}
	if s.problem != "" {
		out.DeadLetter(*rec, "BAD_SCHEMA", "visit "+s.ID+": "+s.problem)
		return nil
	}
	return p.apply(s, a, out)
}

func (p *Processor) apply(s *sitting, a *visit.Activity, out *stage.Outbox) error {
	if s.Activities > 0 && !s.Closed && !a.Arrival.Before(s.CloseDue(s.rules)) && !s.Knows(a) {
		// The visit ended before this activity came; a tick would have said so had it run in time.
		if err := p.close(s, out); err != nil {
			return err
		}
	}
	effect := s.Apply(a, p.cfg.Limits)
	if !effect.Applied {
		p.stats.Repeated.Add(1)
		return nil
	}
	s.changed, s.message = true, nil
	if effect.Left.Known() {
		if err := p.withdraw(s, effect.Left, out); err != nil {
			return err
		}
	}
	if a.Action.Ends() && s.Closing && s.rules.Settle == 0 {
		return p.close(s, out)
	}
	return nil
}

// finish sends what a touched visit has to tell and stages its new state.
func (p *Processor) finish(s *sitting, out *stage.Outbox) error {
	if !s.changed {
		return nil
	}
	if !s.Closed && s.Closing && s.rules.Settle == 0 {
		if err := p.close(s, out); err != nil {
			return err
		}
	}
	if due, ok := s.ReportDue(s.rules); ok && !s.Closed && !due.After(p.now) {
		if err := p.send(s, out); err != nil {
			return err
		}
	}
	if err := p.save(s); err != nil {
		return err
	}
	p.due.set(s.ID, s.NextDue(s.rules))
	return nil
}

// save stages the visit's state entry.
func (p *Processor) save(s *sitting) error {
	if s.message == nil {
		s.message = wire.Visit(&s.Visit, s.rules)
	}
	value, err := wire.EncodeState(&s.Visit, s.message)
	if err != nil {
		return err
	}
	p.state.Put(s.ID, value)
	return nil
}

// sitting returns the visit that a belongs to, decoding it the first time the batch touches it.
func (p *Processor) sitting(a *visit.Activity) (*sitting, error) {
	p.key = append(append(append(append(append(p.key[:0], a.Workspace...), 0), a.Session...), 0), a.Content.ID...)
	if s, ok := p.touched[string(p.key)]; ok {
		return s, nil
	}
	s := p.blank()
	workspace, session := string(a.Workspace), string(a.Session)
	s.Reset(ids.VisitID(workspace, session, string(a.Content.ID)), workspace, session)
	rules, err := p.rules.Rules(workspace)
	if err != nil {
		return nil, err
	}
	s.rules = rules
	if value, ok := p.state.Get(s.ID); ok {
		s.decode(s.ID, value)
	} else {
		p.stats.Opened.Add(1)
	}
	p.touched[string(p.key)] = s
	p.order = append(p.order, s)
	return s, nil
}

// decode reads a state entry. It returns false, and notes the problem, when the entry cannot be read.
func (s *sitting) decode(id string, value []byte) bool {
	err := wire.DecodeState(id, value, &s.Visit)
	if err == nil {
		return true
	}
	s.problem = err.Error()
	var newer *wire.VersionError
	if !errors.As(err, &newer) {
		s.problem += ": delete the entry from the state topic, then replay"
	}
	return false
}

// blank returns an empty sitting, from an earlier batch if there is one.
func (p *Processor) blank() *sitting {
	if n := len(p.free); n > 0 {
		s := p.free[n-1]
		p.free = p.free[:n-1]
		return s
	}
	return &sitting{}
}

// release ends a batch. Sittings are kept for the next one, without what they borrowed from the records.
func (p *Processor) release() {
	for _, s := range p.order {
		s.Reset("", "", "")
		s.changed, s.message, s.problem = false, nil, ""
	}
	p.free = append(p.free, p.order...)
	clear(p.order)
	p.order = p.order[:0]
	clear(p.touched)
}
