package outcome

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// Message builds the tl.outcomes.v1 message of o. Workspace, stage, status and the time of the decision must be set,
// and so must what it is about: the write key, the visit, the event, or an OutcomeId of the caller's own. An empty
// OutcomeId is filled in, on o itself. The message is keyed by what it is about, so that the outcomes of one write, one
// visit or one event keep their order. traceParent is the context of the record that caused it, or "".
//
// An error means that the caller left something out; trying again does not help.
func Message(o *streamv1.Outcome, traceParent string) (stage.Message, error) {
	about := About(o)
	if err := check(o, about); err != nil {
		return stage.Message{}, err
	}
	if o.GetOutcomeId() == "" {
		o.OutcomeId = ids.OutcomeID(ids.OutcomeOf{
			Stage: o.GetStage(), Workspace: o.GetWorkspace(), About: about,
			Connection: o.GetConnection(), Integration: o.GetIntegration(), Revision: o.GetRevision(),
		})
	}
	value, err := proto.Marshal(o)
	if err != nil {
		return stage.Message{}, fmt.Errorf("encode the outcome %s of workspace %s: %w", o.GetOutcomeId(), o.GetWorkspace(), err)
	}
	return stage.Message{
		Topic:       topic.Outcomes,
		Key:         topic.OutcomeKey(o.GetWorkspace(), about),
		Value:       value,
		ID:          o.GetOutcomeId(),
		Type:        topic.TypeOutcome,
		Time:        o.GetDecidedAt().AsTime(),
		TraceParent: traceParent,
	}, nil
}

// About returns what an outcome is about, the narrowest first: its write, its visit, its event, and last its own id.
func About(o *streamv1.Outcome) string {
	for _, id := range []string{o.GetWriteKey(), o.GetVisitId(), o.GetEventId()} {
		if id != "" {
			return id
		}
	}
	return o.GetOutcomeId()
}

func check(o *streamv1.Outcome, about string) error {
	switch {
	case o.GetStatus() == streamv1.Status_STATUS_UNSPECIFIED:
		return errors.New("outcome: no status")
	case o.GetStage() == "":
		return errors.New("outcome: no stage")
	case o.GetDecidedAt() == nil:
		return errors.New("outcome: no time of decision")
	case about == "":
		return errors.New("outcome: neither write, visit nor event, and no id of its own")
	}
	return nil
}
