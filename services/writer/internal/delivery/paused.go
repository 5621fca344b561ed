package delivery

import (
	"context"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/writer/internal/gate"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
	"github.com/throughline-dev/throughline/services/writer/internal/refusals"
)

// open tells whether a write may be taken in: whether its org takes any, its class has calls left and its action is not paused.
func (h *Handler) open(l *lane, it *queue.Item) gate.State {
	now := h.deps.Clock.Now()
	if state := l.state(it.Class(), now); !state.Open {
		return state
	}
	if state := l.gate.Object(it.Write.GetObject()); !state.Open {
		return state
	}
	return h.deps.Refusals.State(refusals.Of(it.Write), now)
}

// admitted parks the writes of paused actions, and returns what may be sent: the others, and what is tried after a pause
// (XC-39). They cost no call, and nothing that others wait for.
func (l *lane) admitted(items []*queue.Item, res *result) []*queue.Item {
	now := l.h.deps.Clock.Now()
	admitted := make([]*queue.Item, 0, len(items))
	for _, it := range items {
		if state := l.h.deps.Refusals.Admit(refusals.Of(it.Write), now); !state.Open {
			res.park(it, state.Reason, state.Detail)
			continue
		}
		admitted = append(admitted, it)
	}
	return admitted
}

// unpaused parks what must not be sent any more because its action was paused while earlier parts of the batch were under way.
func (l *lane) unpaused(parcels []parcel, res *result) []parcel {
	now := l.h.deps.Clock.Now()
	kept := make([]parcel, 0, len(parcels))
	for _, p := range parcels {
		if state := l.h.deps.Refusals.Paused(refusals.Of(p.item.Write), now); !state.Open {
			res.withdraw(p.item)
			res.park(p.item, state.Reason, state.Detail)
			continue
		}
		kept = append(kept, p)
	}
	return kept
}

// judge counts what was written and what failed. A batch is counted as a whole: within one, what is refused is known first. A
// pause is saved before the writes that led to it are settled, so that whoever comes after this process goes on pausing.
func (l *lane) judge(ctx context.Context, endings []ending) {
	ended := make([]refusals.Ending, 0, len(endings))
	for i := range endings {
		// A run of a report has a limit of its own for what may fail in it (WALK-30): its rows pause nothing.
		if e := &endings[i]; e.ends() && e.item.Write.GetRunRow() == nil {
			ended = append(ended, refusals.Ending{Action: refusals.Of(e.item.Write), Reason: e.reason})
		}
	}
	changes := l.h.deps.Refusals.Ended(l.h.deps.Clock.Now(), ended...)
	if len(changes) == 0 {
		return
	}
	if err := l.h.savePauses(ctx, changes); err != nil {
		l.abandoned("note that an action is paused or goes on", err)
	}
}

// savePauses saves what the changed actions are now.
func (h *Handler) savePauses(ctx context.Context, changes []refusals.Change) error {
	h.pausing.Lock()
	defer h.pausing.Unlock()
	entries := make([]stage.Entry, 0, len(changes))
	for _, c := range changes {
		entry, err := h.deps.Refusals.Entry(c.Action, h.deps.Clock.Now())
		if err != nil {
			return err
		}
		entries = append(entries, entry)
	}
	return h.port.Save(ctx, entries...)
}

// restorePauses goes on with the pauses that the partition's state tells of.
func (h *Handler) restorePauses() {
	h.restored = h.deps.Refusals.Restore(h.table, h.deps.Clock.Now())
	for _, a := range h.restored {
		h.deps.Logger.Info("the integration was paused before the partition came here, and stays paused",
			"workspace", a.Workspace, "connection", a.Connection, "integration", a.Integration, "version", a.Version, "object", a.Object)
	}
}

// leavePauses forgets them: they are the next owner's.
func (h *Handler) leavePauses() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key := range h.lanes {
		h.deps.Refusals.Leave(key.workspace, key.connection)
	}
	for _, a := range h.restored {
		h.deps.Refusals.Leave(a.Workspace, a.Connection)
	}
}
