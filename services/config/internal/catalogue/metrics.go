package catalogue

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

type metrics struct {
	meter  metric.Meter
	asked  metric.Int64Counter
	broken metric.Int64ObservableGauge
	pushes metric.Int64ObservableGauge
}

func newMetrics(provider metric.MeterProvider) (*metrics, error) {
	if provider == nil {
		provider = noopmetric.NewMeterProvider()
	}
	m := &metrics{meter: provider.Meter("github.com/throughline-dev/throughline/services/config/catalogue")}
	var err error
	m.asked, err = m.meter.Int64Counter("throughline.catalogue.asked", metric.WithUnit("{question}"),
		metric.WithDescription("Questions to orgs about their objects, by result."))
	if err != nil {
		return nil, fmt.Errorf("catalogue: create metric: %w", err)
	}
	m.broken, err = m.meter.Int64ObservableGauge("throughline.catalogue.broken", metric.WithUnit("{integration}"),
		metric.WithDescription("Integrations that do not fit their org any more. Every replica tells the same."))
	if err != nil {
		return nil, fmt.Errorf("catalogue: create metric: %w", err)
	}
	m.pushes, err = m.meter.Int64ObservableGauge("throughline.catalogue.broken_pushes", metric.WithUnit("{push}"),
		metric.WithDescription("Report pushes that do not fit their report or their org any more, or were paused by the service. Every replica tells the same."))
	if err != nil {
		return nil, fmt.Errorf("catalogue: create metric: %w", err)
	}
	return m, nil
}

// observe tells how many integrations and report pushes of each connection are broken, whenever metrics are collected, until it is stopped.
func (c *Catalogue) observe() (stop func() error, err error) {
	registered, err := c.metrics.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		integrations, pushes := map[connectionKey]int64{}, map[connectionKey]int64{}
		c.mu.Lock()
		for _, key := range c.used {
			integrations[key], pushes[key] = 0, 0
		}
		c.mu.Unlock()
		rows, err := c.deps.Counts.BrokenCounts(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			counts := integrations
			if row.Kind == store.KindReportPush {
				counts = pushes
			}
			counts[connectionKey{row.Workspace, row.Connection}] = row.N
		}
		for gauge, counts := range map[metric.Int64Observable]map[connectionKey]int64{c.metrics.broken: integrations, c.metrics.pushes: pushes} {
			for key, n := range counts {
				o.ObserveInt64(gauge, n, metric.WithAttributes(
					attribute.String("throughline.workspace", key.workspace), attribute.String("throughline.connection", key.connection)))
			}
		}
		return nil
	}, c.metrics.broken, c.metrics.pushes)
	if err != nil {
		return nil, fmt.Errorf("catalogue: register metric: %w", err)
	}
	return registered.Unregister, nil
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
