package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/probe"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// checkRights refuses to switch on what the connection's user may not do, as far as diagnosis has found out (IMM-2). What it
// found may have been mended since, so the org is asked again before anybody is refused; one that cannot be asked keeps nobody
// from saving.
func (s *Server) checkRights(ctx context.Context, v *violations, next *configv1.Integration) error {
	if !next.GetEnabled() {
		return nil
	}
	d, err := s.deps.Diagnosis.Last(ctx, next.GetWorkspace(), next.GetConnection())
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(missingRights(d, next)) == 0 {
		return nil
	}
	if d, err = s.deps.Diagnosis.Diagnose(ctx, next.GetWorkspace(), next.GetConnection()); err != nil {
		return err
	}
	missing := missingRights(d, next)
	for _, i := range slices.Sorted(maps.Keys(missing)) {
		r := missing[i]
		v.add(fmt.Sprintf("integration.actions[%d].object", i), "SF_NO_PERMISSION: %s (%s); %s", r.GetEn().GetFinding(), r.GetDetail(), r.GetEn().GetWhere())
	}
	return nil
}

// missingRights finds what is in the way of actions, by their place.
func missingRights(d *configv1.Diagnosis, next *configv1.Integration) map[int]*configv1.ProbeResult {
	out := map[int]*configv1.ProbeResult{}
	for i, a := range next.GetActions() {
		if a.GetDisabled() {
			continue
		}
		name := probe.ObjectPrefix + a.GetObject()
		if a.GetObject() == "Task" {
			name = probe.Tasks
		}
		at := slices.IndexFunc(d.GetResults(), func(r *configv1.ProbeResult) bool {
			return r.GetProbe() == name && r.GetStatus() == configv1.ProbeStatus_PROBE_STATUS_BLOCKED && concerns(r.GetDetail(), a)
		})
		if at >= 0 {
			out[i] = d.GetResults()[at]
		}
	}
	return out
}

// concerns reports whether a finding is about the object as a whole, or about a field that the action sets.
func concerns(detail string, a *configv1.Action) bool {
	if !strings.Contains(detail, ".") {
		return true
	}
	missing := strings.Split(detail, ", ")
	return slices.ContainsFunc(a.GetFields(), func(f *configv1.FieldMapping) bool {
		return slices.Contains(missing, a.GetObject()+"."+f.GetField())
	})
}
