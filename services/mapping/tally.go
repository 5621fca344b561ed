package mapping

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/mapping/decide"
)

// Stats is what the service did since it started. A batch that is repeated counts again.
type Stats struct {
	// Stage counts records.
	Stage stage.Stats
	// Writes were produced.
	Writes int64
	// Refused counts actions that wrote nothing, by reason code, in every revision; outcomes are told for closed ones only.
	Refused map[string]int64
	// ConditionFalse counts integrations whose condition did not hold.
	ConditionFalse int64
}

// tally counts for Stats and for metrics. Safe for concurrent use.
type tally struct {
	writes, refused, conditionFalse metric.Int64Counter

	mu  sync.Mutex
	sum Stats
}

func newTally(provider metric.MeterProvider) (*tally, error) {
	if provider == nil {
		provider = noopmetric.NewMeterProvider()
	}
	meter := provider.Meter("github.com/throughline-dev/throughline/services/mapping")
	t := &tally{sum: Stats{Refused: map[string]int64{}}}
	var err error
	counter := func(name, about string) metric.Int64Counter {
		c, e := meter.Int64Counter(name, metric.WithDescription(about), metric.WithUnit("{item}"))
		if e != nil && err == nil {
			err = fmt.Errorf("mapping: create metric %s: %w", name, e)
		}
		return c
	}
	t.writes = counter("throughline.mapping.writes", "Writes produced.")
	t.refused = counter("throughline.mapping.refused", "Actions that wrote nothing, by reason.")
	t.conditionFalse = counter("throughline.mapping.condition_false", "Integrations whose condition did not hold.")
	return t, err
}

// add counts one batch.
func (t *tally) add(ctx context.Context, batch *batchCount) {
	t.writes.Add(ctx, batch.writes)
	t.conditionFalse.Add(ctx, batch.conditionFalse)
	for reason, n := range batch.refused {
		t.refused.Add(ctx, n, metric.WithAttributes(attribute.String("reason", reasonCode(reason))))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.Writes += batch.writes
	t.sum.ConditionFalse += batch.conditionFalse
	for reason, n := range batch.refused {
		t.sum.Refused[reasonCode(reason)] += n
	}
}

func (t *tally) stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := t.sum
	sum.Refused = maps.Clone(t.sum.Refused)
	return sum
}

// batchCount counts within one batch, without a lock.
type batchCount struct {
	writes, conditionFalse int64
	refused                map[streamv1.Reason]int64
}

func (c *batchCount) add(r *decide.Result) {
	c.writes += int64(len(r.Writes))
	c.conditionFalse += int64(r.ConditionFalse)
	for reason, n := range r.Refused {
		if c.refused == nil {
			c.refused = map[streamv1.Reason]int64{}
		}
		c.refused[reason] += int64(n)
	}
}

func reasonCode(r streamv1.Reason) string { return strings.TrimPrefix(r.String(), "REASON_") }
