package app

import (
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/mapping/decide"
)

// Decide lends mapping's decision to the config service's previews: what they show is what mapping would do.
func Decide(c config.PreviewCase) (config.Decision, error) {
	result, err := decide.New(ready{c.Program}).Map(decide.Input{Workspace: c.Workspace, Resolved: c.Resolved, Now: c.Now, TraceParent: c.TraceParent})
	return config.Decision{
		Writes: result.Writes, Outcomes: result.Outcomes, Refused: result.Refused, ConditionFalse: result.ConditionFalse > 0,
	}, err
}

// ready is the one integration there is, compiled already.
type ready struct{ program *integration.Program }

// Get implements decide.Programs.
func (r ready) Get(*configv1.Integration) (*integration.Program, error) { return r.program, nil }
