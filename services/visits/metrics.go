package visits

import (
	"fmt"

	"go.opentelemetry.io/otel/metric"

	"github.com/throughline-dev/throughline/libs/telemetry"
)

// observe exports what the processors count.
func observe(provider metric.MeterProvider, s *Service) error {
	err := telemetry.ExportCounters(provider, "github.com/throughline-dev/throughline/services/visits", "{item}", []telemetry.Counter{
		{Name: "throughline.visits.opened", About: "Visits begun.", Value: &s.collected.Opened},
		{Name: "throughline.visits.closed", About: "Visits ended, reopened ones again.", Value: &s.collected.Closed},
		{Name: "throughline.visits.sent", About: "Visit revisions sent.", Value: &s.collected.Sent},
		{Name: "throughline.visits.anonymous", About: "Visits ended with nobody known.", Value: &s.collected.Anonymous},
		{Name: "throughline.visits.moved", About: "Visits moved to another person by stronger evidence.", Value: &s.collected.Moved},
		{Name: "throughline.visits.registrations", About: "Registrations for events, passed on.", Value: &s.collected.Registered},
		{Name: "throughline.visits.repeated", About: "Activities seen before.", Value: &s.collected.Repeated},
		{Name: "throughline.visits.forgotten", About: "Visits no longer remembered.", Value: &s.collected.Forgotten},
		{Name: "throughline.visits.erased", About: "Activities and visits that went no further because their person was erased.", Value: &s.collected.Erased},
		{Name: "throughline.totals.erased", About: "Visit revisions that went no further because their person was erased.", Value: &s.totals.Erased},
		{Name: "throughline.visits.unreadable", About: "State entries written by a newer program.", Value: &s.collected.Unreadable},
		{Name: "throughline.totals.sent", About: "Engagement revisions sent.", Value: &s.totals.Sent},
		{Name: "throughline.totals.coalesced", About: "Revisions of open visits told on by a later one.", Value: &s.totals.Coalesced},
		{Name: "throughline.totals.repeated", About: "Visit revisions seen before.", Value: &s.totals.Repeated},
	}...)
	if err != nil {
		return fmt.Errorf("visits: %w", err)
	}
	return nil
}
