package visits

import (
	"errors"
	"slices"
	"time"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/visits/visit"
)

var errNoSettings = errors.New("visits: waiting for the first settings from config")

// ruleBook reads the rules of visits from the settings.
type ruleBook struct {
	settings Settings
	remember time.Duration
}

// Rules implements collect.RuleBook. A workspace that the settings no longer know keeps the default rules, so that
// what was accepted while it existed still comes to its end.
func (b ruleBook) Rules(workspace string) (visit.Rules, error) {
	view := b.settings.View()
	if view == nil {
		return visit.Rules{}, errNoSettings
	}
	w, ok := view.Workspace(workspace)
	if !ok {
		return visit.Rules{
			Silence: settings.DefaultSilence, Settle: settings.DefaultSettle, Cadence: settings.DefaultCadence,
			ViewSeconds: settings.DefaultViewSeconds, ViewPercent: settings.DefaultViewPercent,
			Remember: max(b.remember, settings.DefaultLateness),
		}, nil
	}
	return visit.Rules{
		Silence: w.Silence(), Settle: w.Settle(), Cadence: w.Cadence(),
		ViewSeconds: w.ViewSeconds(), ViewPercent: w.ViewPercent(),
		// XC-6: an event within the workspace's lateness finds its visit and corrects it.
		Remember: max(b.remember, w.Lateness()),
	}, nil
}

// TellsUnknown implements collect.RuleBook. The version of an integration that was in force when the visit ended decides
// (IMM-17); without settings nobody wants to hear of it.
func (b ruleBook) TellsUnknown(workspace, document string, at time.Time) bool {
	view := b.settings.View()
	if view == nil {
		return false
	}
	w, ok := view.Workspace(workspace)
	return ok && slices.ContainsFunc(w.IntegrationsAt(at), func(i *configv1.Integration) bool {
		return integration.TellsUnknown(i) && integration.Covers(i, document)
	})
}

// Mark implements collect.Erasures and accumulate.Erasures.
func (b ruleBook) Mark() (uint64, error) {
	view := b.settings.View()
	if view == nil {
		return 0, errNoSettings
	}
	return view.ErasureMark(), nil
}

// Erased implements collect.Erasures and accumulate.Erasures.
func (b ruleBook) Erased(workspace, personKey string, at time.Time) bool {
	return b.settings.View().Erased(workspace, personKey, at)
}
