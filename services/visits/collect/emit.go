package collect

import (
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/outcome"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/visits/visit"
	"github.com/throughline-dev/throughline/services/visits/wire"
)

// stageName is how outcomes name this stage.
const stageName = "visits"

// send sends the visit as it stands to the person it is about.
func (p *Processor) send(s *sitting, out *stage.Outbox) error {
	s.message = wire.Visit(&s.Visit, s.rules)
	if err := publish(&s.Visit, s.message, out); err != nil {
		return err
	}
	s.changed, s.SentRevision, s.SentAt = true, s.message.GetRevision(), p.now
	p.stats.Sent.Add(1)
	return nil
}

// close closes the visit and tells so: its person gets the closed revision. When nobody is known, an outcome says that
// nothing will be written (LOOM-26), or, where an integration tells the content's owner of such visits too, the closed
// revision goes on without a person (IMM-36); either happens once.
func (p *Processor) close(s *sitting, out *stage.Outbox) error {
	s.Visit.Close()
	s.changed, s.message = true, nil
	p.stats.Closed.Add(1)
	if s.Subject.Known() {
		return p.send(s, out)
	}
	if s.Skipped {
		return nil
	}
	s.Skipped = true
	p.stats.Anonymous.Add(1)
	if s.Content.Kind == visit.KindDocument && p.rules.TellsUnknown(s.Workspace, s.Content.ID, s.LastActivityAt) {
		// Nothing counts as sent by this: a person who becomes known has got nothing yet.
		s.ToldUnknown = true
		s.message = wire.Visit(&s.Visit, s.rules)
		return publish(&s.Visit, s.message, out)
	}
	return p.skip(s, out)
}

// skip tells that nothing is written, because nobody is known.
func (p *Processor) skip(s *sitting, out *stage.Outbox) error {
	m, err := outcome.Message(&streamv1.Outcome{
		Workspace:        s.Workspace,
		Status:           streamv1.Status_STATUS_SKIPPED,
		Reason:           streamv1.Reason_REASON_IDENTITY_UNKNOWN,
		Stage:            stageName,
		Detail:           "Nobody was known when the visit ended; an address from a later event of the same session still counts.",
		EventId:          string(s.FirstEventID),
		VisitId:          s.ID,
		OccurredAt:       timestamppb.New(s.LastActivityAt),
		DecidedAt:        timestamppb.New(p.now),
		SettingsRevision: s.SettingsRevision,
	}, string(s.TraceParent))
	if err != nil {
		return err
	}
	out.Send(m)
	return nil
}

// withdraw tells the person the visit was about that it is about somebody else now (LOOM-25). It does so even when that
// person got nothing as far as the state knows: a revision may have been sent by a process that died before it saved.
// The new person has got nothing yet.
func (p *Processor) withdraw(s *sitting, left visit.Subject, out *stage.Outbox) error {
	s.SentRevision = -1
	p.stats.Moved.Add(1)
	return publish(&s.Visit, wire.WithdrawnVisit(&s.Visit, left, s.rules), out)
}

// publish sends one revision. Its id is made of the visit and the revision, so a repeat is recognised (promise 5).
func publish(v *visit.Visit, m *streamv1.Visit, out *stage.Outbox) error {
	value, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode visit %s of workspace %s: %w", v.ID, v.Workspace, err)
	}
	id := v.ID + "-" + strconv.FormatInt(m.GetRevision(), 10)
	if m.GetWithdrawn() {
		id += "-withdrawn"
	}
	out.Send(stage.Message{
		Topic:       topic.Visits,
		Key:         topic.PersonKey(v.Workspace, ids.Person(m.GetSubject().GetPersonKey(), v.ID)),
		Value:       value,
		ID:          id,
		Type:        topic.TypeVisit,
		Time:        v.LastActivityAt,
		TraceParent: string(v.TraceParent),
	})
	return nil
}
