package writer

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/writer/internal/lag"
)

// measured is a partition's handler whose unsettled writes count as lag, until it is drained.
type measured struct {
	stage.SinkHandler
	lag *lag.Partition
}

// Drain implements stage.SinkHandler.
func (m *measured) Drain(ctx context.Context) error {
	defer m.lag.Close()
	return m.SinkHandler.Drain(ctx)
}

// settling is a port that tells the lag what is settled.
type settling struct {
	stage.Port
	lag *lag.Partition
}

// Settle implements stage.Port.
func (s *settling) Settle(offsets ...int64) {
	s.lag.Settled(offsets...)
	s.Port.Settle(offsets...)
}

// unread is the class, in metrics, of what nobody has read yet.
const unread = "unread"

// observeLag registers the autoscaling signal (XC-14): how many writes are not settled, and how old the oldest of them is, by
// class, in the partitions this process has.
func (s *Service) observeLag() error {
	meter := s.deps.Meter.Meter(scope)
	pending, err := meter.Int64ObservableGauge("throughline.writer.lag",
		metric.WithDescription("Writes that are neither ended nor parked, by class; class unread: not read from the topic yet."))
	if err != nil {
		return err
	}
	age, err := meter.Float64ObservableGauge("throughline.writer.lag.age", metric.WithUnit("s"),
		metric.WithDescription("How long the oldest write that is neither ended nor parked lies on the topic, by class."))
	if err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		now := s.deps.Clock.Now()
		for class, p := range s.lag.Pending() {
			attrs := metric.WithAttributes(attribute.String("class", lag.Classes[class]))
			o.ObserveInt64(pending, int64(p.Writes), attrs)
			seconds := 0.0
			if !p.Since.IsZero() {
				seconds = max(0, now.Sub(p.Since).Seconds())
			}
			o.ObserveFloat64(age, seconds, attrs)
		}
		var rest int64
		for _, p := range s.writes.Stats().Partitions {
			rest += s.lag.Unread(p.ID, p.End, p.Lag)
		}
		o.ObserveInt64(pending, rest, metric.WithAttributes(attribute.String("class", unread)))
		return nil
	}, pending, age)
	return err
}
