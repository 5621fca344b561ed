package delivery

import (
	"context"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
)

// Replaced reports whether a write is for another org than its connection is with now: an administrator has accepted that one,
// and with it that what was on the way to the other is given up (LOOM-14). The records that the write names are not there, and
// what the ledger knows of the other org says nothing about this one.
func Replaced(view *settings.View, workspace, connection, org string) bool {
	ws, ok := view.Workspace(workspace)
	if !ok {
		return false
	}
	c, ok := ws.Connection(connection)
	if !ok {
		return false
	}
	now, known := settings.OrgOf(c)
	return known && now != org
}

func (h *Handler) replaced(w *streamv1.Write) bool {
	return Replaced(h.deps.Settings.View(), w.GetWorkspace(), w.GetConnection(), w.GetOrg())
}

const replacedDetail = "the connection is with another org now; what was meant for the one before is given up. " +
	"Replay the dead letter from the stage identity to have it looked up and written in the new one"

// endReplaced ends a write at the door, whatever the state of the org.
func (h *Handler) endReplaced(ctx context.Context, it *queue.Item) error {
	end, err := h.replacedEnding(it)
	if err != nil {
		return err
	}
	return h.lane(laneKey{it.Write.GetWorkspace(), it.Write.GetConnection()}).finish(ctx, []ending{end})
}

// replacedEnding is the end of a write whose org is not the connection's any more: as it ended there, if it had, else it is given
// up. Promise 3: nobody is left without a reason, and its dead letter is kept. The ledger keeps what it knows, for the case that
// the org comes back.
func (h *Handler) replacedEnding(it *queue.Item) (ending, error) {
	now := h.deps.Clock.Now()
	known, err := ledger.Decide(h.table, it.Write)
	if err == nil && known.Step != ledger.Send && known.Step != ledger.Look {
		return skip(queue.Skipped{Item: it, Verdict: known}, now)
	}
	end := ending{
		item: it, status: streamv1.Status_STATUS_FAILED, reason: streamv1.Reason_REASON_SF_RECORD_GONE, detail: replacedDetail,
	}
	if !it.Ambiguous || ledger.Once(it.Write) {
		return end, nil
	}
	var entry stage.Entry
	entry, err = ledger.Doubt(h.table, it.Write, now) // promise 4
	end.entry = &entry
	return end, err
}

// still reports whether the connection is with the org whose client this is. Between a look at the settings and a call the org
// may be replaced; a client never makes calls to another org than its own, so it is enough to look at the settings in between.
func (l *lane) still(client *salesforce.Client) bool {
	now, err := l.h.deps.Orgs.Client(l.key.workspace, l.key.connection)
	return err == nil && now == client
}

// onceMore puts writes back that nothing was done about.
func (l *lane) onceMore(parcels []parcel, res *result) {
	for i := range parcels {
		parcels[i].item.NotBefore = l.h.deps.Clock.Now()
		res.again = append(res.again, parcels[i].item)
	}
}
