package collect

import (
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/visits/visit"
	"github.com/throughline-dev/throughline/services/visits/wire"
)

// register passes a registration on. Nothing is remembered of it: every event of a registration tells all of it, and its revision
// is the time of the event.
func (p *Processor) register(rec *stage.Record, a *visit.Activity, out *stage.Outbox) error {
	m, err := wire.Registration(a)
	if err != nil {
		out.DeadLetter(*rec, "BAD_SCHEMA", err.Error())
		return nil
	}
	value, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode registration %s of workspace %s: %w", m.GetSession(), m.GetWorkspace(), err)
	}
	out.Send(stage.Message{
		Topic: topic.Visits,
		Key:   topic.PersonKey(m.GetWorkspace(), m.GetSubject().GetPersonKey()),
		Value: value,
		ID:    m.GetVisitId() + "-" + strconv.FormatInt(m.GetRevision(), 10),
		Type:  topic.TypeVisit, Time: a.At, TraceParent: string(a.TraceParent),
		Headers: topic.Class(rec.Header(topic.HeaderClass)),
	})
	p.stats.Registered.Add(1)
	return nil
}
