package delivery

import (
	"context"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/outcome"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
)

// erased reports whether a write is about somebody who was erased. Such a write is not opened any more; one that is in a
// request already comes to its end there (XC-31).
func (h *Handler) erased(w *streamv1.Write) bool {
	return h.deps.Settings.View().Erased(w.GetWorkspace(), w.GetPersonKey(), w.GetOccurredAt().AsTime())
}

// endErased ends a write at the door, whatever the state of its org.
func (h *Handler) endErased(ctx context.Context, it *queue.Item) error {
	end, err := h.erasedEnding(it)
	if err != nil {
		return err
	}
	return h.lane(laneKey{it.Write.GetWorkspace(), it.Write.GetConnection()}).finish(ctx, []ending{end})
}

// erasedEnding is the end of a write whose person was erased. The ledger keeps what it knows, which is hashes and the id of a
// record: what comes of the person after the suppression was lifted is not written twice.
func (h *Handler) erasedEnding(it *queue.Item) (ending, error) {
	end := ending{
		item: it, status: streamv1.Status_STATUS_SKIPPED, reason: streamv1.Reason_REASON_ERASED_SUBJECT, detail: outcome.ErasedDetail,
	}
	if !it.Ambiguous || ledger.Once(it.Write) {
		return end, nil
	}
	// Promise 4: an answer was lost, so nobody knows what the record says.
	var entry stage.Entry
	entry, err := ledger.Doubt(h.table, it.Write, h.deps.Clock.Now())
	end.entry = &entry
	return end, err
}

// withoutEnded ends those of a request's writes whose person was erased, or whose org was replaced, since they came, and returns
// the others.
func (l *lane) withoutEnded(items []*queue.Item, res *result) []*queue.Item {
	kept := make([]*queue.Item, 0, len(items))
	for _, it := range items {
		var end ending
		var err error
		switch {
		case l.h.erased(it.Write):
			end, err = l.h.erasedEnding(it)
		case l.h.replaced(it.Write):
			end, err = l.h.replacedEnding(it)
		default:
			kept = append(kept, it)
			continue
		}
		if err != nil {
			l.abandoned("end a write that is not to be made any more", err)
			continue
		}
		res.endings = append(res.endings, end)
	}
	return kept
}
