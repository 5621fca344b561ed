package runlog

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Recorder stores outcomes. A repeated one has no further effect.
type Recorder interface {
	RecordOutcomes(ctx context.Context, batch []store.Outcome) error
}

// Observer is told of outcomes once they are recorded, some of them more than once. It must not wait.
type Observer interface{ Observe(o *streamv1.Outcome) }

// reasonBadSchema is the dead letters' reason for what is not an outcome.
const reasonBadSchema = "BAD_SCHEMA"

// NewProcessor returns the processor of one partition of the outcomes' topic. A batch is stored in one transaction before
// it is settled.
func NewProcessor(recorder Recorder, observers ...Observer) stage.NewProcessor {
	return func(stage.Partition, *stage.Table) (stage.Processor, error) {
		return &processor{recorder: recorder, observers: observers}, nil
	}
}

type processor struct {
	recorder  Recorder
	observers []Observer
}

// Process implements stage.Processor.
func (p *processor) Process(ctx context.Context, batch []stage.Record, out *stage.Outbox) error {
	rows := make([]store.Outcome, 0, len(batch))
	outcomes := make([]*streamv1.Outcome, 0, len(batch))
	for i := range batch {
		row, outcome, err := Decode(batch[i].Value)
		if err != nil {
			out.DeadLetter(batch[i], reasonBadSchema, err.Error())
			continue
		}
		rows, outcomes = append(rows, row), append(outcomes, outcome)
	}
	if err := p.recorder.RecordOutcomes(ctx, rows); err != nil {
		return err
	}
	for _, o := range outcomes {
		for _, observer := range p.observers {
			observer.Observe(o)
		}
	}
	return nil
}

// Decode reads one outcome. The row keeps the bytes as they came, so that fields of a newer version are not lost.
func Decode(value []byte) (store.Outcome, *streamv1.Outcome, error) {
	o := &streamv1.Outcome{}
	if err := proto.Unmarshal(value, o); err != nil {
		return store.Outcome{}, nil, errors.New("not an outcome: check what else produces into this topic")
	}
	for _, required := range []struct {
		name string
		ok   bool
	}{
		{"outcome_id", o.GetOutcomeId() != ""},
		{"workspace", o.GetWorkspace() != ""},
		{"status", o.GetStatus() != streamv1.Status_STATUS_UNSPECIFIED},
		{"decided_at", o.GetDecidedAt().IsValid()},
	} {
		if !required.ok {
			return store.Outcome{}, nil, fmt.Errorf("the outcome has no valid %s", required.name)
		}
	}
	return store.Outcome{
		Workspace: o.GetWorkspace(), ID: o.GetOutcomeId(), DecidedAt: o.GetDecidedAt().AsTime(), Stage: o.GetStage(),
		Status: int32(o.GetStatus()), Reason: int32(o.GetReason()),
		EventID: o.GetEventId(), VisitID: o.GetVisitId(), EngagementID: o.GetEngagementId(),
		WriteKey: o.GetWriteKey(), RecordID: o.GetRecordId(), Integration: o.GetIntegration(), Row: rowOf(o), Body: value,
	}, o, nil
}
