package accumulate

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/outcome"
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

// stageName is how outcomes name this stage.
const stageName = "visits"

// purgeAtOnce is the most entries that one tick deletes.
const purgeAtOnce = 1000

// Erasing makes the processor forget who was erased, from now on. Call it before the first batch; now is the stage's clock.
func (p *Processor) Erasing(e Erasures, now time.Time) *Processor {
	p.erasures, p.now = e, now
	return p
}

// Tick forgets the totals of who was erased.
func (p *Processor) Tick(_ context.Context, now time.Time, _ *stage.Outbox) error {
	p.now = now
	mark, err := p.erasures.Mark()
	if err != nil || mark == p.purged {
		return err
	}
	var found []string
	if mark != 0 {
		p.state.Range(func(id string, value []byte) bool {
			if a, err := decodeState(value); err == nil && p.erased(a.engagement) {
				found = append(found, id)
			}
			return len(found) < purgeAtOnce
		})
	}
	for _, id := range found {
		p.state.Delete(id)
	}
	if len(found) == 0 {
		p.purged = mark // what was deleted by an earlier tick has taken effect
	}
	return nil
}

func (p *Processor) erased(e *streamv1.Engagement) bool {
	return p.erasures.Erased(e.GetWorkspace(), e.GetSubject().GetPersonKey(), e.GetLastViewedAt().AsTime())
}

// refuse tells of a visit that goes no further because its person was erased, and takes an erased owner out of one that goes
// on.
func (p *Processor) refuse(rec *stage.Record, v *streamv1.Visit, out *stage.Outbox) (refused bool, err error) {
	at := v.GetLastActivityAt().AsTime()
	if c := v.GetContent(); c.GetOwnerKey() != "" && p.erasures.Erased(v.GetWorkspace(), c.GetOwnerKey(), at) {
		c.OwnerKey, c.OwnerSealed = "", nil
	}
	if !p.erasures.Erased(v.GetWorkspace(), v.GetSubject().GetPersonKey(), at) {
		return false, nil
	}
	p.stats.Erased.Add(1)
	m, err := outcome.Message(outcome.Erased(&streamv1.Outcome{
		Workspace: v.GetWorkspace(), Stage: stageName, VisitId: v.GetVisitId(), EventId: v.GetLastEventId(), Revision: v.GetRevision(),
		OccurredAt: v.GetLastActivityAt(), DecidedAt: timestamppb.New(p.now), SettingsRevision: v.GetSettingsRevision(),
	}), rec.TraceParent())
	if err == nil {
		out.Send(m)
	}
	return true, err
}
