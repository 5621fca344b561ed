package catalogue

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
)

type metrics struct{ asked, broken, healed metric.Int64Counter }

func newMetrics(provider metric.MeterProvider) (*metrics, error) {
	if provider == nil {
		provider = noopmetric.NewMeterProvider()
	}
	meter := provider.Meter("github.com/throughline-dev/throughline/services/config/catalogue")
	var first error
	counter := func(name, about, unit string) metric.Int64Counter {
		c, err := meter.Int64Counter(name, metric.WithDescription(about), metric.WithUnit(unit))
		if err != nil && first == nil {
			first = fmt.Errorf("catalogue: create metric %s: %w", name, err)
		}
		return c
	}
	return &metrics{
		asked:  counter("throughline.catalogue.asked", "Questions to orgs about their objects, by result.", "{question}"),
		broken: counter("throughline.catalogue.broken", "Integrations found not to fit their org any more.", "{integration}"),
		healed: counter("throughline.catalogue.healed", "Broken integrations that fit again.", "{integration}"),
	}, first
}

// The results of a question.
const (
	resultSame      = "same"
	resultFirst     = "first"
	resultChanged   = "changed"
	resultUnchanged = "not_modified"
	resultFailed    = "failed"
)

func (m *metrics) ask(ctx context.Context, result string) {
	m.asked.Add(ctx, 1, metric.WithAttributes(attribute.String("result", result)))
}
