package accumulate

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/visits/totals"
	"github.com/throughline-dev/throughline/services/visits/wire"
)

// Stats counts what the processors of all partitions did. A batch that was repeated after a failure counts again. Safe
// for concurrent use.
type Stats struct {
	// Sent engagement revisions.
	Sent atomic.Int64
	// Coalesced revisions of open visits, told on by a later one of the same batch.
	Coalesced atomic.Int64
	// Repeated visit revisions, which had no effect.
	Repeated atomic.Int64
	// Erased visits, whose person was erased.
	Erased atomic.Int64
}

// Processor keeps the totals of one partition.
type Processor struct {
	limits totals.Limits
	state  *stage.Table
	stats  *Stats

	erasures Erasures
	// purged is the mark under which nobody in the state is known to be erased.
	purged uint64
	now    time.Time

	visits  []*streamv1.Visit
	newest  map[visitOf]int64
	touched map[string]*account
	order   []*account
}

// visitOf names one visit of one person: a visit that moved has revisions for both.
type visitOf struct{ person, visit string }

// account is one engagement while a batch works on it.
type account struct {
	totals totals.Totals
	// engagement is the totals as the stream knows them; its revision is that of the last one sent, 0 for none.
	engagement *streamv1.Engagement
	applied    int64
	changed    bool
	// problem is why the state entry cannot be read, "" if it can; the engagement must not be touched then.
	problem string
}

// New builds the processor of one partition on top of what its state holds.
func New(limits totals.Limits, stats *Stats, state *stage.Table) *Processor {
	return &Processor{
		limits: limits, state: state, stats: stats,
		erasures: nobody{}, newest: map[visitOf]int64{}, touched: map[string]*account{},
	}
}

// Process applies a batch of visit revisions.
func (p *Processor) Process(_ context.Context, batch []stage.Record, out *stage.Outbox) error {
	defer p.release()
	if _, err := p.erasures.Mark(); err != nil {
		return err
	}
	if err := p.read(batch, out); err != nil {
		return err
	}
	for i, v := range p.visits {
		if v == nil {
			continue
		}
		if err := p.apply(&batch[i], v, out); err != nil {
			return err
		}
	}
	return p.save()
}

// read decodes the batch and notes the newest revision of every visit in it. What is no visit is given up, and what is about
// somebody who was erased goes no further.
func (p *Processor) read(batch []stage.Record, out *stage.Outbox) error {
	for i := range batch {
		v, err := decodeVisit(batch[i].Value)
		if err != nil {
			out.DeadLetter(batch[i], "BAD_SCHEMA", err.Error())
		}
		if v != nil {
			refused, err := p.refuse(&batch[i], v, out)
			if err != nil {
				return err
			}
			if refused {
				v = nil
			}
		}
		p.visits = append(p.visits, v)
		if v != nil {
			key := visitOf{v.GetSubject().GetPersonKey(), v.GetVisitId()}
			p.newest[key] = max(p.newest[key], v.GetRevision())
		}
	}
	return nil
}

func (p *Processor) apply(rec *stage.Record, v *streamv1.Visit, out *stage.Outbox) error {
	if v.GetRegistration() != nil {
		return p.register(rec, v, out)
	}
	if v.GetSubject().GetPersonKey() == "" {
		return p.pass(rec, v, out)
	}
	a := p.account(v)
	if a.problem != "" {
		out.DeadLetter(*rec, "BAD_SCHEMA", "the totals that visit "+v.GetVisitId()+" belongs to: "+a.problem)
		return nil
	}
	heard := a.heard()
	if rec.Offset <= a.applied || !a.totals.Apply(contribution(v), p.limits) {
		p.stats.Repeated.Add(1)
		return nil
	}
	a.applied, a.changed = rec.Offset, true
	a.retell(v)
	if p.superseded(v) {
		p.stats.Coalesced.Add(1)
		return nil
	}
	if v.GetWithdrawn() && !heard {
		return nil // There is no record yet that would have to forget the visit.
	}
	return p.send(rec, a, out)
}

// pass sends the engagement of a visit whose viewer nobody knows: it is about that visit alone, so nothing is remembered
// (IMM-36). A repetition comes to the same engagement.
func (p *Processor) pass(rec *stage.Record, v *streamv1.Visit, out *stage.Outbox) error {
	a := &account{applied: rec.Offset, engagement: &streamv1.Engagement{
		EngagementId: ids.EngagementID(v.GetWorkspace(), ids.Person("", v.GetVisitId()), v.GetContent().GetContentId()),
		Workspace:    v.GetWorkspace(),
	}}
	a.totals.Apply(contribution(v), p.limits)
	a.retell(v)
	return p.send(rec, a, out)
}

// register sends the engagement that a registration is by itself: it adds nothing up, and its revision is the registration's.
func (p *Processor) register(rec *stage.Record, v *streamv1.Visit, out *stage.Outbox) error {
	return p.publish(rec, &streamv1.Engagement{
		EngagementId: ids.EngagementID(v.GetWorkspace(), v.GetVisitId(), v.GetContent().GetContentId()),
		Workspace:    v.GetWorkspace(), Subject: v.GetSubject(), Content: v.GetContent(), Revision: v.GetRevision(), Visit: v,
	}, out)
}

// heard reports whether there was ever a visit to tell of. It depends on the visits applied alone and not on what was
// sent, so that a repetition comes to the same answer.
func (a *account) heard() bool {
	return a.engagement.GetRevision() > 0 || a.totals.Folded.Visits > 0 ||
		slices.ContainsFunc(a.totals.Visits, func(c totals.Contribution) bool { return c.Visits > 0 })
}

// superseded reports whether the batch holds a newer revision of the same open visit. A closed or withdrawn revision is
// never held back.
func (p *Processor) superseded(v *streamv1.Visit) bool {
	return v.GetState() != streamv1.VisitState_VISIT_STATE_CLOSED && !v.GetWithdrawn() &&
		p.newest[visitOf{v.GetSubject().GetPersonKey(), v.GetVisitId()}] > v.GetRevision()
}

// retell brings the engagement up to date after v was applied.
func (a *account) retell(v *streamv1.Visit) {
	e := a.engagement
	if last := v.GetLastActivityAt(); e.LastViewedAt == nil || !last.AsTime().Before(e.GetLastViewedAt().AsTime()) {
		if !v.GetWithdrawn() {
			e.Content, e.Subject = v.GetContent(), v.GetSubject()
		}
	}
	if e.Content == nil {
		e.Content, e.Subject = v.GetContent(), v.GetSubject()
	}
	sum := a.totals.Sum()
	e.Visits, e.Views = sum.Visits, sum.Views
	e.FirstViewedAt, e.LastViewedAt = wire.Timestamp(sum.StartedAt), wire.Timestamp(sum.LastAt)
	e.Ranges = wire.RangesToProto(sum.Ranges)
	e.WatchedSeconds, e.DwellSeconds = sum.Watched.Seconds(), sum.Dwell.Seconds()
	e.CallToAction = nil
	if sum.Clicks > 0 {
		e.CallToAction = &streamv1.CallToAction{
			Clicks: sum.Clicks, LastLabel: sum.LastClick.Label, LastUrl: sum.LastClick.URL, LastAt: wire.Timestamp(sum.LastClick.At),
		}
	}
	// LOOM-29: what was seen once stays seen, even if the content's length changes. Only a withdrawn visit takes its share
	// along.
	percent := sum.Ranges.Percent(e.GetContent().GetLengthSeconds())
	if !v.GetWithdrawn() {
		percent = max(percent, e.GetPercentWatched())
	}
	e.PercentWatched = percent
	e.Visit = v
}

func (p *Processor) send(rec *stage.Record, a *account, out *stage.Outbox) error {
	a.engagement.Revision = a.applied + 1
	return p.publish(rec, a.engagement, out)
}

func (p *Processor) publish(rec *stage.Record, e *streamv1.Engagement, out *stage.Outbox) error {
	value, err := proto.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode engagement %s of workspace %s: %w", e.GetEngagementId(), e.GetWorkspace(), err)
	}
	out.Send(stage.Message{
		Topic:       topic.Engagements,
		Key:         topic.PersonKey(e.GetWorkspace(), ids.Person(e.GetSubject().GetPersonKey(), e.GetVisit().GetVisitId())),
		Value:       value,
		ID:          e.GetEngagementId() + "-" + strconv.FormatInt(e.GetRevision(), 10),
		Type:        topic.TypeEngagement,
		Time:        wire.Instant(e.GetVisit().GetLastActivityAt()),
		TraceParent: rec.TraceParent(),
		Headers:     topic.Class(rec.Header(topic.HeaderClass)),
	})
	p.stats.Sent.Add(1)
	return nil
}

// account returns the engagement that v belongs to, decoding it the first time the batch touches it.
func (p *Processor) account(v *streamv1.Visit) *account {
	id := ids.EngagementID(v.GetWorkspace(), v.GetSubject().GetPersonKey(), v.GetContent().GetContentId())
	if a, ok := p.touched[id]; ok {
		return a
	}
	a := &account{applied: -1, engagement: &streamv1.Engagement{}}
	if value, ok := p.state.Get(id); ok {
		var err error
		if a, err = decodeState(value); err != nil {
			a = &account{problem: err.Error(), engagement: &streamv1.Engagement{}}
		} else if p.erased(a.engagement) {
			// The person was let in again, and this is from before.
			a = &account{applied: -1, engagement: &streamv1.Engagement{}}
		}
	}
	a.engagement.EngagementId, a.engagement.Workspace = id, v.GetWorkspace()
	p.touched[id] = a
	p.order = append(p.order, a)
	return a
}

// save stages the state of every engagement that changed.
func (p *Processor) save() error {
	for _, a := range p.order {
		if !a.changed {
			continue
		}
		value, err := encodeState(a)
		if err != nil {
			return err
		}
		p.state.Put(a.engagement.GetEngagementId(), value)
	}
	return nil
}

func (p *Processor) release() {
	clear(p.visits)
	clear(p.order)
	p.visits, p.order = p.visits[:0], p.order[:0]
	clear(p.newest)
	clear(p.touched)
}
