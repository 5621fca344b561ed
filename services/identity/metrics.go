package identity

import (
	"fmt"

	"go.opentelemetry.io/otel/metric"

	"github.com/throughline-dev/throughline/libs/telemetry"
)

// observe exports what the stages count.
func observe(provider metric.MeterProvider, s *Service) error {
	d := s.directory.Stats()
	counters := []telemetry.Counter{
		{Name: "throughline.identity.engagements", About: "Engagements handled.", Value: &s.stats.Engagements},
		{Name: "throughline.identity.resolved", About: "Resolved engagements sent.", Value: &s.stats.Resolved},
		{Name: "throughline.identity.unresolved", About: "Engagements put off because of an org's trouble.", Value: &s.stats.Unresolved},
		{Name: "throughline.identity.given_up", About: "Engagements given up because an org could not be asked for too long.", Value: &s.stats.GivenUp},
		{Name: "throughline.identity.unclaimed", About: "Visits ended without an integration that takes them.", Value: &s.stats.Unclaimed},
		{Name: "throughline.identity.queries", About: "Queries sent to Salesforce.", Value: &d.Queries},
		{Name: "throughline.identity.query_failures", About: "Batches of questions that an org did not answer.", Value: &d.Failures},
		{Name: "throughline.identity.cache_hits", About: "Addresses whose people were remembered.", Value: &d.Hits},
		{Name: "throughline.identity.cache_misses", About: "Addresses that had to be asked for.", Value: &d.Misses},
		{Name: "throughline.identity.cache_stale", About: "Addresses that were remembered and asked for again, because of a change in the org.", Value: &d.Stale},
	}
	if s.follower != nil {
		counters = append(counters,
			telemetry.Counter{Name: "throughline.identity.changes", About: "Changes in orgs that were heard of.", Value: s.follower.Changes()},
			telemetry.Counter{
				Name:  "throughline.identity.changes_panicked",
				About: "Times that dealing with changes failed by a defect; everything of their org counted as changed.", Value: s.follower.Panicked(),
			})
	}
	if err := telemetry.ExportCounters(provider, "github.com/throughline-dev/throughline/services/identity", "{item}", counters...); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	return nil
}
