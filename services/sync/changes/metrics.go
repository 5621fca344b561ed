package changes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/telemetry"
)

// stats counts over all partitions of the process. Safe for concurrent use.
type stats struct {
	// subscribed and unavailable say how many subscriptions stand, and how many orgs' objects have no change events.
	subscribed, unavailable atomic.Int64
	// events came, told messages were published, missed says how often events were or may have been missed. panicked says how often
	// any of this failed by a defect.
	events, told, missed, panicked atomic.Int64

	mu sync.Mutex
	// open are the subscriptions that there should be now.
	open map[*lag]struct{}
}

// follow lets a subscription count for the lag until the returned function is called.
func (s *stats) follow(sub *lag) (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*lag]struct{}{}
	}
	s.open[sub] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, sub)
	}
}

// behind is the lag of the subscription that is furthest behind.
func (s *stats) behind(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var most time.Duration
	for sub := range s.open {
		most = max(most, sub.behind(now))
	}
	return most
}

func (s *stats) observe(provider metric.MeterProvider, clock stage.Clock) error {
	if provider == nil {
		return nil
	}
	const scope = "github.com/throughline-dev/throughline/services/sync/changes"
	meter := provider.Meter(scope)
	var errs []error
	gauge := func(name, about string, value *atomic.Int64) {
		_, err := meter.Int64ObservableGauge(name, metric.WithDescription(about), metric.WithUnit("{subscription}"),
			metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
				o.Observe(value.Load())
				return nil
			}))
		errs = append(errs, err)
	}
	gauge("throughline.sync.changes.subscriptions", "Subscriptions to change events that this process keeps up.", &s.subscribed)
	gauge("throughline.sync.changes.unavailable", "Subscriptions that an org does not offer: what is remembered of it is as old as its ages allow.", &s.unavailable)
	errs = append(errs, telemetry.ExportCounters(provider, scope, "{item}",
		telemetry.Counter{Name: "throughline.sync.changes.events", About: "Change events received.", Value: &s.events},
		telemetry.Counter{Name: "throughline.sync.changes.told", About: "Messages written to tl.changes.v1.", Value: &s.told},
		telemetry.Counter{
			Name:  "throughline.sync.changes.missed",
			About: "Times that change events of an object may have been missed, so that everything remembered of it was dropped.", Value: &s.missed,
		},
		telemetry.Counter{
			Name:  "throughline.sync.changes.panicked",
			About: "Times that the work on an org's change events failed by a defect; other orgs' went on.", Value: &s.panicked,
		},
	))
	_, err := meter.Float64ObservableGauge("throughline.sync.changes.lag", metric.WithUnit("s"), metric.WithDescription(
		"How far the subscription that is furthest behind is: since the last that its org sent, or from the commit of that to its arrival."),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			o.Observe(s.behind(clock.Now()).Seconds())
			return nil
		}))
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("changes: metrics: %w", err)
	}
	return nil
}
