package identity

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"go.opentelemetry.io/otel/metric"
)

// observe exports what the stages count.
func observe(provider metric.MeterProvider, s *Service) error {
	if provider == nil {
		return nil
	}
	meter := provider.Meter("github.com/throughline-dev/throughline/services/identity")
	var errs []error
	counter := func(name, about string, value *atomic.Int64) {
		_, err := meter.Int64ObservableCounter(name, metric.WithDescription(about), metric.WithUnit("{item}"),
			metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
				o.Observe(value.Load())
				return nil
			}))
		if err != nil {
			errs = append(errs, fmt.Errorf("identity: create metric %s: %w", name, err))
		}
	}
	d := s.directory.Stats()
	counter("throughline.identity.engagements", "Engagements handled.", &s.stats.Engagements)
	counter("throughline.identity.resolved", "Resolved engagements sent.", &s.stats.Resolved)
	counter("throughline.identity.unresolved", "Engagements put off because of an org's trouble.", &s.stats.Unresolved)
	counter("throughline.identity.given_up", "Engagements given up because an org could not be asked for too long.", &s.stats.GivenUp)
	counter("throughline.identity.unclaimed", "Visits ended without an integration that takes them.", &s.stats.Unclaimed)
	counter("throughline.identity.queries", "Queries sent to Salesforce.", &d.Queries)
	counter("throughline.identity.query_failures", "Batches of questions that an org did not answer.", &d.Failures)
	counter("throughline.identity.cache_hits", "Addresses whose people were remembered.", &d.Hits)
	counter("throughline.identity.cache_misses", "Addresses that had to be asked for.", &d.Misses)
	counter("throughline.identity.cache_stale", "Addresses that were remembered and asked for again, because of a change in the org.", &d.Stale)
	if s.follower != nil {
		counter("throughline.identity.changes", "Changes in orgs that were heard of.", s.follower.Changes())
	}
	return errors.Join(errs...)
}
