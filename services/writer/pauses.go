package writer

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/throughline-dev/throughline/services/writer/internal/refusals"
)

// watchRefusals builds the registry of refused actions, and tells people about those that are paused: by a gauge that an alert
// watches, a counter, and one line in the log per action, however long it stays paused (XC-39).
func (s *Service) watchRefusals() error {
	meter := s.deps.Meter.Meter(scope)
	pauses, err := meter.Int64Counter("throughline.writer.action.pauses",
		metric.WithDescription("How often an integration's action was paused because the org refused too many of its writes."))
	if err != nil {
		return err
	}
	s.paused = refusals.New(s.cfg.Refusals, func(c refusals.Change) {
		if c.Paused {
			pauses.Add(context.Background(), 1, actionAttributes(c.Action))
		}
		s.logPause(c)
	})
	_, err = meter.Int64ObservableGauge("throughline.writer.actions.paused",
		metric.WithDescription("1 for every integration's action that is paused, or on trial after a pause, because the org refused "+
			"too many of its writes; 0, of none, when there is none."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			none := true
			s.paused.Each(func(a refusals.Action) {
				none = false
				o.Observe(1, actionAttributes(a))
			})
			if none {
				o.Observe(0) // so that an alert can tell "none" from "nobody counts"
			}
			return nil
		}))
	return err
}

// actionAttributes leaves the version out: a series for each would never end.
func actionAttributes(a refusals.Action) metric.MeasurementOption {
	return metric.WithAttributes(
		attribute.String("throughline.workspace", a.Workspace),
		attribute.String("throughline.connection", a.Connection),
		attribute.String("integration", a.Integration),
		attribute.String("object", a.Object))
}

func (s *Service) logPause(c refusals.Change) {
	log := s.deps.Logger.With("workspace", c.Action.Workspace, "connection", c.Action.Connection,
		"integration", c.Action.Integration, "version", c.Action.Version, "object", c.Action.Object)
	counts := []any{"refused", c.Refused, "of", c.Ended}
	switch until := c.Until.UTC().Format(time.RFC3339); {
	case !c.Paused:
		log.Info("the org takes the integration's writes again; what is parked follows", counts...)
	case c.Again:
		log.Info("the org still refuses the integration's writes; it stays paused", append(counts, "until", until)...)
	default:
		log.Warn("the org refuses too many of an integration's writes; it is paused, and its writes are parked. "+
			"Correct the integration or the org's rule: a few writes are tried after the pause, or with the integration's next version",
			append(counts, "until", until, "reason", c.Reason.String())...)
	}
}
