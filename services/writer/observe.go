package writer

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/outcome"
	"github.com/throughline-dev/throughline/services/writer/internal/gate"
	"github.com/throughline-dev/throughline/services/writer/internal/parking"
	"github.com/throughline-dev/throughline/services/writer/internal/tally"
)

// observe registers what is read when metrics are collected: quota per connection, and how long writes are parked.
func (s *Service) observe() error {
	meter := s.deps.Meter.Meter(scope)
	used, err := meter.Int64ObservableGauge("throughline.salesforce.quota.used",
		metric.WithDescription("Calls to the org in 24 hours by all its clients, as the org said last."))
	if err != nil {
		return err
	}
	limit, err := meter.Int64ObservableGauge("throughline.salesforce.quota.max",
		metric.WithDescription("Calls to the org allowed in 24 hours."))
	if err != nil {
		return err
	}
	age, err := meter.Float64ObservableGauge("throughline.writer.parked.age",
		metric.WithUnit("s"), metric.WithDescription("How long the oldest parked write in memory waits."))
	if err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s.gates.Each(func(workspace, connection string, _ *gate.Gate) {
			client, err := s.deps.Orgs.Client(workspace, connection)
			if err != nil {
				return
			}
			usage, ok := client.Usage()
			if !ok {
				return
			}
			attrs := metric.WithAttributes(
				attribute.String("throughline.workspace", workspace),
				attribute.String("throughline.connection", connection))
			o.ObserveInt64(used, usage.Used, attrs)
			o.ObserveInt64(limit, usage.Max, attrs)
		})
		if since, ok := s.oldest.get(); ok {
			o.ObserveFloat64(age, s.deps.Clock.Now().Sub(since).Seconds())
		} else {
			o.ObserveFloat64(age, 0)
		}
		return nil
	}, used, limit, age)
	return err
}

// oldest finds the oldest parked write over the partitions' handlers.
type oldest struct {
	mu       sync.Mutex
	handlers map[int]*parking.Handler
}

func newOldest() *oldest { return &oldest{handlers: map[int]*parking.Handler{}} }

func (o *oldest) set(partition int, h *parking.Handler) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.handlers[partition] = h
}

func (o *oldest) get() (since time.Time, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, h := range o.handlers {
		if t, some := h.Oldest(); some && (!ok || t.Before(since)) {
			since, ok = t, true
		}
	}
	return since, ok
}

// expire ends a write that was parked for too long.
func (s *Service) expire(ctx context.Context, port stage.Port, rec *stage.Record, t parking.Ticket) error {
	const detail = "parked for longer than allowed; make the connection usable, or correct what the org refuses, then replay the dead letter"
	reason := parking.ReasonName(t.Reason)
	w := new(streamv1.Write)
	if err := proto.Unmarshal(rec.Value, w); err != nil {
		return port.DeadLetter(ctx, *rec, "BAD_SCHEMA", "the parked record is not a write")
	}
	o := &streamv1.Outcome{
		Workspace: w.GetWorkspace(), Connection: w.GetConnection(), Stage: "writer",
		Integration: w.GetIntegration(), IntegrationVersion: w.GetIntegrationVersion(),
		Status: streamv1.Status_STATUS_FAILED, Reason: t.Reason, Detail: detail,
		EventId: w.GetEventId(), VisitId: w.GetVisitId(), EngagementId: w.GetEngagementId(),
		PersonKey: w.GetPersonKey(), WriteKey: w.GetWriteKey(), Revision: w.GetRevision(), Object: w.GetObject(),
		OccurredAt: w.GetOccurredAt(), DecidedAt: timestamppb.New(s.deps.Clock.Now()),
		SettingsRevision: w.GetSettingsRevision(), RunRow: w.GetRunRow(),
	}
	m, err := outcome.Message(o, rec.TraceParent())
	if err != nil {
		return err
	}
	if err := port.DeadLetter(ctx, *rec, reason, detail); err != nil {
		return err
	}
	if err := port.Publish(ctx, m); err != nil {
		return err
	}
	s.tally.Ended(ctx, tally.Org{Workspace: w.GetWorkspace(), Connection: w.GetConnection()}, o)
	return nil
}
