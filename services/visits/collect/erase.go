package collect

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/outcome"
	"github.com/throughline-dev/throughline/services/visits/visit"
)

// Erasures tells who was erased (XC-31).
type Erasures interface {
	// Mark changes whenever somebody is erased or let in again; 0 while nobody is. The error means that settings have not
	// arrived yet.
	Mark() (uint64, error)
	// Erased reports whether what a person did at a time must not be recorded.
	Erased(workspace, personKey string, at time.Time) bool
}

// nobody was erased.
type nobody struct{}

func (nobody) Mark() (uint64, error) { return 0, nil }

func (nobody) Erased(string, string, time.Time) bool { return false }

// refuse tells of an activity that goes no further because its person was erased, and takes an erased owner out of one
// that goes on. While nobody is erased it costs nothing.
func (p *Processor) refuse(a *visit.Activity, out *stage.Outbox) (refused bool, err error) {
	if !p.suppressing {
		return false, nil
	}
	if len(a.Content.OwnerKey) > 0 && p.erasures.Erased(string(a.Workspace), string(a.Content.OwnerKey), a.At) {
		a.Content.OwnerKey, a.Content.OwnerSealed = nil, nil
	}
	if !p.erasures.Erased(string(a.Workspace), string(a.Subject.PersonKey), a.At) {
		return false, nil
	}
	p.stats.Erased.Add(1)
	return true, tellErased(&streamv1.Outcome{
		Workspace: string(a.Workspace), EventId: string(a.EventID), OccurredAt: timestamppb.New(a.At),
		DecidedAt: timestamppb.New(p.now), SettingsRevision: a.SettingsRevision,
	}, string(a.TraceParent), out)
}

// blankErased makes a visit whose person was erased one that nothing is known of yet, and takes an erased owner out.
func (p *Processor) blankErased(s *sitting, out *stage.Outbox) error {
	if !p.suppressing || s.problem != "" {
		return nil
	}
	if p.ownerErased(&s.Visit) {
		s.Content.OwnerKey, s.Content.OwnerSealed = "", nil
		s.changed, s.message = true, nil
	}
	if !p.subjectErased(&s.Visit) {
		return nil
	}
	err := p.tellDropped(&s.Visit, out)
	s.Reset(s.ID, s.Workspace, s.Session)
	s.changed, s.message = true, nil
	return err
}

func (p *Processor) subjectErased(v *visit.Visit) bool {
	return v.Subject.Known() && p.erasures.Erased(v.Workspace, v.Subject.PersonKey, v.LastActivityAt)
}

func (p *Processor) ownerErased(v *visit.Visit) bool {
	return v.Content.OwnerKey != "" && p.erasures.Erased(v.Workspace, v.Content.OwnerKey, v.LastActivityAt)
}

// purge goes through all visits when somebody was erased, or let in again, since it found nothing to drop. It is bounded
// like a tick: what is left is found the next time.
func (p *Processor) purge(out *stage.Outbox) error {
	mark, err := p.erasures.Mark()
	if err != nil || mark == p.purged {
		return err
	}
	p.suppressing = mark != 0
	var found []string
	if p.suppressing {
		var s sitting
		p.state.Range(func(id string, value []byte) bool {
			if s.decode(id, value) && (p.subjectErased(&s.Visit) || p.ownerErased(&s.Visit)) {
				found = append(found, id)
			}
			return len(found) < p.cfg.TickVisits
		})
	}
	for _, id := range found {
		if err := p.drop(id, out); err != nil {
			return err
		}
	}
	if len(found) == 0 {
		p.purged = mark // what was dropped by an earlier tick has taken effect
	}
	return nil
}

// drop deletes one visit from the state because its person was erased, or takes its erased owner out.
func (p *Processor) drop(id string, out *stage.Outbox) error {
	defer p.release()
	s, ok, err := p.load(id)
	if err != nil || !ok {
		return err
	}
	if p.subjectErased(&s.Visit) {
		p.state.Delete(id)
		return p.tellDropped(&s.Visit, out)
	}
	s.Content.OwnerKey, s.Content.OwnerSealed, s.message = "", nil, nil
	return p.save(s)
}

// tellDropped tells of a visit that was open, or remembered, when its person was erased.
func (p *Processor) tellDropped(v *visit.Visit, out *stage.Outbox) error {
	p.stats.Erased.Add(1)
	return tellErased(&streamv1.Outcome{
		Workspace: v.Workspace, VisitId: v.ID, EventId: string(v.FirstEventID), OccurredAt: timestamppb.New(v.LastActivityAt),
		DecidedAt: timestamppb.New(p.now), SettingsRevision: v.SettingsRevision, Revision: v.Revision(),
	}, string(v.TraceParent), out)
}

func tellErased(o *streamv1.Outcome, traceParent string, out *stage.Outbox) error {
	o.Stage = stageName
	m, err := outcome.Message(outcome.Erased(o), traceParent)
	if err == nil {
		out.Send(m)
	}
	return err
}
