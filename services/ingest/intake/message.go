package intake

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/ingest/event"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/outcome"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// encode makes the bytes of the activity. Promise 8: nothing of the viewer and the owner but sealed data and keyed hashes.
func (in *Intake) encode(c *candidate) ([]byte, error) {
	p := &in.parts
	a := p.start(c)
	if c.owner.email != "" {
		owner, err := in.subjects.get(c.workspace, c.owner)
		if err != nil {
			return nil, err
		}
		p.content.OwnerKey, p.content.OwnerSealed = owner.key, owner.sealed
	}
	if c.viewer.email != "" {
		viewer, err := in.subjects.get(c.workspace, c.viewer)
		if err != nil {
			return nil, err
		}
		p.subject.PersonKey, p.subject.Sealed, p.subject.Evidence = viewer.key, viewer.sealed, c.viewer.evidence
		a.Subject = &p.subject
	}
	if r := event.RegistrationOf(c.event); r != nil {
		registration, err := sealRegistration(c, r)
		if err != nil {
			return nil, err
		}
		a.Detail = &streamv1.Activity_Registration{Registration: registration}
	}
	return proto.Marshal(a)
}

func (in *Intake) activityMessage(c *candidate, value []byte) stage.Message {
	e := c.event
	workspace := c.workspace.ID()
	return stage.Message{
		Topic:       topic.Activities,
		Key:         topic.SessionKey(workspace, e.GetSession()),
		Value:       value,
		ID:          e.GetId(),
		Type:        topic.TypeActivity,
		Time:        e.GetTime().AsTime(),
		TraceParent: in.tracing.context(c.trace, workspace, e.GetId()),
	}
}

// outcomeMessage tells of an event that goes no further. It holds ids and reasons, nothing of the event's content.
func (in *Intake) outcomeMessage(c *candidate, d *Decision, about string) (stage.Message, error) {
	workspace := c.workspace.ID()
	o := &streamv1.Outcome{
		OutcomeId: ids.OutcomeID(ids.OutcomeOf{Stage: Stage, Workspace: workspace, About: about}),
		Workspace: workspace, Stage: Stage, Status: d.Status, Reason: d.Reason, Detail: d.Detail,
		EventId: c.id, DecidedAt: timestamppb.New(c.Now), SettingsRevision: c.view.Revision(),
	}
	if c.event != nil && c.event.GetTime().IsValid() {
		o.OccurredAt = c.event.GetTime()
	}
	if d.Reason == streamv1.Reason_REASON_LOOP_ORIGIN {
		var invitation string
		if o.RecordId, invitation = origin(c.event); invitation != "" {
			o.Notes = append(o.Notes, "invitation "+invitation)
		}
	}
	return outcome.Message(o, in.tracing.context(c.trace, workspace, about))
}
