package delivery

import (
	"time"

	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
)

// sweepBatch is how many ledger entries are forgotten at a time. The time between finding an entry and forgetting it is
// one save, and an entry of that age is not written to.
const sweepBatch = 200

// sweepLoop forgets ledger entries that no event can refer to any more. Promise 7: the ledger does not grow for ever.
func (h *Handler) sweepLoop() {
	ticker := time.NewTicker(h.deps.LedgerSweep)
	defer ticker.Stop()
	for {
		select {
		case <-h.stopping:
			return
		case <-ticker.C:
		}
		for {
			gone := ledger.Sweep(h.table, h.deps.Clock.Now().Add(-h.deps.LedgerKeep), sweepBatch)
			if len(gone) == 0 {
				break
			}
			if err := h.port.Save(h.life, gone...); err != nil {
				break // the next round finds them again
			}
		}
	}
}
