package resolve

import (
	"context"
	"sync/atomic"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// Stats counts over all partitions. A batch that was repeated after a failure counts again. Safe for concurrent use.
type Stats struct {
	// Engagements handled, without those that came back.
	Engagements atomic.Int64
	// Resolved messages sent.
	Resolved atomic.Int64
	// Unresolved engagements put off because of an org's trouble, each time anew.
	Unresolved atomic.Int64
	// GivenUp after Config.MaxAge.
	GivenUp atomic.Int64
	// Unclaimed visits ended without any integration that takes them.
	Unclaimed atomic.Int64
	// Erased engagements went no further because their person was erased.
	Erased atomic.Int64
}

// Deps is what code passes in; all of it is required.
type Deps struct {
	Settings  Settings
	Directory Directory
	Clock     Clock
	Stats     *Stats
	// Forget is called when somebody was erased or let in again; whoever the directory remembers and erased says yes to is
	// to be forgotten. Optional.
	Forget func(erased func(workspace, personKey string) bool)
}

// Processor resolves the engagements of one partition. It keeps nothing between batches.
type Processor struct {
	cfg  Config
	deps Deps
	jobs []job
	// forgotten is the mark of the erasures that the directory has been told of.
	forgotten uint64
}

// NewProcessor returns a processor. cfg must be valid.
func NewProcessor(cfg Config, deps Deps) *Processor { return &Processor{cfg: cfg, deps: deps} }

// Process resolves a batch.
func (p *Processor) Process(ctx context.Context, batch []stage.Record, out *stage.Outbox) error {
	view := p.deps.Settings.View()
	if view == nil {
		return errNoSettings
	}
	p.forget(view)
	p.jobs = p.jobs[:0]
	defer func() { clear(p.jobs) }()
	for i := range batch {
		if err := p.plan(view, &batch[i], out); err != nil {
			return err
		}
	}
	p.deps.Stats.Engagements.Add(int64(len(batch)))
	answers := look(ctx, p.deps.Directory, p.jobs, false)
	if err := ctx.Err(); err != nil {
		return err // A stop is no trouble of the org: the batch comes back.
	}
	for i := range p.jobs {
		if err := p.settle(&p.jobs[i], answers[i].Err, func() (stage.Message, error) {
			return resolved(&p.jobs[i], &answers[i], view.Revision())
		}, out); err != nil {
			return err
		}
	}
	return nil
}

// plan finds out what must be asked for one record.
func (p *Processor) plan(view *settings.View, rec *stage.Record, out *stage.Outbox) error {
	e, refused := decode(rec.Value)
	if refused != nil {
		out.DeadLetter(*rec, code(refused.reason), refused.Error())
		return nil
	}
	now := p.deps.Clock.Now()
	w, policy, refused := place(view, e)
	switch {
	case refused == nil:
	case refused.permanent:
		out.DeadLetter(*rec, code(refused.reason), refused.Error())
		return nil
	default:
		p.putOff(&job{rec: rec, engagement: e, since: now}, out)
		return nil
	}
	if erased(w, e) {
		m, err := erasure(rec, e, now)
		if err == nil {
			out.Send(m)
			p.deps.Stats.Erased.Add(1)
		}
		return err
	}
	where := targets(w, e)
	for _, t := range where {
		p.jobs = append(p.jobs, job{
			rec: rec, engagement: e, workspace: w, connection: t.connection, users: t.users, account: t.account, policy: policy, since: now,
		})
	}
	if len(where) > 0 {
		return nil
	}
	m, ok, err := noWorkflow(rec, e, view, now)
	if ok {
		out.Send(m)
		p.deps.Stats.Unclaimed.Add(1)
	}
	return err
}

// settle sends what became of one job.
func (p *Processor) settle(j *job, trouble error, message func() (stage.Message, error), out *stage.Outbox) error {
	if trouble == nil {
		m, err := message()
		if err != nil {
			return err
		}
		out.Send(m)
		p.deps.Stats.Resolved.Add(1)
		return nil
	}
	if refused := refusalOf(trouble); refused.permanent {
		out.DeadLetter(*j.rec, code(refused.reason), refused.Error())
		return nil
	}
	p.putOff(j, out)
	return nil
}

// putOff sends the job to the unresolved topic. Promise 6: the partition goes on.
func (p *Processor) putOff(j *job, out *stage.Outbox) {
	j.attempt++
	out.Send(unresolved(j, p.deps.Clock.Now().Add(p.cfg.backoff(j.attempt))))
	p.deps.Stats.Unresolved.Add(1)
}
