package resolve

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/outcome"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// erased reports whether an engagement is about somebody who was erased. Nothing of theirs is opened then, and no org asked
// (XC-31).
func erased(w *settings.Workspace, e *streamv1.Engagement) bool {
	return w.Erased(e.GetSubject().GetPersonKey(), e.GetVisit().GetLastActivityAt().AsTime())
}

// erasure says that an engagement goes no further.
func erasure(rec *stage.Record, e *streamv1.Engagement, now time.Time) (stage.Message, error) {
	return outcome.Message(outcome.Erased(&streamv1.Outcome{
		Workspace: e.GetWorkspace(), Stage: stageName, EventId: e.GetVisit().GetLastEventId(), VisitId: e.GetVisit().GetVisitId(),
		Revision: e.GetRevision(), OccurredAt: e.GetVisit().GetLastActivityAt(), DecidedAt: timestamppb.New(now),
		SettingsRevision: e.GetVisit().GetSettingsRevision(),
	}), rec.TraceParent())
}

// forget tells the directory of erasures that are new to this partition.
func (p *Processor) forget(view *settings.View) {
	mark := view.ErasureMark()
	if mark == p.forgotten || p.deps.Forget == nil {
		return
	}
	now := p.deps.Clock.Now()
	p.deps.Forget(func(workspace, personKey string) bool { return view.Erased(workspace, personKey, now) })
	p.forgotten = mark
}
