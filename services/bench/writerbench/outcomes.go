package writerbench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// outcomes collects what became of the writes. Safe for concurrent use.
type outcomes struct {
	mu    sync.Mutex
	took  []time.Duration
	last  time.Time
	wrong error
}

func newOutcomes() *outcomes { return new(outcomes) }

// Process implements stage.Processor. Writes of dead orgs are parked or tried again: no outcome to count.
func (o *outcomes) Process(_ context.Context, batch []stage.Record, _ *stage.Outbox) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range batch {
		var out streamv1.Outcome
		if err := proto.Unmarshal(batch[i].Value, &out); err != nil {
			return stage.Permanent("BAD_SCHEMA", err)
		}
		switch out.GetStatus() {
		case streamv1.Status_STATUS_WRITTEN:
			decided := out.GetDecidedAt().AsTime()
			o.took = append(o.took, decided.Sub(out.GetOccurredAt().AsTime()))
			if decided.After(o.last) {
				o.last = decided
			}
		case streamv1.Status_STATUS_FAILED, streamv1.Status_STATUS_SKIPPED:
			o.wrong = fmt.Errorf("write %s of %s/%s ended as %s (%s): a run that does not write every record measures nothing",
				out.GetWriteKey(), out.GetWorkspace(), out.GetConnection(), out.GetStatus(), out.GetReason())
		}
	}
	return nil
}

func (o *outcomes) written() (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.took), o.wrong
}

// lastAt is when the newest write was answered.
func (o *outcomes) lastAt() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// p99 is over the writes after the first skip ones.
func (o *outcomes) p99(skip int) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	took := slices.Clone(o.took[min(skip, len(o.took)):])
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[(len(took)-1)*99/100]
}
