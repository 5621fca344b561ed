package visits

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"go.opentelemetry.io/otel/metric"
)

// observe exports what the processors count.
func observe(provider metric.MeterProvider, s *Service) error {
	if provider == nil {
		return nil
	}
	meter := provider.Meter("github.com/throughline-dev/throughline/services/visits")
	var errs []error
	counter := func(name, about string, value *atomic.Int64) {
		_, err := meter.Int64ObservableCounter(name, metric.WithDescription(about), metric.WithUnit("{item}"),
			metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
				o.Observe(value.Load())
				return nil
			}))
		if err != nil {
			errs = append(errs, fmt.Errorf("visits: create metric %s: %w", name, err))
		}
	}
	counter("throughline.visits.opened", "Visits begun.", &s.collected.Opened)
	counter("throughline.visits.closed", "Visits ended, reopened ones again.", &s.collected.Closed)
	counter("throughline.visits.sent", "Visit revisions sent.", &s.collected.Sent)
	counter("throughline.visits.anonymous", "Visits ended with nobody known.", &s.collected.Anonymous)
	counter("throughline.visits.moved", "Visits moved to another person by stronger evidence.", &s.collected.Moved)
	counter("throughline.visits.registrations", "Registrations for events, passed on.", &s.collected.Registered)
	counter("throughline.visits.repeated", "Activities seen before.", &s.collected.Repeated)
	counter("throughline.visits.forgotten", "Visits no longer remembered.", &s.collected.Forgotten)
	counter("throughline.visits.erased", "Activities and visits that went no further because their person was erased.", &s.collected.Erased)
	counter("throughline.totals.erased", "Visit revisions that went no further because their person was erased.", &s.totals.Erased)
	counter("throughline.visits.unreadable", "State entries written by a newer program.", &s.collected.Unreadable)
	counter("throughline.totals.sent", "Engagement revisions sent.", &s.totals.Sent)
	counter("throughline.totals.coalesced", "Revisions of open visits told on by a later one.", &s.totals.Coalesced)
	counter("throughline.totals.repeated", "Visit revisions seen before.", &s.totals.Repeated)
	return errors.Join(errs...)
}
