package watch

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/plan"
)

// entitle tells services when workspaces and their connections are not entitled to what sources include.
func entitle(snapshot *configv1.Snapshot, rules plan.Rules) {
	for _, ws := range snapshot.GetWorkspaces() {
		if ws.GetWorkspace() == nil {
			continue
		}
		lapses := rules.Lapses(ws.GetWorkspace().GetPlans())
		ws.Workspace.Lapses = lapses
		for _, c := range ws.GetConnections() {
			c.Lapses = rules.ForConnection(lapses, plan.OfProduct(c.GetSettings().GetSource()))
		}
	}
}

// lineageOf sets apart what was built by other rules: to a watcher that follows, settings have changed although no revision
// has.
func lineageOf(rules plan.Rules) string {
	if rules.EnforceFrom.IsZero() {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %q", rules.EnforceFrom.UnixNano(),
		[][]string{rules.Video, rules.Document, rules.Phone, rules.Usage, rules.Events}))
	return "/plans-" + hex.EncodeToString(sum[:8])
}
