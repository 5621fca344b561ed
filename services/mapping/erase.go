package mapping

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/outcome"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/mapping/decide"
)

// erased reports whether a resolved engagement is about somebody who was erased (XC-31). An erased owner of the content is
// taken out of one that is not.
func erased(w *settings.Workspace, resolved *streamv1.Resolved) bool {
	e := resolved.GetEngagement()
	at := e.GetVisit().GetLastActivityAt().AsTime()
	for _, c := range []*streamv1.Content{e.GetContent(), e.GetVisit().GetContent()} {
		if w.Erased(c.GetOwnerKey(), at) {
			c.OwnerKey, c.OwnerSealed = "", nil
		}
	}
	return w.Erased(e.GetSubject().GetPersonKey(), at)
}

// erased says that a record goes no further: nothing of it is opened.
func (b *batchRun) erased(rec *stage.Record, resolved *streamv1.Resolved) error {
	e := resolved.GetEngagement()
	m, err := outcome.Message(outcome.Erased(&streamv1.Outcome{
		Workspace: e.GetWorkspace(), Stage: decide.Stage, Connection: resolved.GetConnection(),
		EventId: e.GetVisit().GetLastEventId(), VisitId: e.GetVisit().GetVisitId(), Revision: e.GetRevision(),
		OccurredAt: e.GetVisit().GetLastActivityAt(), DecidedAt: timestamppb.New(b.now), SettingsRevision: b.view.Revision(),
	}), rec.TraceParent())
	if err != nil {
		return stage.Permanent("MAPPING_INVALID", err)
	}
	b.out.Send(m)
	b.count.add(&decide.Result{Refused: map[streamv1.Reason]int{streamv1.Reason_REASON_ERASED_SUBJECT: 1}})
	return nil
}
