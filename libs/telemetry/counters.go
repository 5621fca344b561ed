package telemetry

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"go.opentelemetry.io/otel/metric"
)

// Counter is a number that a program counts by itself; it only grows. It is exported as it stands when metrics are collected.
type Counter struct {
	Name, About string
	Value       *atomic.Int64
}

// ExportCounters exports counters under an instrumentation scope. unit is theirs in the form of UCUM, e.g. "{item}". A nil provider
// exports nothing. The error names every counter that cannot be exported. Source: OpenTelemetry specification, "Asynchronous
// Counter".
func ExportCounters(provider metric.MeterProvider, scope, unit string, counters ...Counter) error {
	if provider == nil {
		return nil
	}
	meter := provider.Meter(scope)
	var errs []error
	for _, c := range counters {
		_, err := meter.Int64ObservableCounter(c.Name, metric.WithDescription(c.About), metric.WithUnit(unit),
			metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
				o.Observe(c.Value.Load())
				return nil
			}))
		if err != nil {
			errs = append(errs, fmt.Errorf("create metric %s: %w", c.Name, err))
		}
	}
	return errors.Join(errs...)
}
